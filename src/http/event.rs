//! `GET /v1/events/{id}`: one event of the log, without its payload.

use axum::Json;
use axum::extract::State;

use super::params::{Params, PathId};
use super::problem::Problem;
use super::{AppState, SharedState};
use crate::audit;
use crate::exchange::EventRecord;
use crate::ids::EventId;
use crate::store::LoggedEvent;
use crate::view::EventView;

#[tracing::instrument(name = "event", level = "debug", skip_all)]
pub(super) async fn get(
    State(app): SharedState,
    PathId(id): PathId,
    params: Params,
) -> Result<Json<EventView>, Problem> {
    let event = find(&app, id, params).await?;
    let redeliveries = app.store.log.redeliveries(event.position, event.position).await?;
    let thin = audit::thin_link(&app.store.log, event.position).await?;
    let record = EventRecord::new(event, redeliveries).without_payload();
    Ok(Json(EventView { record, thin }))
}

/// Finds the event with this id in the account and mode of the request.
pub(super) async fn find(
    app: &AppState,
    id: String,
    mut params: Params,
) -> Result<LoggedEvent, Problem> {
    let scope = params.scope(app.mode)?;
    params.finish()?;
    let id = EventId::new(id);
    let mut events = app.store.log.event(&id, Some(&scope.account), Some(scope.livemode)).await?;
    events.pop().ok_or_else(|| Problem::unknown("event"))
}
