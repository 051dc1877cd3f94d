//! Freshness of an answer: the headers `Subledger-Position` and `Subledger-Lag-Seconds`.

use std::time::Duration;

use axum::Extension;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::AppState;
use crate::ids::Position;
use crate::projector::FollowerState;

const POSITION: HeaderName = HeaderName::from_static("subledger-position");
const LAG_SECONDS: HeaderName = HeaderName::from_static("subledger-lag-seconds");

/// Answer from the read model, with the position that was folded when it was read.
pub(super) struct AtPosition<T>(pub(super) Position, pub(super) T);

/// Position of an answer, for [`add_headers`].
#[derive(Clone, Copy)]
struct AnsweredAt(Position);

impl<T: IntoResponse> IntoResponse for AtPosition<T> {
    fn into_response(self) -> Response {
        let Self(position, answer) = self;
        (Extension(AnsweredAt(position)), answer).into_response()
    }
}

/// Adds the headers to an answer. One without a position of its own gets that of the follower.
pub(super) async fn add_headers(app: &AppState, response: &mut Response) {
    let answered = response.extensions().get().map(|AnsweredAt(position)| *position);
    let position = answered.unwrap_or_else(|| app.projector.status().position);
    let lag = lag_seconds(app, position).await.map(|lag| format!("{lag:.3}"));
    let headers = response.headers_mut();
    headers.insert(POSITION, HeaderValue::from(position.0));
    if let Some(Ok(lag)) = lag.map(HeaderValue::try_from) {
        headers.insert(LAG_SECONDS, lag);
    }
}

/// Time since the first event was logged that the answer does not include; none if the log cannot be read.
///
/// The log is asked, and not the follower: the follower may be the part that has stopped.
async fn lag_seconds(app: &AppState, answered: Position) -> Option<f64> {
    if app.projector.status().state == FollowerState::Following
        && *app.store.log.appended().borrow() <= answered
    {
        return Some(0.0);
    }
    let waiting = app.store.log.headers_at(&[answered.next()]).await.ok()?;
    let micros =
        waiting.iter().flatten().next().map_or(0, |event| app.clock.now().0 - event.received_at.0);
    let waiting = Duration::from_micros(micros.max(0).unsigned_abs());
    // The event may have been received while the clock was ahead.
    Some(waiting.max(app.projector.status().stalled_for()).as_secs_f64())
}
