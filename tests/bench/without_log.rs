//! The parts of the server that take an event in, without the log that stores it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use subledger::clock::Clock;
use subledger::config::ConnectionLimits;
use subledger::http::{ConnectionState, Listener, Metrics};
use subledger::store::{EventFacts, EventSource, NewEvent};
use subledger::stripe::{Envelope, Verifier};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::server::{SECRET, TOLERANCE_SECONDS};

/// The same listener and the same steps but the last: verified, read, hashed, and not stored.
/// Serves until the process ends.
pub(crate) async fn start() -> anyhow::Result<SocketAddr> {
    let verifier = Arc::new(Verifier::new([SECRET], Some(TOLERANCE_SECONDS)));
    let router = Router::new().route("/api/stripe/webhook/", post(webhook)).with_state(verifier);
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let address = socket.local_addr()?;
    let metrics = Arc::<Metrics>::default();
    let listener = Listener::new(socket, router, metrics, ConnectionLimits::default());
    tokio::spawn(listener.serve(CancellationToken::new()));
    Ok(address)
}

async fn webhook(
    State(verifier): State<Arc<Verifier>>,
    headers: HeaderMap,
    extensions: Extensions,
    body: Bytes,
) -> Result<Response, StatusCode> {
    let refused = StatusCode::BAD_REQUEST;
    let signature = headers.get("stripe-signature").ok_or(refused)?;
    let now = Clock::System.now().to_stripe_time();
    verifier.verify(Some(signature.as_bytes()), &body, now).map_err(|_| refused)?;
    ConnectionState::mark_verified(&extensions);
    let text = std::str::from_utf8(&body).map_err(|_| refused)?;
    let envelope = Envelope::parse(text).map_err(|_| refused)?;
    let signature = signature.to_str().map_err(|_| refused)?.to_owned();
    let facts = EventFacts::from(&envelope);
    let event = NewEvent::new(facts, EventSource::Webhook, Some(signature), text.to_owned())
        .map_err(|_| refused)?;
    let answer = format!(
        r#"{{"received":true,"event_id":"{}","position":1,"duplicate":false}}"#,
        event.facts().event_id
    );
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}
