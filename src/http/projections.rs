//! `GET /v1/projections`: the generations of the read model, and what could not be folded.

use axum::Json;
use axum::extract::State;

use super::Shared;
use super::problem::Problem;
use crate::projections::{self, Projections};

pub(super) async fn get(State(app): Shared) -> Result<Json<Projections>, Problem> {
    Ok(Json(projections::list(&app.store, app.clock.now()).await?))
}
