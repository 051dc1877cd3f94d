//! `GET /v1/events/{id}/payload`: the bytes exactly as they were received.

use axum::extract::State;
use axum::http::{HeaderName, header};

use super::SharedState;
use super::event::find;
use super::params::{Id, Params};
use super::problem::{Problem, ProblemType};

pub(super) async fn get(
    State(app): SharedState,
    Id(id): Id,
    params: Params,
) -> Result<([(HeaderName, &'static str); 2], String), Problem> {
    let event = find(&app, id, params).await?;
    let payload = event.payload.ok_or_else(|| {
        Problem::new(
            ProblemType::PayloadErased,
            "the payload was erased; the record is still there",
        )
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        // A body is whatever Stripe sent; no browser shall take it for a page.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, payload))
}
