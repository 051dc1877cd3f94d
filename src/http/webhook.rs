//! `POST /api/stripe/webhook/`: verifies an event, appends it, and answers after the commit.
//!
//! Stripe signs the raw bytes, so no extractor parses them. This is the hot path of the service: a genuine event is
//! not logged, and its bytes are copied once.
//!
//! A request is refused before its body is read if the head shows the error: a missing or malformed signature header,
//! a timestamp outside the tolerance, a `Content-Length` over the limit.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Body as _;
use serde::Serialize;

use super::AppState;
use super::connection_state::ConnectionState;
use super::problem::{Problem, ProblemType};
use crate::clock::Clock;
use crate::ids::{Mode, Position};
use crate::store::{EventFacts, EventSource, NewEvent};
use crate::stripe::envelope::Envelope;
use crate::stripe::signature::SignatureError;

/// Number of thin events, without any snapshot event, that causes a warning.
const THIN_EVENTS_WARNED: u32 = 5;

const SIGNATURE: HeaderName = HeaderName::from_static("stripe-signature");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[derive(Serialize)]
struct Receipt<'a> {
    received: bool,
    event_id: &'a str,
    position: Position,
    duplicate: bool,
}

/// Stores an event. 200 means that it is on disk.
#[tracing::instrument(name = "webhook", level = "debug", skip_all)]
pub(super) async fn receive(
    State(app): State<Arc<AppState>>,
    request: Request,
) -> Result<Response, Problem> {
    let stopwatch = Clock::stopwatch();
    let (head, body) = request.into_parts();
    let has_body = !body.is_end_stream();
    let unread = |problem: Problem| if has_body { problem.closing() } else { problem };
    let signature = signature(&head.headers).map_err(|error| unread(error.into()))?;
    let now = app.clock.now().to_stripe_time();
    let header = app.verifier.read_header(Some(signature.as_bytes()), now);
    let header = header.map_err(|error| unread(error.into()))?;
    let body = app.body_budget.read(body).await?;
    let signers = app.verifier.verify_body(&header, &body.bytes)?;
    ConnectionState::mark_verified(&head.extensions);
    let (bytes, _share) = body.into_verified();

    let text = String::from_utf8(bytes).map_err(|_| {
        Problem::new(ProblemType::NotUtf8, "the body is signed, but it is not UTF-8")
    })?;
    let envelope = Envelope::parse(&text)?;
    let signed_with = signers.signer_for(&envelope.scope())?;
    app.one_time_warnings.check(&envelope, app.mode);
    let facts = EventFacts::from(&envelope);
    let event_id = envelope.id.into_owned();
    let event = NewEvent::new(facts, EventSource::Webhook, Some(signature.into_owned()), text)
        .map_err(|invalid| Problem::new(ProblemType::NotAnEvent, invalid.to_string()))?
        .signed_with(Some(signed_with));

    let appended = app.ingest.submit(event).await?;
    app.metrics.webhook_seconds.observe(stopwatch.elapsed());
    let receipt = Receipt {
        received: true,
        event_id: &event_id,
        position: appended.position,
        duplicate: appended.duplicate,
    };
    let receipt = serde_json::to_vec(&receipt).map_err(|_| {
        Problem::new(
            ProblemType::Internal,
            "the event is stored, but the answer could not be written",
        )
    })?;
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, JSON)], receipt).into_response())
}

/// Signature header as text, in the form that the log stores. Several header lines are one list (RFC 9110).
fn signature(headers: &HeaderMap) -> Result<Cow<'_, str>, SignatureError> {
    let text = |line| HeaderValue::to_str(line).map_err(|_| SignatureError::Malformed);
    let mut lines = headers.get_all(SIGNATURE).iter();
    let mut whole = Cow::from(text(lines.next().ok_or(SignatureError::Missing)?)?);
    for line in lines {
        let joined = whole.to_mut();
        joined.push(',');
        joined.push_str(text(line)?);
    }
    Ok(whole)
}

/// Warnings about received events that are logged at most once.
#[derive(Debug, Default)]
pub struct OneTimeWarnings {
    other_mode: AtomicBool,
    snapshot_seen: AtomicBool,
    thin_seen: AtomicU32,
}

impl OneTimeWarnings {
    fn check(&self, envelope: &Envelope<'_>, mode: Mode) {
        if envelope.livemode != mode.livemode()
            && !self.other_mode.load(Ordering::Relaxed)
            && !self.other_mode.swap(true, Ordering::Relaxed)
        {
            let other = Mode::from_livemode(envelope.livemode);
            tracing::warn!(
                mode = mode.as_str(),
                event_mode = other.as_str(),
                "received the first event of {other} mode: such events are stored but grant no access, because \
                 SUBLEDGER_MODE is {mode}"
            );
        }
        if self.snapshot_seen.load(Ordering::Relaxed) {
            return;
        }
        if !envelope.is_thin {
            self.snapshot_seen.store(true, Ordering::Relaxed);
        } else if self.thin_seen.fetch_add(1, Ordering::Relaxed) + 1 == THIN_EVENTS_WARNED {
            tracing::warn!(
                thin_events = THIN_EVENTS_WARNED,
                "received only thin events, which name their object without its content: set STRIPE_API_KEY so that it \
                 is fetched, or add a webhook endpoint that sends snapshot events"
            );
        }
    }
}
