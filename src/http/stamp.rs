//! How fresh an answer is: `Subledger-Position` and `Subledger-Lag-Seconds` on every read.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{App, Shared};
use crate::ids::Position;
use crate::projector::FollowerState;
use crate::store::GenerationStamp;

const POSITION: HeaderName = HeaderName::from_static("subledger-position");
const LAG_SECONDS: HeaderName = HeaderName::from_static("subledger-lag-seconds");

/// An answer, and how far the read model had folded when it was made.
pub(super) struct Stamped<T>(pub(super) GenerationStamp, pub(super) T);

impl<T: IntoResponse> IntoResponse for Stamped<T> {
    fn into_response(self) -> Response {
        let Self(stamp, answer) = self;
        ([(POSITION, position(stamp.position))], answer).into_response()
    }
}

/// Adds what the answer does not say itself.
pub(super) async fn add(State(app): Shared, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let folded = app.projector.status().position;
    let headers = response.headers_mut();
    let said = headers.entry(POSITION).or_insert_with(|| position(folded)).to_str().ok();
    let answered = said.and_then(|said| said.parse().ok()).map_or(folded, Position);
    let lag = lag_seconds(&app, answered).await.map(|lag| format!("{lag:.3}"));
    if let Some(Ok(lag)) = lag.map(HeaderValue::try_from) {
        headers.insert(LAG_SECONDS, lag);
    }
    response
}

/// For how long the first event that is not in an answer had been in the log. Asked of the log itself,
/// because whoever should fold it may be standing still. None where the log does not say.
async fn lag_seconds(app: &App, answered: Position) -> Option<f64> {
    if app.projector.status().state == FollowerState::Following
        && *app.store.log.appended().borrow() <= answered
    {
        return Some(0.0);
    }
    let waiting = app.store.log.headers_at(&[answered.next()]).await.ok()?;
    let micros =
        waiting.iter().flatten().next().map_or(0, |event| app.clock.now().0 - event.received_at.0);
    let waiting = Duration::from_micros(micros.max(0).unsigned_abs());
    // The event may have been received by a clock that was ahead.
    Some(waiting.max(app.projector.status().stalled_for()).as_secs_f64())
}

fn position(position: Position) -> HeaderValue {
    HeaderValue::from(position.0)
}
