//! `GET /v1/subscriptions/{id}/explain`: the event that set each field of the row.

use axum::Json;
use axum::extract::State;

use super::SharedState;
use super::freshness::AtPosition;
use super::params::{INSTANT, Params, PathId};
use super::problem::Problem;
use crate::audit::{self, Explanation, Past};
use crate::ids::SubscriptionId;
use crate::time::{ReceivedAt, StripeTime};

#[tracing::instrument(name = "explain", level = "debug", skip_all)]
pub(super) async fn get(
    State(app): SharedState,
    PathId(id): PathId,
    mut params: Params,
) -> Result<AtPosition<Json<Explanation>>, Problem> {
    let as_of = params.parse("as_of", INSTANT, StripeTime::parse)?;
    let known_at = params.parse("known_at", INSTANT, ReceivedAt::parse)?;
    let scope = params.scope(app.mode)?;
    params.finish()?;
    let past = Past { as_of, known_at };
    let now = app.clock.now().to_stripe_time();
    let explained = audit::explain(&app.store, scope, SubscriptionId::new(id), past, now).await?;
    let (stamp, explanation) = explained.ok_or_else(|| Problem::unknown("subscription"))?;
    Ok(AtPosition(stamp.position, Json(explanation)))
}
