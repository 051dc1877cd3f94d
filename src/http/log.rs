//! `GET /v1/log`: head of the log.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::SharedState;
use super::params::Params;
use super::problem::Problem;
use crate::ids::Position;

#[derive(Serialize)]
pub(super) struct HeadView {
    log_id: String,
    size: Position,
    /// Root of the Merkle tree, in base64.
    root: String,
}

#[tracing::instrument(name = "log", level = "debug", skip_all)]
pub(super) async fn get(
    State(app): SharedState,
    params: Params,
) -> Result<Json<HeadView>, Problem> {
    params.finish()?;
    let head = app.store.log.head().await?;
    Ok(Json(HeadView { log_id: head.log_id, size: head.size, root: STANDARD.encode(head.root) }))
}
