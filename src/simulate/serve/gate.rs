//! Gate that every request passes: key, limits, faults, version, route and permission; and the headers of its answer.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use chrono::DateTime;
use futures_util::stream;

use super::accounts::PLATFORM_ACCOUNT;
use super::call::{Answer, Call};
use super::error::ApiError;
use super::faults::Faults;
use super::params::Params;
use super::route::{self, Route};
use super::server_time::MICROS;
use super::{SimulatedStripe, keys};
use crate::simulate::dice::Dice;
use crate::simulate::version::ApiVersion;

/// Greatest size of a form.
const FORM_BYTES_MAX: usize = 64 * 1024;
/// Greatest number of requests that are remembered.
const SEEN_MAX: usize = 100_000;

/// Request that the server has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query.
    pub url: String,
    /// Header `Stripe-Account`.
    pub account: Option<String>,
    /// Status code of the answer.
    pub status: u16,
    /// True if the answer was cut.
    pub is_cut: bool,
}

/// Answers a request.
pub(super) async fn answer(State(stripe): State<SimulatedStripe>, request: Request) -> Response {
    let number = stripe.0.requests.fetch_add(1, Ordering::SeqCst);
    let micros = stripe.0.time.tick();
    let faults = stripe.0.faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut dice = faults.dice(number);
    let (parts, body) = request.into_parts();
    // Stripe refuses a longer form; here it is a form without parameters.
    let form = to_bytes(body, FORM_BYTES_MAX).await.unwrap_or_default();
    let entered = stripe.0.limits.enter(&faults, &mut dice);
    let visit = Visit { stripe: &stripe, parts: &parts, form, micros };
    let answer = match &entered {
        Ok(_) => visit.answer(&faults, &mut dice),
        Err(error) => Err(error.clone()),
    };
    let delay = faults.delay(&mut dice);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    drop(entered);
    let (status, headers, body) = match answer {
        Ok(body) => (StatusCode::OK, Vec::new(), body),
        Err(error) => (error.status, error.headers.clone(), error.body()),
    };
    let cut = faults.cut(&mut dice, body.len());
    visit.remember(status, cut.is_some());
    let length = body.len();
    let mut response = Response::new(match cut {
        None => Body::from(body),
        Some(bytes) => cut_body(&body, bytes),
    });
    *response.status_mut() = status;
    let out = response.headers_mut();
    out.insert(CONTENT_LENGTH, HeaderValue::from(length));
    visit.common_headers(out, &faults, number);
    for (name, value) in headers {
        set(out, HeaderName::from_static(name), &value);
    }
    response
}

/// Request with what it needs.
struct Visit<'a> {
    stripe: &'a SimulatedStripe,
    parts: &'a Parts,
    form: Bytes,
    /// Instant of the server's time, in microseconds.
    micros: i64,
}

impl Visit<'_> {
    fn answer(&self, faults: &Faults, dice: &mut Dice) -> Answer {
        let Self { stripe, parts, .. } = *self;
        let key = keys::authenticate(&stripe.0.options.keys, &parts.headers)?;
        let (method, path) = (parts.method.as_str(), parts.uri.path());
        let livemode = key.livemode();
        let account = self.header("stripe-account").filter(|it| *it != PLATFORM_ACCOUNT);
        let route = route::find(method, path);
        let endpoint = route.as_ref().map_or("", |route| route.endpoint);
        let account_and_mode = format!("{}/{livemode}", account.unwrap_or_default());
        stripe.0.limits.count(faults, dice, (&account_and_mode, endpoint), self.micros)?;
        faults.error(dice)?;
        if let Some(account) = account {
            let exists = stripe.connected_accounts().any(|it| it == account);
            key.require_account(account, exists)?;
        }
        let version = self.version()?;
        let Some(Route { permission, handler, id, .. }) = route else {
            let text = format!("Unrecognized request URL ({method}: {path}).");
            return Err(ApiError::new(StatusCode::NOT_FOUND, text));
        };
        key.require(permission, account.unwrap_or(PLATFORM_ACCOUNT))?;
        let account = account.unwrap_or_default();
        let query = parts.uri.query().unwrap_or_default();
        let is_get = method == "GET";
        let encoded = if is_get { query.as_bytes() } else { &self.form[..] };
        let mut call = Call {
            stripe,
            shelf: stripe.shelf(account, livemode),
            account,
            livemode,
            version,
            now: self.micros.div_euclid(MICROS),
            path,
            id,
            params: Params::parse(encoded),
            idempotency_key: self.header("idempotency-key").map(str::to_owned),
        };
        handler(&mut call)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    fn version(&self) -> Result<ApiVersion, ApiError> {
        let Some(name) = self.header("stripe-version") else {
            return Ok(self.stripe.0.options.version);
        };
        ApiVersion::in_force_at(name)
            .ok_or_else(|| ApiError::invalid(format!("Invalid Stripe API version: {name}")))
    }

    fn common_headers(&self, out: &mut HeaderMap, faults: &Faults, number: u64) {
        let own = self.stripe.0.options.version.as_str();
        let version = self.header("stripe-version").unwrap_or(own);
        let date = DateTime::from_timestamp(self.micros.div_euclid(MICROS), 0).unwrap_or_default();
        // Another stream than that of the faults, so that an id does not depend on them.
        let mut dice = Dice::new(!faults.seed, number);
        out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        set(out, DATE, &date.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        set(out, HeaderName::from_static("request-id"), &format!("req_{}", dice.letters(14)));
        set(out, HeaderName::from_static("stripe-version"), version);
    }

    fn remember(&self, status: StatusCode, is_cut: bool) {
        let seen = SeenRequest {
            method: self.parts.method.to_string(),
            url: self.parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            account: self.header("stripe-account").map(str::to_owned),
            status: status.as_u16(),
            is_cut,
        };
        let mut journal = self.stripe.0.journal.lock().unwrap_or_else(PoisonError::into_inner);
        if journal.len() < SEEN_MAX {
            journal.push(seen);
        }
    }
}

fn set(out: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        out.insert(name, value);
    }
}

/// First bytes of a body, after which the connection breaks.
fn cut_body(body: &str, bytes: usize) -> Body {
    let start = Bytes::copy_from_slice(&body.as_bytes()[..bytes]);
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    Body::from_stream(stream::iter([Ok(start), Err(broken)]))
}
