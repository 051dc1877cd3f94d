//! `GET /v1/customers/{id}`: access and subscriptions of a Stripe customer.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::SharedState;
use super::access::{AccessRequest, AccessView};
use super::freshness::AtPosition;
use super::params::{Params, PathId};
use super::problem::Problem;
use crate::ids::{CustomerId, CustomerKey};
use crate::store::AccessHolder;

#[derive(Serialize)]
pub(super) struct CustomerView {
    customer_id: CustomerId,
    #[serde(flatten)]
    access: AccessView,
}

#[tracing::instrument(name = "customer", level = "debug", skip_all)]
pub(super) async fn get(
    State(app): SharedState,
    PathId(id): PathId,
    params: Params,
) -> Result<AtPosition<Json<CustomerView>>, Problem> {
    let customer_id = CustomerId::new(id);
    let request = AccessRequest::parse(params, app.mode)?;
    let key = CustomerKey { scope: request.scope.clone(), customer: customer_id.clone() };
    let (position, access) =
        request.answer(&app, AccessHolder::Customer(customer_id.clone())).await?;
    if access.subscriptions.is_empty() && !app.store.read_model.customer_exists(&key).await?.1 {
        return Err(Problem::unknown("customer"));
    }
    Ok(AtPosition(position, Json(CustomerView { customer_id, access })))
}
