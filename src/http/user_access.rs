//! `GET /v1/users/{id}/access` and `GET /v1/customers/{id}/access`: whether access is granted, until when, and to what.
//!
//! Applications send this request thousands of times a second. Somebody whom the ledger does not know has no
//! subscriptions; that is an answer and not an error.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::access_answer::AccessParams;
use super::auth::Caller;
use super::conditional::respond;
use super::freshness::AtPosition;
use super::params::{Params, PathId};
use super::problem::Problem;
use super::{AppState, SharedState};
use crate::ids::CustomerId;
use crate::store::AccessHolder;

#[tracing::instrument(name = "user_access", level = "debug", skip_all)]
pub(super) async fn get_user(
    State(app): SharedState,
    PathId(id): PathId,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    params: Params,
) -> Result<AtPosition<Response>, Problem> {
    answer(&app, params, caller, AccessHolder::User(id), &headers).await
}

#[tracing::instrument(name = "customer_access", level = "debug", skip_all)]
pub(super) async fn get_customer(
    State(app): SharedState,
    PathId(id): PathId,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    params: Params,
) -> Result<AtPosition<Response>, Problem> {
    answer(&app, params, caller, AccessHolder::Customer(CustomerId::new(id)), &headers).await
}

async fn answer(
    app: &AppState,
    params: Params,
    caller: Caller,
    holder: AccessHolder,
    headers: &HeaderMap,
) -> Result<AtPosition<Response>, Problem> {
    let params = AccessParams::parse(params, app.mode, caller)?;
    let (position, answer) = params.answer_one(app, holder).await?;
    Ok(AtPosition(position, respond(headers, position, &answer)?))
}
