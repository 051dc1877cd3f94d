//! HTTP: the webhook for Stripe, the API for the application, health and metrics for whoever runs
//! it. One endpoint, one file.
//!
//! *Invariant: nothing here knows SQL, and no answer holds a secret or a database's words.*

mod access;
mod auth;
mod body_budget;
mod connection_state;
mod connections;
mod customers;
mod event;
mod event_payload;
mod explain;
mod freshness;
mod health;
mod healthz;
mod history;
mod limits;
mod log;
mod log_checkpoint;
mod metrics;
mod metrics_text;
mod params;
mod problem;
mod projections;
mod readyz;
mod server;
mod socket;
mod subscription;
mod subscriptions;
mod throttle;
mod users;
mod warnings;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{self, Next, from_fn_with_state, map_response_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tower_http::catch_panic::CatchPanicLayer;

pub use access::AccessView;
pub use auth::Tokens;
pub use body_budget::{BODY_BYTES_MAX, BodyBudget};
pub use connection_state::ConnectionState;
pub use limits::HEAD_BYTES_MAX;
pub use metrics::{Histogram, Metrics};
pub use problem::{Problem, ProblemType};
pub use server::Listener;
pub use users::UserView;
pub use webhook::OneTimeWarnings;

use crate::clock::Clock;
use crate::ids::Mode;
use crate::ingest::Ingest;
use crate::projector::ProjectorHandle;
use crate::proof::SigningKey;
use crate::store::Store;
use crate::stripe::signature::Verifier;

/// How long an answer of the API may take to make.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What the endpoints share.
pub struct AppState {
    /// The ledger.
    pub store: Store,
    /// The way into the log.
    pub ingest: Ingest,
    /// How the read model is kept current.
    pub projector: ProjectorHandle,
    /// Checks signatures.
    pub verifier: Verifier,
    /// Who may read.
    pub tokens: Tokens,
    /// What signs checkpoints of the log, if anything does.
    pub signing_key: Option<SigningKey>,
    /// Which mode is meant where none is named.
    pub mode: Mode,
    /// Where the time comes from.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What has been said once.
    pub one_time_warnings: OneTimeWarnings,
    /// Budget of the webhooks' bodies.
    pub body_budget: BodyBudget,
}

/// What an address serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerRole {
    /// Everything. Metrics need a token unless only this machine can reach the address.
    Combined {
        /// True if the address is a loopback address.
        loopback: bool,
    },
    /// The webhook and health.
    Public,
    /// The API, metrics and health.
    Private,
}

/// The routes of an address.
pub fn router(app: Arc<AppState>, role: ListenerRole) -> Router {
    let mut router =
        Router::new().both("/healthz", get(healthz::get)).both("/readyz", get(readyz::get));
    if role != ListenerRole::Private {
        router = router.both("/api/stripe/webhook", post(webhook::receive));
    }
    if role != ListenerRole::Public {
        let mut metrics = get(metrics_text::get);
        if role == (ListenerRole::Combined { loopback: false }) {
            metrics = metrics.layer(from_fn_with_state(Arc::clone(&app), auth::require_read));
        }
        router = router.both("/metrics", metrics).nest("/v1", api(&app));
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(map_response_with_state(Arc::clone(&app), problem::count))
        .with_state(app)
}

/// The routes under `/v1`, each behind a token.
fn api(app: &Arc<AppState>) -> Router<Arc<AppState>> {
    let access = Router::new()
        .both("/users/{id}", get(users::get))
        .route_layer(from_fn_with_state(Arc::clone(app), auth::require_access));
    let read = Router::new()
        .both("/customers/{id}", get(customers::get))
        .both("/subscriptions", get(subscriptions::get))
        .both("/subscriptions/{id}", get(subscription::get))
        .both("/users/{id}/history", get(history::of_user))
        .both("/customers/{id}/history", get(history::of_customer))
        .both("/subscriptions/{id}/history", get(history::of_subscription))
        .both("/subscriptions/{id}/explain", get(explain::get))
        .both("/events/{id}", get(event::get))
        .both("/events/{id}/payload", get(event_payload::get))
        .both("/log", get(log::get))
        .both("/log/checkpoint", get(log_checkpoint::get))
        .both("/projections", get(projections::get))
        .fallback(not_found)
        .layer(from_fn_with_state(Arc::clone(app), auth::require_read));
    access
        .merge(read)
        .layer(from_fn_with_state(Arc::clone(app), freshness::add_headers))
        .layer(middleware::from_fn(within_time))
}

/// Routes that answer with and without a slash at the end. A redirect would lose a POST.
trait BothSpellings {
    fn both(self, path: &str, method: MethodRouter<Arc<AppState>>) -> Self;
}

impl BothSpellings for Router<Arc<AppState>> {
    fn both(self, path: &str, method: MethodRouter<Arc<AppState>>) -> Self {
        self.route(&format!("{path}/"), method.clone()).route(path, method)
    }
}

async fn not_found() -> Problem {
    Problem::new(ProblemType::NotFound, "there is no such path here")
}

async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(ProblemType::MethodNotAllowed, format!("this path does not take {method}"))
}

async fn within_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let detail = format!("no answer within {} seconds", ANSWER_TIMEOUT.as_secs());
        Problem::new(ProblemType::TooSlow, detail).into_response()
    })
}

/// What every handler is given.
type SharedState = State<Arc<AppState>>;
