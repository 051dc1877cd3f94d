//! The handlers of `GET /v1/users/{id}` and `/v1/users/{id}/access` with rows that are at hand.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::Extensions;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use subledger::clock::Clock;
use subledger::config::ConnectionLimits;
use subledger::http::{AccessView, ConnectionState, Listener, Metrics, UserView};
use subledger::projection::row::SubscriptionRow;
use subledger::projection::user_access::{Answer, Asked, UserAccess};
use subledger::store::Grant;
use subledger::view::{Access, SubscriptionView};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Answers with this row whoever is asked for. Serves until the process ends.
pub(crate) async fn start(row: SubscriptionRow) -> anyhow::Result<SocketAddr> {
    let row = Arc::new(row);
    let access = Arc::new(UserAccess::of([row.as_ref()]));
    let router = Router::new()
        .route("/v1/users/{id}", get(user).with_state(row))
        .route("/v1/users/{id}/access", get(user_access).with_state(access));
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let address = socket.local_addr()?;
    let metrics = Arc::<Metrics>::default();
    let listener = Listener::new(socket, router, metrics, ConnectionLimits::default());
    tokio::spawn(listener.serve(CancellationToken::new()));
    Ok(address)
}

async fn user(
    State(row): State<Arc<SubscriptionRow>>,
    Path(user_id): Path<String>,
    Query(_): Query<Vec<(String, String)>>,
    extensions: Extensions,
) -> impl IntoResponse {
    // As whoever reads with a token.
    ConnectionState::mark_verified(&extensions);
    let now = Clock::System.now().to_stripe_time();
    let grant = match row.entitled_until {
        _ if !row.entitled => Grant::None,
        Some(end) => Grant::Until(end),
        None => Grant::Endless,
    };
    let access = AccessView {
        known: true,
        mode: "live",
        access: Access::new(grant, now),
        subscriptions: SubscriptionView::all([row.as_ref().clone()], now),
        next: None,
        incomplete: false,
    };
    let stamps = [("subledger-position", "1000000"), ("subledger-lag-seconds", "0.000")];
    (stamps, Json(UserView { user_id, access }))
}

/// Answer about the access, in the form of the program's own.
#[derive(Serialize)]
struct AccessAnswer {
    user_id: String,
    mode: &'static str,
    #[serde(flatten)]
    answer: Answer,
    known: bool,
    position: i64,
}

async fn user_access(
    State(access): State<Arc<UserAccess>>,
    Path(user_id): Path<String>,
    Query(_): Query<Vec<(String, String)>>,
    extensions: Extensions,
) -> impl IntoResponse {
    ConnectionState::mark_verified(&extensions);
    let now = Clock::System.now().to_stripe_time();
    let answer = access.answer(&Asked::default(), now);
    let answer = AccessAnswer { user_id, mode: "live", answer, known: true, position: 1_000_000 };
    let body = serde_json::to_vec(&answer).unwrap_or_default();
    let tag = format!("W/\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
    let stamps = [("subledger-position", "1000000"), ("subledger-lag-seconds", "0.000")];
    (stamps, [("etag", tag)], [("content-type", "application/json")], body)
}
