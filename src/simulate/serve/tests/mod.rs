//! The server as a client sees it.

mod endpoints;
mod events;
mod faults;
mod inner_lists;
mod lists;
mod permissions;
mod truth;

use std::sync::LazyLock;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;

use super::*;

/// Answer of the server.
struct Answered {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

/// Client with a key.
#[derive(Clone)]
struct Client {
    stripe: SimulatedStripe,
    key: &'static str,
    account: &'static str,
}

fn plan() -> Plan {
    Plan { subscriptions: 80, months: 5, format: Format::Compact, ..Plan::default() }
}

/// World that only reads share.
fn world() -> &'static SimulatedStripe {
    static WORLD: LazyLock<SimulatedStripe> = LazyLock::new(|| new(Options::default()));
    &WORLD
}

fn new(options: Options) -> SimulatedStripe {
    SimulatedStripe::new(&plan(), options)
}

fn live(stripe: &SimulatedStripe) -> Client {
    Client { stripe: stripe.clone(), key: LIVE_KEY, account: "" }
}

fn test(stripe: &SimulatedStripe) -> Client {
    Client { key: TEST_KEY, ..live(stripe) }
}

impl Client {
    /// Clients of all accounts and modes with objects.
    fn all(stripe: &'static SimulatedStripe) -> Vec<Self> {
        let accounts = [""].into_iter().chain(stripe.connected_accounts());
        let of = |account| [test(stripe), live(stripe)].map(|client| Self { account, ..client });
        accounts.flat_map(of).collect()
    }

    fn request(&self, method: &str, url: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(url);
        let request = request.header("authorization", format!("Bearer {}", self.key));
        match self.account {
            "" => request,
            account => request.header("stripe-account", account),
        }
    }

    async fn get(&self, url: &str) -> Answered {
        self.send(self.request("GET", url).body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn post(&self, url: &str, form: &str) -> Answered {
        let request = self.request("POST", url).body(Body::from(form.to_owned()));
        self.send(request.unwrap()).await.unwrap()
    }

    /// `None`: the body broke off.
    async fn send(&self, request: Request<Body>) -> Option<Answered> {
        let response = TowerToHyperService::new(self.stripe.router()).call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.ok()?;
        let body = std::str::from_utf8(&body).unwrap().parse().unwrap();
        Some(Answered { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// All objects of a list, page by page.
    async fn walk(&self, url: &str, limit: usize) -> Vec<Value> {
        let separator = if url.contains('?') { '&' } else { '?' };
        let mut all: Vec<Value> = Vec::new();
        loop {
            let mut page_url = format!("{url}{separator}limit={limit}");
            if let Some(last) = all.last() {
                page_url.push_str("&starting_after=");
                page_url.push_str(last["id"].as_str().unwrap());
            }
            let page = self.get(&page_url).await;
            assert_eq!(page.status, 200, "{page_url}: {}", page.body);
            let data = page.body["data"].as_array().unwrap();
            let has_more = page.body["has_more"].as_bool().unwrap();
            assert!(data.len() == limit || !has_more);
            all.extend(data.iter().cloned());
            if !has_more {
                return all;
            }
        }
    }
}

impl Answered {
    fn error(&self, field: &str) -> &str {
        self.body["error"][field].as_str().unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn ids(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|object| object["id"].as_str().unwrap()).collect()
}
