//! `GET /v1/coverage`: from when to when each account and mode is known to be complete, and the gaps.

use axum::Json;
use axum::extract::State;

use super::SharedState;
use super::params::Params;
use super::problem::Problem;
use crate::view::CoverageView;

#[tracing::instrument(name = "coverage", level = "debug", skip_all)]
pub(super) async fn get(
    State(app): SharedState,
    params: Params,
) -> Result<Json<CoverageView>, Problem> {
    params.finish()?;
    let now = app.clock.now().to_stripe_time();
    Ok(Json(CoverageView::read(&app.store.log, app.mode, now).await?))
}
