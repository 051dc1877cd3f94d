//! `GET /healthz`: whether the process can answer at all.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Shared;
use crate::projector::FollowerState;

/// 200 as long as this is answered; `degraded` where something wants a look.
#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    /// What is wrong, in words; empty while all is well.
    reasons: Vec<String>,
}

/// Answers without touching a database.
pub(super) async fn get(State(app): Shared) -> Json<Health> {
    let mut reasons = Vec::new();
    let status = app.projector.status();
    if status.parked > 0 {
        let parked = status.parked;
        reasons.push(format!("{parked} events could not be folded; /v1/projections lists them"));
    }
    if let FollowerState::Failing(reason) = status.state {
        reasons.push(format!("the read model does not follow the log: {reason}"));
    }
    let status = if reasons.is_empty() { "ok" } else { "degraded" };
    Json(Health { status, reasons })
}
