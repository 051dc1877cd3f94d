//! `GET /v1/subscriptions/{id}`: one subscription.

use axum::Json;
use axum::extract::State;

use super::SharedState;
use super::freshness::AtPosition;
use super::params::{Params, PathId};
use super::problem::Problem;
use crate::ids::SubscriptionId;
use crate::store::SubscriptionFilter;
use crate::view::SubscriptionView;

#[tracing::instrument(name = "subscription", level = "debug", skip_all)]
pub(super) async fn get(
    State(app): SharedState,
    PathId(id): PathId,
    mut params: Params,
) -> Result<AtPosition<Json<SubscriptionView>>, Problem> {
    let scope = params.scope(app.mode)?;
    params.finish()?;
    let filter = SubscriptionFilter {
        account: Some(scope.account),
        livemode: Some(scope.livemode),
        subscription_id: Some(SubscriptionId::new(id)),
        ..SubscriptionFilter::default()
    };
    let (stamp, rows) = app.store.read_model.subscriptions(&filter, None, 1).await?;
    let row = rows.into_iter().next().ok_or_else(|| Problem::unknown("subscription"))?;
    let now = app.clock.now().to_stripe_time();
    Ok(AtPosition(stamp.position, Json(SubscriptionView::new(row, now))))
}
