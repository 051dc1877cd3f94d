//! One attempt of a request.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::value::RawValue;

use super::client::{ApiAnswer, Request};
use super::error::{ApiError, Refusal, RequestId, plain, reason_of};
use super::{API_VERSION, BODY_BYTES_MAX};
use crate::clock::Clock;
use crate::stripe::observation::{ApiRequest, StripeSeconds};

/// Greatest size of an error's body that is read.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// Failed attempt.
pub(super) struct Failed {
    pub(super) error: ApiError,
    pub(super) is_retryable: bool,
    /// Delay that Stripe asks for.
    pub(super) retry_after: Option<Duration>,
}

/// Sends a request once, and reads its answer to the end.
pub(super) async fn attempt(
    sent: RequestBuilder,
    request: &Request<'_>,
) -> Result<ApiAnswer, Failed> {
    let stopwatch = Clock::stopwatch();
    let mut response = sent.send().await.map_err(|error| broken(request, reason_of(error)))?;
    let status = response.status();
    if !status.is_success() {
        return Err(refused(response, request).await);
    }
    let body = read(&mut response, BODY_BYTES_MAX, request).await?;
    let seconds = stopwatch.elapsed().as_secs_f64();
    let headers = response.headers();
    let request_id = text(headers, "request-id");
    // A body without a length that was cut off looks complete, but is no JSON.
    let body = String::from_utf8(body).ok().filter(|it| is_json(it));
    let Some(body) = body else {
        return Err(broken(request, "the answer is no JSON in UTF-8, or was cut off".to_owned()));
    };
    let Some(date) = date(headers) else {
        let (path, request) = (request.path.to_owned(), RequestId(request_id));
        let error = ApiError::NoDate { path, request };
        return Err(Failed { error, is_retryable: false, retry_after: None });
    };
    let request = ApiRequest {
        method: request.method.as_str().to_owned(),
        url: request.url(),
        stripe_version: text(headers, "stripe-version").or_else(|| Some(API_VERSION.to_owned())),
        request_id,
        date,
        seconds,
    };
    Ok(ApiAnswer { body, request })
}

/// Failure of the connection.
fn broken(request: &Request<'_>, reason: String) -> Failed {
    let path = request.path.to_owned();
    let error = ApiError::Unavailable { path, attempts: 1, reason, request: RequestId::default() };
    Failed { error, is_retryable: true, retry_after: None }
}

/// Failure that the answer states.
async fn refused(mut response: Response, request: &Request<'_>) -> Failed {
    let status = response.status();
    // An error whose body cannot be read is classified by its status.
    let body = read(&mut response, ERROR_BYTES_MAX, request).await.unwrap_or_default();
    let headers = response.headers();
    let rate_reason = text(headers, "stripe-rate-limited-reason");
    let refusal = Refusal {
        path: request.path,
        has_cursor: request.has_cursor(),
        account: request.account,
        status: status.as_u16(),
        request: RequestId(text(headers, "request-id")),
        rate_reason: rate_reason.as_deref(),
        body: &body,
    };
    let is_retryable = match text(headers, "stripe-should-retry").as_deref() {
        Some("true") => true,
        Some("false") => false,
        _ => {
            matches!(status, StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS)
                || status.is_server_error()
        }
    };
    let retry_after = headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok()?.trim().parse().ok());
    Failed {
        error: refusal.into_error(),
        is_retryable,
        retry_after: retry_after.map(Duration::from_secs),
    }
}

/// Reads a body of at most `bytes_max` bytes.
async fn read(
    response: &mut Response,
    bytes_max: usize,
    request: &Request<'_>,
) -> Result<Vec<u8>, Failed> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > bytes_max => {
                let error = ApiError::TooLarge { path: request.path.to_owned() };
                return Err(Failed { error, is_retryable: false, retry_after: None });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => {
                let reason = format!("the answer was cut off: {}", reason_of(error));
                return Err(broken(request, reason));
            }
        }
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|it| it.to_str().ok()).map(str::to_owned).and_then(plain)
}

fn date(headers: &HeaderMap) -> Option<StripeSeconds> {
    let date = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(StripeSeconds(date.timestamp()))
}
