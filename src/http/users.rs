//! `GET /v1/users/{id}`: may this user use it now?
//!
//! The question that an application asks thousands of times a second. A user whom the ledger does
//! not know has no subscriptions, and that is an answer, not an error.

use axum::Json;
use axum::extract::State;

use super::Shared;
use super::params::{Id, Params};
use super::problem::Problem;
use super::stamp::Stamped;
use super::view::{Access, SubscriptionView, UserView, Wanted};
use crate::config::Mode;
use crate::store::SubscriptionFilter;

/// Subscriptions of one user that are looked at, at most.
pub(super) const SUBSCRIPTIONS_MAX: usize = 1_000;

pub(super) async fn get(
    State(app): Shared,
    Id(user_id): Id,
    mut params: Params,
) -> Result<Stamped<Json<UserView>>, Problem> {
    let wanted = Wanted {
        product_id: params.text("product_id")?,
        price_id: params.text("price_id")?,
        lookup_key: params.text("lookup_key")?,
    };
    let scope = params.scope(app.mode)?;
    params.finish()?;

    let filter = SubscriptionFilter {
        account: Some(scope.account),
        livemode: Some(scope.livemode),
        user_id: Some(user_id.clone()),
        ..SubscriptionFilter::default()
    };
    let (stamp, rows) =
        app.store.read_model.subscriptions(&filter, None, SUBSCRIPTIONS_MAX).await?;
    let now = app.clock.now().to_stripe_time();
    let (matching, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| wanted.is_in(row));
    let mut subscriptions = SubscriptionView::all(matching, now);
    let access = Access::of(&subscriptions);
    // Where Stripe cut the items short, what is asked for may be among those that are not here.
    let undecided: Vec<_> = others.into_iter().filter(|row| row.items_truncated).collect();
    let incomplete = !undecided.is_empty();
    subscriptions.extend(undecided.into_iter().map(SubscriptionView::undecided));
    let mode = Mode::of(scope.livemode).as_str();
    Ok(Stamped(stamp, Json(UserView { user_id, mode, access, subscriptions, incomplete })))
}
