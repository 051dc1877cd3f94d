//! `subledger serve` as it is, to be measured.

use subledger::config::{Secrets, WebhookSecrets};
use subledger::service::{Options, Service};
use subledger::store::DatabaseUrl;

/// Signing secret of the events, and the token of readers.
pub(crate) const SECRET: &str = "whsec_benchmark";
/// The events are signed before the measurement begins.
pub(crate) const TOLERANCE_SECONDS: u32 = 3_600;

/// A server on a port that is free.
pub(crate) async fn whole(database: DatabaseUrl) -> anyhow::Result<Service> {
    let options = Options {
        api_tokens: Secrets::parse(SECRET),
        listen: "127.0.0.1:0".to_owned(),
        tolerance_seconds: TOLERANCE_SECONDS,
        ..Options::new(database, WebhookSecrets::parse(SECRET)?)
    };
    Ok(Service::start(options).await?)
}
