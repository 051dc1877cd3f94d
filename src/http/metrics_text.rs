//! `GET /metrics`: metrics for Prometheus.
//!
//! They contain no secret and no id. An address that others can reach requires a token all the same: the number of
//! events is confidential.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::SharedState;
use super::problem::{Problem, ProblemType};
use crate::ids::Mode;
use crate::time::ReceivedAt;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[tracing::instrument(name = "metrics", level = "debug", skip_all)]
pub(super) async fn get(State(app): SharedState) -> Result<impl IntoResponse, Problem> {
    let metrics = &app.metrics;
    let (status, now) = (app.projector.status(), app.clock.now());
    // The metrics of the process are answered even if the database does not respond.
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
    metrics.projection_parked_customers.set(status.parked_customers);
    for mode in [Mode::Live, Mode::Test] {
        metrics.set_thin_events_waiting(mode, app.thin.counts(mode).waiting);
    }
    let text = metrics
        .encode(&app.ingest, app.sync.as_ref(), &app.coverage, now.to_stripe_time())
        .map_err(|_| Problem::new(ProblemType::Internal, "the metrics could not be written"))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text))
}

/// Seconds since the last event was received; NaN if there is none, so that no alert compares with it.
#[expect(clippy::cast_precision_loss, reason = "seconds for people and graphs")]
fn age_seconds(received: ReceivedAt, now: ReceivedAt) -> f64 {
    if received.0 == 0 { f64::NAN } else { (now.0 - received.0).max(0) as f64 / 1e6 }
}
