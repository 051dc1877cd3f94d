//! HTTP: the webhook for Stripe, the API for the application, health and metrics for the operator. One endpoint,
//! one file.
//!
//! *Invariant: no SQL here, and no answer contains a secret or a database's error message.*

mod access;
mod access_answer;
mod access_batch;
mod auth;
mod body_budget;
mod conditional;
mod connection_state;
mod connections;
mod coverage;
mod coverage_watch;
mod customers;
mod drift;
mod event;
mod event_payload;
mod explain;
mod freshness;
mod health;
mod healthz;
mod history;
mod known;
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
mod user_access;
mod users;
mod warnings;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state, map_response_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tower_http::catch_panic::CatchPanicLayer;

use self::auth::Right;
pub use access::AccessView;
pub use auth::Tokens;
pub use body_budget::{BODY_BYTES_MAX, BodyBudget};
pub use connection_state::ConnectionState;
pub use coverage_watch::CoverageWatch;
pub use limits::HEAD_BYTES_MAX;
pub use metrics::{Histogram, Metrics};
pub use problem::{Problem, ProblemType};
pub use server::Listener;
pub use users::UserView;
pub use webhook::OneTimeWarnings;

use crate::backfill::ThinStatus;
use crate::clock::Clock;
use crate::config::UnknownUser;
use crate::ids::Mode;
use crate::ingest::Ingest;
use crate::projector::ProjectorHandle;
use crate::proof::SigningKey;
use crate::store::{AccessGroups, Store};
use crate::stripe::signature::Verifier;
use crate::sync::SyncHandle;

/// Time limit of an answer of the API.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// State that all endpoints share.
pub struct AppState {
    /// Store of the ledger.
    pub store: Store,
    /// Reader of the access of single users and customers.
    pub access: AccessGroups,
    /// Entrance to the log.
    pub ingest: Ingest,
    /// Handle of the projector that keeps the read model current.
    pub projector: ProjectorHandle,
    /// Handle of the syncs with Stripe's API, if a key is configured.
    pub sync: Option<SyncHandle>,
    /// Verifier of webhook signatures.
    pub verifier: Verifier,
    /// Read tokens.
    pub tokens: Tokens,
    /// Key that signs checkpoints of the log, if one is configured.
    pub signing_key: Option<SigningKey>,
    /// Mode of requests that name none.
    pub mode: Mode,
    /// Clock of the service.
    pub clock: Clock,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Warnings that are logged at most once.
    pub one_time_warnings: OneTimeWarnings,
    /// Thin events that wait to be fetched.
    pub thin: ThinStatus,
    /// Memory budget of large webhook bodies.
    pub body_budget: BodyBudget,
    /// Memory budget of large questions, apart from that of webhooks: no question keeps an event away.
    pub question_budget: BodyBudget,
    /// Coverage that was read last.
    pub coverage: Arc<CoverageWatch>,
    /// Answer about users whom the ledger does not know.
    pub unknown: UnknownUser,
}

/// Role of a listener: the endpoints that its address serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerRole {
    /// All endpoints. Metrics require a token unless only this machine can reach the address.
    Combined {
        /// True if the address is a loopback address.
        loopback: bool,
    },
    /// The webhook and health.
    Public,
    /// The API, metrics and health.
    Private,
}

/// Routes of a listener.
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

/// Routes under `/v1`, each behind a token.
fn api(app: &Arc<AppState>) -> Router<Arc<AppState>> {
    let access = Router::new()
        .both("/users/{id}/access", get(user_access::get_user))
        .both("/customers/{id}/access", get(user_access::get_customer))
        .both("/access", post(access_batch::post))
        .route_layer(from_fn_with_state((Arc::clone(app), Right::AskAccess), serve));
    let read = Router::new()
        .both("/users/{id}", get(users::get))
        .both("/customers/{id}", get(customers::get))
        .both("/subscriptions", get(subscriptions::get))
        .both("/subscriptions/{id}", get(subscription::get))
        .both("/users/{id}/history", get(history::get_user))
        .both("/customers/{id}/history", get(history::get_customer))
        .both("/subscriptions/{id}/history", get(history::get_subscription))
        .both("/subscriptions/{id}/explain", get(explain::get))
        .both("/events/{id}", get(event::get))
        .both("/events/{id}/payload", get(event_payload::get))
        .both("/coverage", get(coverage::get))
        .both("/log", get(log::get))
        .both("/log/checkpoint", get(log_checkpoint::get))
        .both("/projections", get(projections::get))
        .both("/drift", get(drift::get))
        .fallback(not_found)
        .layer(from_fn_with_state((Arc::clone(app), Right::Read), serve));
    access.merge(read)
}

/// Routes with and without a slash at the end. A redirect would lose a POST.
trait BothSpellings {
    fn both(self, path: &str, method: MethodRouter<Arc<AppState>>) -> Self;
}

impl BothSpellings for Router<Arc<AppState>> {
    fn both(self, path: &str, method: MethodRouter<Arc<AppState>>) -> Self {
        self.route(&format!("{path}/"), method.clone()).route(path, method)
    }
}

async fn not_found() -> Problem {
    Problem::new(ProblemType::NotFound, "unknown path")
}

async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(ProblemType::MethodNotAllowed, format!("this path does not support {method}"))
}

/// Middleware of the API: the time limit, the token, and the headers about freshness. It is a single one, because each
/// layer of a route is copied for every request.
async fn serve(
    State((app, right)): State<(Arc<AppState>, Right)>,
    mut request: Request,
    next: Next,
) -> Response {
    let answering = async {
        let mut answer = match auth::authorize(&app, &mut request, right) {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        };
        freshness::add_headers(&app, &mut answer).await;
        answer
    };
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, answering).await;
    answer.unwrap_or_else(|_| {
        let detail = format!("no answer within {} seconds", ANSWER_TIMEOUT.as_secs());
        Problem::new(ProblemType::TooSlow, detail).into_response()
    })
}

/// Extractor of the state, for the handlers.
type SharedState = State<Arc<AppState>>;
