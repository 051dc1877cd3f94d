//! How fresh an answer is: `Subledger-Position` and `Subledger-Lag-Seconds` on every read.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Shared;
use crate::ids::Position;
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
    let status = app.projector.status();
    let headers = response.headers_mut();
    headers.entry(POSITION).or_insert_with(|| position(status.position));
    let lag = format!("{:.3}", status.lag_seconds(app.clock.now()));
    if let Ok(lag) = HeaderValue::try_from(lag) {
        headers.insert(LAG_SECONDS, lag);
    }
    response
}

fn position(position: Position) -> HeaderValue {
    HeaderValue::from(position.0)
}
