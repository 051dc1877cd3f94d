//! Settings of the client.

use std::num::NonZeroU32;

use super::{ApiBase, ApiClient, ApiError, ApiKey, ClientOptions, KeyError, RetryPolicy};
use crate::ids::Mode;

/// Settings of the commands that ask Stripe's API. The key comes from the environment.
#[derive(clap::Args, Clone, Debug)]
pub struct ApiSettings {
    /// Address of Stripe's API or of a proxy: https, or http on this machine
    #[arg(long, value_name = "URL", env = "STRIPE_API_BASE", default_value = ApiBase::STRIPE)]
    api_base: ApiBase,

    /// Limit on requests to Stripe's API, per second. 0 for no limit
    #[arg(
        long,
        value_name = "N",
        default_value_t = ClientOptions::DEFAULT_RATE,
        value_parser = clap::value_parser!(u32).range(0..=10_000)
    )]
    rate: u32,
}

/// Reason why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is no usable key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The client cannot be built.
    #[error(transparent)]
    Client(#[from] ApiError),
}

impl ApiSettings {
    /// Limit on requests per second; none without a limit.
    pub fn rate(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.rate)
    }

    /// Client with the key of the environment, which must belong to this mode.
    pub fn client(&self, mode: Mode, retry: RetryPolicy) -> Result<ApiClient, SetupError> {
        let options = ClientOptions {
            base: self.api_base.clone(),
            requests_per_second: NonZeroU32::new(self.rate),
            retry,
            ..ClientOptions::default()
        };
        Ok(ApiClient::new(ApiKey::from_env(mode)?, options)?)
    }
}
