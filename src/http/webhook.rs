//! `POST /api/stripe/webhook/`: an event comes in, is verified, appended, and only then answered.
//!
//! The raw bytes are what Stripe signed, so no extractor touches them. This is the one hot path of
//! the service: nothing is logged here for a genuine event, and its bytes are copied once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use serde::Serialize;

use super::App;
use super::problem::{Kind, Problem};
use crate::clock::Clock;
use crate::config::Mode;
use crate::store::{EventFacts, NewEvent, Source};
use crate::stripe::envelope::Envelope;
use crate::stripe::signature::{HEADER_BYTES_MAX, SignatureError};

/// The largest body, in bytes. Stripe's largest known events stay far below.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How much of too large a body is read and thrown away, in bytes, so that its sender gets to read
/// the answer.
const DISCARD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// How many thin events, without a snapshot event among them, are worth a warning.
const THIN_EVENTS_ALONE: u32 = 5;

const SIGNATURE: HeaderName = HeaderName::from_static("stripe-signature");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[derive(Serialize)]
struct Receipt<'a> {
    received: bool,
    event_id: &'a str,
    position: i64,
    duplicate: bool,
}

/// Stores an event. 200 means that it is on the disk.
pub(super) async fn receive(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let stopwatch = Clock::stopwatch();
    let (head, body) = request.into_parts();
    // Before the body: who signs nothing is not given the memory to hold one.
    let signature = signature(&head.headers)?;
    let body = read(body).await?;
    let now = app.clock.now().to_stripe_time();
    let signers = app.verifier.verify(Some(signature.as_bytes()), &body, now)?;

    let text = std::str::from_utf8(&body)
        .map_err(|_| Problem::new(Kind::NotUtf8, "the body is signed, but it is not UTF-8"))?;
    let envelope = Envelope::parse(text)?;
    let signed_with = signers.vouching_for(&envelope.scope())?;
    app.notices.notice(&envelope, app.mode);
    let event = NewEvent::new(
        EventFacts::from(&envelope),
        Source::Webhook,
        Some(signature.to_owned()),
        text.to_owned(),
    )
    .map_err(|invalid| Problem::new(Kind::NotAnEvent, invalid.to_string()))?
    .signed_with(Some(signed_with));

    let appended = app.ingest.submit(event).await?;
    let counter = if appended.duplicate {
        &app.metrics.events_duplicate
    } else {
        &app.metrics.events_appended
    };
    counter.inc();
    app.metrics.webhook_seconds.observe(stopwatch.elapsed());
    let receipt = Receipt {
        received: true,
        event_id: &envelope.id,
        position: appended.position.0,
        duplicate: appended.duplicate,
    };
    let receipt = serde_json::to_vec(&receipt)
        .map_err(|_| Problem::new(Kind::Internal, "the event is stored; its answer is lost"))?;
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, JSON)], receipt).into_response())
}

/// The signature's header, as far as it can be judged without the body. The log keeps it as text;
/// Stripe's is ASCII.
fn signature(headers: &HeaderMap) -> Result<&str, SignatureError> {
    let value = headers.get(SIGNATURE).ok_or(SignatureError::Missing)?;
    let text = value.to_str().map_err(|_| SignatureError::Malformed)?;
    if text.len() > HEADER_BYTES_MAX {
        return Err(SignatureError::Malformed);
    }
    Ok(text)
}

/// The whole body, within the limits of size and time.
async fn read(body: Body) -> Result<Bytes, Problem> {
    match tokio::time::timeout(BODY_TIMEOUT, collect(body)).await {
        Ok(result) => result,
        Err(_) => Err(Problem::new(
            Kind::BodyTooSlow,
            format!("the body did not arrive within {} seconds", BODY_TIMEOUT.as_secs()),
        )),
    }
}

/// Collects the frames; one that holds everything, as nearly always, is not copied.
async fn collect(mut body: Body) -> Result<Bytes, Problem> {
    let mut whole: Vec<u8> = Vec::new();
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|_| Problem::new(Kind::BodyIncomplete, "the body ended before its end"))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen > BODY_BYTES_MAX {
            whole = Vec::new();
            if seen > DISCARD_BYTES_MAX {
                break;
            }
        } else if whole.is_empty() && body.is_end_stream() {
            return Ok(data);
        } else {
            whole.extend_from_slice(&data);
        }
    }
    if seen > BODY_BYTES_MAX {
        let detail = format!("an event has at most {BODY_BYTES_MAX} bytes");
        return Err(Problem::new(Kind::BodyTooLarge, detail));
    }
    Ok(whole.into())
}

/// What is said once, when it is first seen.
#[derive(Debug, Default)]
pub struct Notices {
    other_mode: AtomicBool,
    snapshot_seen: AtomicBool,
    thin_seen: AtomicU32,
}

impl Notices {
    fn notice(&self, envelope: &Envelope<'_>, mode: Mode) {
        if envelope.livemode != mode.livemode()
            && !self.other_mode.load(Ordering::Relaxed)
            && !self.other_mode.swap(true, Ordering::Relaxed)
        {
            let other = Mode::of(envelope.livemode);
            tracing::warn!(
                mode = mode.as_str(),
                event_mode = other.as_str(),
                "the first event of {other} mode arrived: such events are kept but grant nothing, \
                 because SUBLEDGER_MODE is {mode}"
            );
        }
        if self.snapshot_seen.load(Ordering::Relaxed) {
            return;
        }
        if !envelope.thin {
            self.snapshot_seen.store(true, Ordering::Relaxed);
        } else if self.thin_seen.fetch_add(1, Ordering::Relaxed) + 1 == THIN_EVENTS_ALONE {
            tracing::warn!(
                thin_events = THIN_EVENTS_ALONE,
                "only thin events arrive, which name their object and do not carry it: they are \
                 kept, but no subscription can be read from them; add a webhook endpoint that \
                 sends snapshot events"
            );
        }
    }
}
