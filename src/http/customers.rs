//! `GET /v1/customers/{id}`: a customer of Stripe's and their subscriptions.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Shared;
use super::access::{AccessView, Asked};
use super::params::{Id, Params};
use super::problem::Problem;
use super::stamp::Stamped;
use crate::ids::{CustomerId, CustomerKey};
use crate::store::AccessHolder;

#[derive(Serialize)]
pub(super) struct CustomerView {
    customer_id: CustomerId,
    #[serde(flatten)]
    access: AccessView,
}

pub(super) async fn get(
    State(app): Shared,
    Id(id): Id,
    params: Params,
) -> Result<Stamped<Json<CustomerView>>, Problem> {
    let customer_id = CustomerId::new(id);
    let asked = Asked::read(params, app.mode)?;
    let key = CustomerKey { scope: asked.scope.clone(), customer: customer_id.clone() };
    let (stamp, access) = asked.answer(&app, AccessHolder::Customer(customer_id.clone())).await?;
    if access.subscriptions.is_empty() && !app.store.read_model.customer_exists(&key).await?.1 {
        return Err(Problem::unknown("customer"));
    }
    Ok(Stamped(stamp, Json(CustomerView { customer_id, access })))
}
