//! `GET /healthz`: whether the process can answer at all.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::SharedState;
use super::health::{FROZEN, stalled_append, stalled_fold};
use crate::projector::FollowerState;

/// 200 as long as this is answered; `degraded` where something wants a look.
#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    /// What is wrong, in words; empty while all is well.
    reasons: Vec<String>,
}

/// Answers without touching a database.
pub(super) async fn get(State(app): SharedState) -> Json<Health> {
    let mut reasons = Vec::new();
    let status = app.projector.status();
    if status.parked > 0 {
        let parked = status.parked;
        reasons.push(format!("{parked} events could not be folded; /v1/projections lists them"));
    }
    reasons.extend(stalled_append(&app));
    reasons.extend(stalled_fold(&status));
    // What went wrong is told by the log of the server: this page is for everybody.
    match status.state {
        FollowerState::Failing => reasons.push("the read model does not follow the log".to_owned()),
        FollowerState::Frozen => reasons.push(FROZEN.to_owned()),
        _ => {}
    }
    let status = if reasons.is_empty() { "ok" } else { "degraded" };
    Json(Health { status, reasons })
}
