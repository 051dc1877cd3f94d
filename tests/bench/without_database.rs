//! The handler of `GET /v1/users/{id}` with rows that are at hand.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::Extensions;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use subledger::clock::Clock;
use subledger::config::ConnectionLimits;
use subledger::http::{AccessView, ConnectionState, Listener, Metrics, UserView};
use subledger::projection::row::SubscriptionRow;
use subledger::store::Grant;
use subledger::view::{Access, SubscriptionView};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Answers with this row whoever is asked for. Serves until the process ends.
pub(crate) async fn start(row: SubscriptionRow) -> anyhow::Result<SocketAddr> {
    let router = Router::new().route("/v1/users/{id}", get(user)).with_state(Arc::new(row));
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
