//! `GET /healthz`: liveness of the process.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::SharedState;
use super::health::{FROZEN, failing_sync, gaps, stalled_append, stalled_fold};
use crate::backfill::waiting_reason;
use crate::projector::FollowerState;

/// Health. The status code is always 200; `degraded` means that something needs attention.
#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    /// Reasons for `degraded`, for people; empty if the status is `ok`.
    reasons: Vec<String>,
}

/// Answers without touching a database.
#[tracing::instrument(name = "healthz", level = "debug", skip_all)]
pub(super) async fn get(State(app): SharedState) -> Json<Health> {
    let mut reasons = Vec::new();
    let status = app.projector.status();
    if status.parked > 0 {
        let parked = status.parked;
        reasons.push(format!("{parked} events could not be folded; /v1/projections lists them"));
    }
    if status.parked_customers > 0 {
        let parked = status.parked_customers;
        reasons.push(format!(
            "the rows of {parked} customers could not be made; /v1/projections lists them"
        ));
    }
    reasons.extend(waiting_reason(app.thin.counts(app.mode), app.sync.is_some()));
    reasons.extend(stalled_append(&app));
    reasons.extend(stalled_fold(&status));
    reasons.extend(gaps(&app));
    // The error itself is only in the server's log, because anybody may read this page.
    match status.state {
        FollowerState::Failing => reasons.push("the read model does not follow the log".to_owned()),
        FollowerState::Frozen => reasons.push(FROZEN.to_owned()),
        _ => {}
    }
    reasons.extend(failing_sync(&app));
    let status = if reasons.is_empty() { "ok" } else { "degraded" };
    Json(Health { status, reasons })
}
