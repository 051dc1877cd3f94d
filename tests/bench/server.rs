//! `subledger serve` as it is, to be measured.

use subledger::clock::Clock;
use subledger::config::{Secrets, WebhookSecrets};
use subledger::http::ConnectionLimits;
use subledger::ids::Mode;
use subledger::ingest::Limits;
use subledger::projection::Logic;
use subledger::service::{Options, Service};
use subledger::store::DatabaseUrl;

/// What signs the events, and what lets a reader in.
pub(crate) const SECRET: &str = "whsec_benchmark";
/// The events are signed before the measurement begins.
pub(crate) const TOLERANCE_SECONDS: u32 = 3_600;

/// A server on a port that is free.
pub(crate) async fn whole(database: DatabaseUrl) -> anyhow::Result<Service> {
    let options = Options {
        database,
        webhook_secrets: WebhookSecrets::parse(SECRET)?,
        api_tokens: Secrets::parse(SECRET),
        access_tokens: Secrets::default(),
        listen: "127.0.0.1:0".to_owned(),
        private_listen: None,
        tolerance_seconds: TOLERANCE_SECONDS,
        mode: Mode::Live,
        limits: Limits::default(),
        connections: ConnectionLimits::default(),
        logic: Logic::default(),
        auto_rebuild: true,
        accept_new_log: false,
        signing: None,
        clock: Clock::System,
    };
    Ok(Service::start(options).await?)
}
