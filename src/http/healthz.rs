//! `GET /healthz`: whether the process can answer at all.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::App;

/// 200 as long as this is answered; `degraded` where something wants a look.
#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    /// What is wrong, in words; empty while all is well.
    reasons: Vec<String>,
}

/// Answers without touching a database.
pub(super) async fn get(State(app): State<Arc<App>>) -> Json<Health> {
    let mut reasons = Vec::new();
    let parked = app.projector.status().parked;
    if parked > 0 {
        reasons.push(format!("{parked} events could not be folded; /v1/projections lists them"));
    }
    let status = if reasons.is_empty() { "ok" } else { "degraded" };
    Json(Health { status, reasons })
}
