//! Client of Stripe's API.
//!
//! It reads; the one request that writes creates a webhook endpoint. Every request pins the [API version](API_VERSION),
//! keeps to a rate, and is repeated as Stripe asks for it. Answers are exact bytes with the [request] that they belong
//! to, because objects of them become evidence in the log. No error, log line or `Debug` contains a key, a secret or a
//! body.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use subledger::ids::Mode;
//! use subledger::stripe_api::{ApiClient, ApiKey, ClientOptions};
//!
//! let client = ApiClient::new(ApiKey::from_env(Mode::Live)?, ClientOptions::default())?;
//! let mut after = None;
//! loop {
//!     let query = [("status", "all")];
//!     let page = client.list_page("/v1/subscriptions", &query, after.as_deref(), None).await?;
//!     for subscription in &page.objects {
//!         let whole = client.complete(subscription.get(), None).await?;
//!         println!("{} bytes, seen at {}", whole.len(), page.request.began());
//!     }
//!     if !page.has_more {
//!         break Ok(());
//!     }
//!     after = page.last_id;
//! }
//! # }
//! ```
//!
//! [request]: crate::stripe::observation::ApiRequest

mod attempt;
mod base;
mod client;
mod endpoint;
mod error;
mod inner_list;
mod key;
mod list;
mod permission;
mod retry;
mod settings;

pub use base::{ApiBase, InvalidBase};
pub use client::{ApiAnswer, ApiClient, ClientOptions};
pub use endpoint::{CreatedEndpoint, Endpoint, NewEndpoint};
pub use error::{ApiError, RequestId};
pub use inner_list::splice_inner_list;
pub use key::{ApiKey, KeyError, KeyKind, STRIPE_API_KEY};
pub use list::{ListPage, PAGE_OBJECTS_MAX};
pub use permission::{Permission, restricted_key_url};
pub use retry::RetryPolicy;
pub use settings::{ApiSettings, SetupError};

/// API version that requests pin. Objects in answers are rendered at it, and new endpoints get it.
pub const API_VERSION: &str = "2026-09-30.endive";

/// Greatest size of an answer.
pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::API_VERSION;
    use crate::simulate::ApiVersion;

    #[test]
    fn requests_pin_the_newest_version_that_the_simulator_knows() {
        assert_eq!(ApiVersion::ALL.last().map(|it| it.as_str()), Some(API_VERSION));
    }
}
