//! Client: sends requests at a limited rate, and repeats them as Stripe asks for it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backon::Retryable as _;
use governor::{DefaultDirectRateLimiter, Quota};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, redirect};
use url::form_urlencoded;

use super::attempt::{Failed, attempt};
use super::{API_VERSION, ApiBase, ApiError, ApiKey, RetryPolicy};
use crate::http_client;
use crate::ids::AccountId;
use crate::stripe::observation::ApiRequest;

/// Time limit of a connection's beginning.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit of a whole attempt: that of Stripe's own clients.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(80);
/// Name and version that the client gives itself.
const USER_AGENT: &str = concat!("subledger/", env!("CARGO_PKG_VERSION"));

/// Client of Stripe's API. Clones share connections and rate.
#[derive(Clone, Debug)]
pub struct ApiClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    key: ApiKey,
    base: ApiBase,
    limiter: Option<DefaultDirectRateLimiter>,
    retry: RetryPolicy,
}

/// Options of a client.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Address of the API.
    pub base: ApiBase,
    /// Greatest rate of requests, repetitions included. None for no limit.
    pub requests_per_second: Option<NonZeroU32>,
    /// Limits of repetitions.
    pub retry: RetryPolicy,
    /// Time limit of each attempt.
    pub request_timeout: Duration,
}

/// Answer to a request.
#[derive(Clone, Debug)]
pub struct ApiAnswer {
    /// Exact bytes of the body: one JSON document.
    pub body: String,
    /// The request, with the duration of the attempt that succeeded.
    pub request: ApiRequest,
}

/// Request before it is sent.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    /// Encoded query.
    pub(super) query: &'a str,
    pub(super) account: Option<&'a str>,
    pub(super) form: Option<Form<'a>>,
}

/// Body of a request that writes.
#[derive(Clone, Copy)]
pub(super) struct Form<'a> {
    pub(super) body: &'a str,
    /// Key by which Stripe recognizes a repetition.
    pub(super) idempotency_key: &'a str,
}

impl ClientOptions {
    /// Requests per second, unless set otherwise. Stripe allows 100 in live mode and 25 in a sandbox, and shares them
    /// among all clients of the account.
    pub const DEFAULT_RATE: u32 = 10;
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            base: ApiBase::stripe(),
            requests_per_second: NonZeroU32::new(Self::DEFAULT_RATE),
            retry: RetryPolicy::default(),
            request_timeout: REQUEST_TIMEOUT,
        }
    }
}

impl ApiClient {
    /// Creates a client.
    pub fn new(key: ApiKey, options: ClientOptions) -> Result<Self, ApiError> {
        let ClientOptions { base, requests_per_second, retry, request_timeout } = options;
        if base.is_encrypted() && !http_client::has_certificates() {
            return Err(ApiError::NoCertificates);
        }
        let mut http = http_client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(request_timeout)
            .user_agent(USER_AGENT);
        if base.is_loopback() {
            // A proxy is on another machine, to which the key would go unencrypted.
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| ApiError::Client(error.to_string()))?;
        let limiter = requests_per_second.map(|rate| {
            let burst = NonZeroU32::new(rate.get() / 10).unwrap_or(NonZeroU32::MIN);
            DefaultDirectRateLimiter::direct(Quota::per_second(rate).allow_burst(burst))
        });
        Ok(Self(Arc::new(Inner { http, key, base, limiter, retry })))
    }

    /// Key of the client.
    pub fn key(&self) -> &ApiKey {
        &self.0.key
    }

    /// Reads a path. The query is encoded here; `account` is a connected account, or none for the key's own.
    pub async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        account: Option<&AccountId>,
    ) -> Result<ApiAnswer, ApiError> {
        let query = encoded(query);
        let account = account.map(AccountId::as_str).filter(|it| !it.is_empty());
        let request = Request { method: &Method::GET, path, query: &query, account, form: None };
        self.send(request).await
    }

    /// Sends a request until it succeeds, or must not be repeated.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<ApiAnswer, ApiError> {
        let Inner { limiter, retry, .. } = &*self.0;
        // A future that a task runs must be `Send`.
        let attempts = AtomicU32::new(0);
        let once = || async {
            if let Some(limiter) = limiter {
                limiter.until_ready().await;
            }
            attempts.fetch_add(1, Ordering::Relaxed);
            attempt(self.build(&request), &request).await
        };
        let delay = |failed: &Failed, backoff: Option<Duration>| {
            backoff.map(|backoff| retry.delay(failed.retry_after, backoff))
        };
        let notify = |failed: &Failed, delay: Duration| {
            let delay_seconds = delay.as_secs_f64();
            tracing::info!(delay_seconds, "request to Stripe's API is repeated: {}", failed.error);
        };
        once.retry(retry.backoff())
            .when(|failed: &Failed| failed.is_retryable)
            .adjust(delay)
            .notify(notify)
            .await
            .map_err(|failed| failed.error.after(attempts.load(Ordering::Relaxed)))
    }

    fn build(&self, request: &Request<'_>) -> RequestBuilder {
        let Inner { http, key, base, .. } = &*self.0;
        let url = base.join(request.path, request.query);
        let mut built = http
            .request(request.method.clone(), url)
            .bearer_auth(key.expose())
            .header("stripe-version", API_VERSION);
        if let Some(account) = request.account {
            built = built.header("stripe-account", account);
        }
        if let Some(Form { body, idempotency_key }) = request.form {
            built = built
                .header("idempotency-key", idempotency_key)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body.to_owned());
        }
        built
    }
}

impl Request<'_> {
    /// Path and query.
    pub(super) fn url(&self) -> String {
        if self.query.is_empty() {
            self.path.to_owned()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }

    /// True if the query has a cursor.
    pub(super) fn has_cursor(&self) -> bool {
        let mut names = form_urlencoded::parse(self.query.as_bytes()).map(|(name, _)| name);
        names.any(|it| it == "starting_after" || it == "ending_before")
    }
}

/// Encodes a query or a form.
pub(super) fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
