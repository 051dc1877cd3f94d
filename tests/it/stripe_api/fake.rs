//! Fake of Stripe's API: gives prepared answers in order or by path, and notes the requests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use futures_util::stream;
use subledger::stripe_api::{ApiClient, ApiKey, ClientOptions, RetryPolicy};

/// Key that the fake is asked with.
pub(super) const KEY: &str = "rk_test_never_shown_51";
/// Header `Date` of each answer.
pub(super) const DATE: &str = "Thu, 01 Oct 2026 00:00:10 GMT";

/// Request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Arrived {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|it| it.to_str().unwrap())
    }
}

/// Prepared answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    /// True for a connection that ends in the middle of the body.
    pub(super) is_cut: bool,
}

impl Answer {
    pub(super) fn new(status: u16, body: impl Into<String>) -> Self {
        let headers =
            [("date", DATE), ("request-id", "req_1"), ("stripe-version", "2026-09-30.endive")];
        let headers = headers.map(|(name, value)| (name, value.to_owned())).into();
        Self { status, headers, body: body.into(), is_cut: false }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Without a header. The server adds the current `Date` by itself if there is none.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|it| it.0 != name);
        self
    }

    pub(super) fn cut(mut self) -> Self {
        self.is_cut = true;
        self
    }

    fn into_response(self) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let body = if self.is_cut {
            let half = Bytes::from(self.body).split_to_half();
            Body::from_stream(stream::iter([Ok(half), Err(std::io::Error::other("cut"))]))
        } else {
            Body::from(self.body)
        };
        response.body(body).unwrap()
    }
}

trait SplitToHalf {
    fn split_to_half(self) -> Self;
}

impl SplitToHalf for Bytes {
    fn split_to_half(mut self) -> Self {
        self.split_to(self.len() / 2)
    }
}

#[derive(Clone, Default)]
struct Shared {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    /// Answers by method and path, where none is prepared in order.
    by_path: Arc<HashMap<String, Answer>>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

/// Running fake.
pub(super) struct FakeStripe {
    shared: Shared,
    pub(super) url: String,
}

impl FakeStripe {
    /// Starts a fake that gives these answers.
    pub(super) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let shared = Shared::default();
        shared.answers.lock().unwrap().extend(answers);
        Self::run(shared).await
    }

    /// Starts a fake that gives these answers by method and path, such as `GET /v1/events`, and else an empty list.
    pub(super) async fn by_path<const N: usize>(answers: [(&str, Answer); N]) -> Self {
        let mut by_path = HashMap::from(answers.map(|(path, answer)| (path.to_owned(), answer)));
        let empty = r#"{"object":"list","data":[],"has_more":false}"#;
        by_path.insert(String::new(), Answer::new(200, empty).without("date"));
        Self::run(Shared { by_path: Arc::new(by_path), ..Shared::default() }).await
    }

    async fn run(shared: Shared) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { shared, url }
    }

    /// Client for the fake, without a limit on its rate and with short delays.
    pub(super) fn client(&self) -> ApiClient {
        let delay = Duration::from_millis(1);
        let retry = RetryPolicy {
            attempts_max: 3,
            delay_min: delay,
            delay_max: delay,
            retry_after_max: delay,
        };
        let options = ClientOptions {
            base: self.url.parse().unwrap(),
            requests_per_second: None,
            retry,
            ..ClientOptions::default()
        };
        ApiClient::new(ApiKey::parse(KEY).unwrap(), options).unwrap()
    }

    /// Requests so far.
    pub(super) fn arrived(&self) -> Vec<Arrived> {
        self.shared.arrived.lock().unwrap().clone()
    }

    /// Paths and queries of the requests so far.
    pub(super) fn urls(&self) -> Vec<String> {
        self.arrived().iter().map(|it| it.uri.to_string()).collect()
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response<Body> {
    let path = format!("{method} {}", uri.path());
    shared.arrived.lock().unwrap().push(Arrived { method, uri, headers, body });
    let prepared = shared.answers.lock().unwrap().pop_front();
    let by_path = || shared.by_path.get(&path).or_else(|| shared.by_path.get("")).cloned();
    prepared.or_else(by_path).expect("an answer is prepared for each request").into_response()
}
