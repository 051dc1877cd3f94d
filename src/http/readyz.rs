//! `GET /readyz`: whether the log accepts events and the read model follows it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Shared;
use crate::projector::FollowerState;

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    /// What is missing, in words; empty where ready.
    reasons: Vec<String>,
    /// What is going on besides.
    notes: Vec<String>,
}

pub(super) async fn get(State(app): Shared) -> Response {
    let mut reasons = Vec::new();
    if app.store.log.check_append().await.is_err() {
        reasons.push("the log does not accept events".to_owned());
    }
    let follower = app.projector.status();
    let notes = follower.rebuilding.iter().map(ToString::to_string).collect();
    match follower.state {
        // Another process keeps it current.
        FollowerState::Following | FollowerState::Standby => {}
        FollowerState::Starting => reasons.push("the read model is not yet looked at".to_owned()),
        FollowerState::Building => reasons.push("the read model is being built".to_owned()),
        FollowerState::Failing => reasons.push("the read model does not follow the log".to_owned()),
        FollowerState::Frozen => reasons.push(super::healthz::FROZEN.to_owned()),
        FollowerState::Stopped => reasons.push("shutting down".to_owned()),
    }
    let (code, status) = if reasons.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    (code, Json(Readiness { status, reasons, notes })).into_response()
}
