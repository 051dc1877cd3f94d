//! `GET /v1/events/{id}/payload`: the exact bytes that were received.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::SharedState;
use super::event::find;
use super::params::{Params, PathId};
use super::problem::{Problem, ProblemType};

#[tracing::instrument(name = "event_payload", level = "debug", skip_all)]
pub(super) async fn get(
    State(app): SharedState,
    PathId(id): PathId,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let event = find(&app, id, params).await?;
    let payload = event.payload.ok_or_else(|| {
        Problem::new(
            ProblemType::PayloadErased,
            "the payload was erased; the record is still there",
        )
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        // Stripe's bytes must not be rendered as a page.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, payload))
}
