//! `GET /v1/users/{id}`: may this user use it now?
//!
//! The question that an application asks thousands of times a second. A user whom the ledger does
//! not know has no subscriptions, and that is an answer, not an error.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::SharedState;
use super::access::{AccessRequest, AccessView};
use super::freshness::AtPosition;
use super::params::{Id, Params};
use super::problem::Problem;
use crate::store::AccessHolder;

/// A user of the application, and what they may use.
#[derive(Clone, Debug, Serialize)]
pub struct UserView {
    /// The user, as the application names them.
    pub user_id: String,
    /// Their access.
    #[serde(flatten)]
    pub access: AccessView,
}

pub(super) async fn get(
    State(app): SharedState,
    Id(user_id): Id,
    params: Params,
) -> Result<AtPosition<Json<UserView>>, Problem> {
    let request = AccessRequest::parse(params, app.mode)?;
    let (position, access) = request.answer(&app, AccessHolder::User(user_id.clone())).await?;
    Ok(AtPosition(position, Json(UserView { user_id, access })))
}
