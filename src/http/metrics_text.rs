//! `GET /metrics`: for Prometheus.
//!
//! It holds no secret and no id. Where everybody can reach the address, it asks for a token all the same:
//! how many events arrive, and how many are refused, is nobody else's business.

use axum::extract::State;
use axum::http::{HeaderName, header};

use super::SharedState;
use super::problem::{Problem, ProblemType};
use crate::time::ReceivedAt;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn get(
    State(app): SharedState,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    let metrics = &app.metrics;
    let (status, now) = (app.projector.status(), app.clock.now());
    // What the process itself knows is told also while the database does not answer.
    let head = app.store.log.head().await;
    metrics.log_readable.set(head.is_ok().into());
    if let Ok(head) = head {
        metrics.log_position.set(head.size.0);
        metrics.projection_lag_events.set((head.size.0 - status.position.0).max(0));
        metrics.last_event_age_seconds.set(age_seconds(head.last_received_at, now));
    }
    metrics.projection_position.set(status.position.0);
    metrics.projection_lag_seconds.set(status.lag_seconds(now));
    metrics.projection_parked.set(status.parked);
    let text = metrics
        .encode(&app.ingest)
        .map_err(|_| Problem::new(ProblemType::Internal, "the metrics could not be written"))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text))
}

/// Seconds since an event was received; NaN where there was none, which no comparison holds for.
#[expect(clippy::cast_precision_loss, reason = "seconds for people and graphs")]
fn age_seconds(received: ReceivedAt, now: ReceivedAt) -> f64 {
    if received.0 == 0 { f64::NAN } else { (now.0 - received.0).max(0) as f64 / 1e6 }
}
