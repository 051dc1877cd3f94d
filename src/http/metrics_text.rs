//! `GET /metrics`: for Prometheus. It holds no secret and no id, so it asks for no token.

use axum::extract::State;
use axum::http::{HeaderName, header};

use super::Shared;
use super::problem::{Kind, Problem};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn get(
    State(app): Shared,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    let metrics = &app.metrics;
    let status = app.projector.status();
    let size = app.store.log.head().await?.size;
    metrics.log_position.set(size.0);
    metrics.projection_position.set(status.position.0);
    metrics.projection_lag_events.set((size.0 - status.position.0).max(0));
    metrics.projection_lag_seconds.set(status.lag_seconds(app.clock.now()));
    metrics.projection_parked.set(status.parked);
    let text = metrics
        .encode()
        .map_err(|_| Problem::new(Kind::Internal, "the metrics could not be written"))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text))
}
