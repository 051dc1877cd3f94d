//! `GET /v1/users/{id}`: access of a user.
//!
//! Applications send this request thousands of times a second. A user that the ledger does not know has no
//! subscriptions; that is an answer and not an error.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::SharedState;
use super::access::{AccessRequest, AccessView};
use super::freshness::AtPosition;
use super::params::{Params, PathId};
use super::problem::Problem;
use crate::store::AccessHolder;

/// User of the application, with their access.
#[derive(Clone, Debug, Serialize)]
pub struct UserView {
    /// Id of the user in the application.
    pub user_id: String,
    /// Access of the user.
    #[serde(flatten)]
    pub access: AccessView,
}

#[tracing::instrument(name = "user", level = "debug", skip_all)]
pub(super) async fn get(
    State(app): SharedState,
    PathId(user_id): PathId,
    params: Params,
) -> Result<AtPosition<Json<UserView>>, Problem> {
    let request = AccessRequest::parse(params, app.mode)?;
    let (position, access) = request.answer(&app, AccessHolder::User(user_id.clone())).await?;
    Ok(AtPosition(position, Json(UserView { user_id, access })))
}
