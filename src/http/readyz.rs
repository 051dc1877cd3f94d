//! `GET /readyz`: whether events are stored and folded, by what has moved lately.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{App, Shared};
use crate::projector::{FollowerState, Status};

/// Time that an event may wait to be stored before the ledger is not ready.
const APPEND_STALLED: Duration = Duration::from_secs(5);
/// Time without a folded batch, while the log is ahead, after which the ledger is not ready.
const FOLD_STALLED: Duration = Duration::from_secs(15);
/// Time that the log may take to say whether it accepts events.
const LOG_TIMEOUT: Duration = Duration::from_secs(2);

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
    let accepts = tokio::time::timeout(LOG_TIMEOUT, app.store.log.check_append()).await;
    if !matches!(accepts, Ok(Ok(()))) {
        reasons.push("the log does not accept events".to_owned());
    }
    let follower = app.projector.status();
    reasons.extend(stalled_append(&app));
    reasons.extend(stalled_fold(&follower));
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

/// Says so where an event has been waiting for too long to be stored.
pub(super) fn stalled_append(app: &App) -> Option<String> {
    let waiting = app.ingest.oldest_wait();
    let last = app.ingest.stats().since_last_commit();
    let last =
        last.map_or(String::new(), |it| format!("; the last commit was {} s ago", it.as_secs()));
    (waiting > APPEND_STALLED).then(|| {
        format!("an event has been waiting for {} s to be stored{last}", waiting.as_secs())
    })
}

/// Says so where nothing has been folded for too long although the log is ahead.
pub(super) fn stalled_fold(follower: &Status) -> Option<String> {
    let standing = follower.stalled_for();
    (standing > FOLD_STALLED).then(|| {
        format!(
            "the read model has not moved for {} s and is {} events behind the log",
            standing.as_secs(),
            follower.lag_events()
        )
    })
}
