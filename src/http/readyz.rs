//! `GET /readyz`: readiness, which is measured by the events that were stored and folded lately.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::SharedState;
use super::health::{FROZEN, stalled_append, stalled_fold};
use crate::projector::FollowerState;

/// Time limit of the check that the log accepts events.
const LOG_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    /// Reasons why the ledger is not ready, for people; empty if it is.
    reasons: Vec<String>,
    /// Progress of a rebuild, and what the ledger may lack. That is no reason: another instance would lack it too, and
    /// without any instance nobody had access.
    notes: Vec<String>,
}

#[tracing::instrument(name = "readyz", level = "debug", skip_all)]
pub(super) async fn get(State(app): SharedState) -> Response {
    let mut reasons = Vec::new();
    let accepts = tokio::time::timeout(LOG_TIMEOUT, app.store.log.check_append()).await;
    if !matches!(accepts, Ok(Ok(()))) {
        reasons.push("the log does not accept events".to_owned());
    }
    let follower = app.projector.status();
    reasons.extend(stalled_append(&app));
    reasons.extend(stalled_fold(&follower));
    let mut notes: Vec<_> = follower.rebuilding.iter().map(ToString::to_string).collect();
    notes.extend(app.coverage.never_backfilled_note(app.mode));
    notes.extend(app.coverage.gaps_reason(app.mode, app.clock.now().to_stripe_time()));
    match follower.state {
        // Another process keeps it current.
        FollowerState::Following | FollowerState::Standby => {}
        FollowerState::Starting => reasons.push("the read model is not yet looked at".to_owned()),
        FollowerState::Building => reasons.push("the read model is being built".to_owned()),
        FollowerState::Failing => reasons.push("the read model does not follow the log".to_owned()),
        FollowerState::Frozen => reasons.push(FROZEN.to_owned()),
        FollowerState::Stopped => reasons.push("shutting down".to_owned()),
    }
    let (code, status) = if reasons.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    (code, Json(Readiness { status, reasons, notes })).into_response()
}
