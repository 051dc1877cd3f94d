//! The webhook endpoint, reduced to its steps: header, signature, UTF-8, envelope, store, answer.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;
use subledger::ids::Scope;
use subledger::ingest::Ingest;
use subledger::store::{Appended, EventFacts, NewEvent, Source};
use subledger::time::StripeTime;

use crate::events::SECRET;

/// Serves on a free port until the process ends; without an ingest nothing is stored.
pub(crate) async fn start(ingest: Option<Ingest>) -> anyhow::Result<SocketAddr> {
    let router =
        Router::new().route("/api/stripe/webhook/", post(webhook)).with_state(Arc::new(ingest));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(address)
}

#[derive(Deserialize)]
struct Envelope<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    api_version: Option<&'a str>,
    created: i64,
    livemode: bool,
}

async fn webhook(
    State(ingest): State<Arc<Option<Ingest>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, StatusCode> {
    let signature = headers.get("stripe-signature").and_then(|it| it.to_str().ok());
    let signature = signature.ok_or(StatusCode::BAD_REQUEST)?;
    verify(signature, &body).ok_or(StatusCode::BAD_REQUEST)?;
    let payload = String::from_utf8(body.into()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let envelope: Envelope = serde_json::from_str(&payload).map_err(|_| StatusCode::BAD_REQUEST)?;
    let facts = EventFacts {
        scope: Scope { account: "".into(), livemode: envelope.livemode },
        event_id: envelope.id.into(),
        event_type: envelope.event_type.to_owned(),
        api_version: envelope.api_version.map(str::to_owned),
        created: StripeTime(envelope.created),
        created_nanos: 0,
    };
    let event_id = facts.event_id.clone();
    let event = NewEvent::new(facts, Source::Webhook, Some(signature.to_owned()), payload)
        .map_err(|_| StatusCode::BAD_REQUEST)?;
    let Appended { position, duplicate } = match &*ingest {
        Some(ingest) => ingest.submit(event).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?,
        None => Appended { position: subledger::ids::Position(1), duplicate: false },
    };
    let answer = format!(
        r#"{{"received":true,"event_id":"{event_id}","position":{position},"duplicate":{duplicate}}}"#
    );
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}

fn verify(header: &str, body: &[u8]) -> Option<()> {
    let parts = || header.split(',').filter_map(|part| part.split_once('='));
    let (_, timestamp) = parts().find(|(name, _)| *name == "t")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).ok()?;
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let (_, signature) = parts().find(|(name, _)| *name == "v1")?;
    mac.verify_slice(&hex::decode(signature).ok()?).ok()
}
