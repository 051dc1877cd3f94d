//! `GET /v1/{users,customers,subscriptions}/{id}/history`: events in order, each with its changes.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::freshness::AtPosition;
use super::params::{INSTANT, Params, PathId, cursor};
use super::problem::Problem;
use super::{AppState, SharedState};
use crate::audit::{self, HistoryPage, PageError, PageRequest, Past, Subject, SubjectKind};
use crate::ids::Position;
use crate::time::{ReceivedAt, StripeTime};
use crate::view::HistoryView;

/// Page of a history. `state` is the state at the end of the whole history.
#[derive(Serialize)]
pub(super) struct HistoryPageView {
    #[serde(flatten)]
    history: HistoryView,
    /// Value of `after` for the next page; null on the last page.
    next: Option<String>,
}

type Answer = Result<AtPosition<Json<HistoryPageView>>, Problem>;

#[tracing::instrument(name = "user_history", level = "debug", skip_all)]
pub(super) async fn get_user(
    State(app): SharedState,
    PathId(id): PathId,
    params: Params,
) -> Answer {
    page(&app, SubjectKind::User, id, params).await
}

#[tracing::instrument(name = "customer_history", level = "debug", skip_all)]
pub(super) async fn get_customer(
    State(app): SharedState,
    PathId(id): PathId,
    params: Params,
) -> Answer {
    page(&app, SubjectKind::Customer, id, params).await
}

#[tracing::instrument(name = "subscription_history", level = "debug", skip_all)]
pub(super) async fn get_subscription(
    State(app): SharedState,
    PathId(id): PathId,
    params: Params,
) -> Answer {
    page(&app, SubjectKind::Subscription, id, params).await
}

async fn page(app: &AppState, kind: SubjectKind, id: String, mut params: Params) -> Answer {
    let as_of = params.parse("as_of", INSTANT, StripeTime::parse)?;
    let known_at = params.parse("known_at", INSTANT, ReceivedAt::parse)?;
    let limit = params.limit()?;
    let after = params.after(|key| key.parse::<i64>().ok())?;
    let changes_only = params.boolean("changes_only")?.unwrap_or(false);
    let scope = params.scope(app.mode)?;
    params.finish()?;

    let subject = Subject { kind, id, scope };
    let past = Past { as_of, known_at };
    let request = PageRequest { after: after.map(Position), limit, changes_only };
    let page = audit::history_page(&app.store, subject, past, request).await;
    let page = page.map_err(|error| match error {
        PageError::NoSuchEvent => {
            Problem::parameter("after", "must be the `next` of a page of this history")
        }
        PageError::Store(error) => error.into(),
    })?;
    let Some((stamp, HistoryPage { history, has_more })) = page else {
        return Err(Problem::unknown(match kind {
            SubjectKind::User => "user",
            SubjectKind::Customer => "customer",
            SubjectKind::Subscription => "subscription",
        }));
    };
    let last = history.events.last().filter(|_| has_more);
    let next = last.map(|event| cursor(&event.position.to_string()));
    let history = HistoryView::new(history, app.clock.now().to_stripe_time());
    Ok(AtPosition(stamp.position, Json(HistoryPageView { history, next })))
}
