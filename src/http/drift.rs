//! `GET /v1/drift`: last reconciliation of each account and mode.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

use super::SharedState;
use super::params::Params;
use super::problem::Problem;
use crate::ids::AccountId;
use crate::store::SyncState;
use crate::time::ReceivedAt;

#[derive(Serialize)]
pub(super) struct DriftList {
    /// Empty if nothing was ever reconciled.
    data: Vec<DriftView>,
}

/// Last reconciliation of an account and mode.
#[derive(Serialize)]
struct DriftView {
    account: AccountId,
    livemode: bool,
    reconciled_at: ReceivedAt,
    /// The [report](crate::reconcile::Report), with its first 1,000 differences.
    report: Value,
}

#[tracing::instrument(name = "drift", level = "debug", skip_all)]
pub(super) async fn get(
    State(app): SharedState,
    params: Params,
) -> Result<Json<DriftList>, Problem> {
    params.finish()?;
    let states = app.store.log.sync_states().await?;
    Ok(Json(DriftList { data: states.into_iter().filter_map(view).collect() }))
}

/// None if the account was not reconciled.
fn view(state: SyncState) -> Option<DriftView> {
    let SyncState { scope, reconciled_at, drift, .. } = state;
    let report = serde_json::from_str(&drift?).ok()?;
    let (account, livemode) = (scope.account, scope.livemode);
    Some(DriftView { account, livemode, reconciled_at: reconciled_at?, report })
}
