//! `GET /v1/customers/{id}`: a customer of Stripe's and their subscriptions.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Shared;
use super::params::{Id, Params};
use super::problem::Problem;
use super::stamp::Stamped;
use super::users::SUBSCRIPTIONS_MAX;
use super::view::{Access, SubscriptionView};
use crate::config::Mode;
use crate::ids::{CustomerId, CustomerKey};
use crate::store::SubscriptionFilter;

#[derive(Serialize)]
pub(super) struct CustomerView {
    customer_id: CustomerId,
    mode: &'static str,
    #[serde(flatten)]
    access: Access,
    subscriptions: Vec<SubscriptionView>,
}

pub(super) async fn get(
    State(app): Shared,
    Id(id): Id,
    mut params: Params,
) -> Result<Stamped<Json<CustomerView>>, Problem> {
    let scope = params.scope(app.mode)?;
    params.finish()?;
    let customer_id = CustomerId::new(id);
    let filter = SubscriptionFilter {
        account: Some(scope.account.clone()),
        livemode: Some(scope.livemode),
        customer_id: Some(customer_id.clone()),
        ..SubscriptionFilter::default()
    };
    let mode = Mode::of(scope.livemode).as_str();
    let read = &app.store.read_model;
    let (stamp, rows) = read.subscriptions(&filter, None, SUBSCRIPTIONS_MAX).await?;
    if rows.is_empty() {
        let key = CustomerKey { scope, customer: customer_id.clone() };
        if !read.customer_exists(&key).await?.1 {
            return Err(Problem::unknown("customer"));
        }
    }
    let now = app.clock.now().to_stripe_time();
    let subscriptions = SubscriptionView::all(rows, now);
    let access = Access::of(&subscriptions);
    Ok(Stamped(stamp, Json(CustomerView { customer_id, mode, access, subscriptions })))
}
