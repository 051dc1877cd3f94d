//! `GET /v1/subscriptions`: subscriptions, filtered and in pages.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::SharedState;
use super::freshness::AtPosition;
use super::params::{Params, cursor};
use super::problem::Problem;
use crate::ids::{AccountId, CustomerId, Scope, SubscriptionId};
use crate::store::{SubscriptionFilter, SubscriptionKey};
use crate::view::InvalidStatus;
use crate::view::SubscriptionView;

#[derive(Serialize)]
pub(super) struct SubscriptionPage {
    data: Vec<SubscriptionView>,
    /// Value of `after` for the next page; null on the last page.
    next: Option<String>,
}

#[tracing::instrument(name = "subscriptions", level = "debug", skip_all)]
pub(super) async fn get(
    State(app): SharedState,
    mut params: Params,
) -> Result<AtPosition<Json<SubscriptionPage>>, Problem> {
    let now = app.clock.now().to_stripe_time();
    let limit = params.limit()?;
    let after = params.after(read_key)?;
    let scope = params.scope(app.mode)?;
    let filter = SubscriptionFilter {
        account: Some(scope.account.clone()),
        livemode: Some(scope.livemode),
        user_id: params.text("user_id")?,
        customer_id: params.text("customer_id")?.map(CustomerId::new),
        statuses: params.list("status")?,
        active: params.boolean("active")?.map(|active| (active, now)),
        item: params.item()?,
        ..SubscriptionFilter::default()
    };
    params.finish()?;
    let read_model = &app.store.read_model;
    if let Some(invalid) = InvalidStatus::find(&filter.statuses, &scope, read_model).await? {
        let why = format!("{invalid}; {}", invalid.hint());
        return Err(Problem::parameter("status", why));
    }

    // One row more than the limit shows whether there is a next page.
    let (stamp, mut rows) = read_model.subscriptions(&filter, after.as_ref(), limit + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|row| cursor(&format!("{}\n{}\n{}", row.account, row.livemode, row.subscription_id)));
    let data = SubscriptionView::all(rows, now);
    Ok(AtPosition(stamp.position, Json(SubscriptionPage { data, next })))
}

fn read_key(key: &str) -> Option<SubscriptionKey> {
    let mut parts = key.splitn(3, '\n');
    let scope =
        Scope { account: AccountId::from(parts.next()?), livemode: parts.next()?.parse().ok()? };
    Some(SubscriptionKey { scope, id: SubscriptionId::from(parts.next()?) })
}
