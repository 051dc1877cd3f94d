//! `GET /v1/projections`: generations of the read model, and events that could not be folded.

use axum::Json;
use axum::extract::State;

use super::SharedState;
use super::params::Params;
use super::problem::Problem;
use crate::projector::{self, Projections};

#[tracing::instrument(name = "projections", level = "debug", skip_all)]
pub(super) async fn get(
    State(app): SharedState,
    params: Params,
) -> Result<Json<Projections>, Problem> {
    params.finish()?;
    Ok(Json(projector::list(&app.store, app.clock.now(), Some(&app.projector)).await?))
}
