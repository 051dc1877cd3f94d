//! Webhook endpoints at Stripe, as the coverage shows them.

use serde::{Deserialize, Serialize};

use crate::stripe::is_folded;
use crate::stripe_api::Endpoint;

/// Webhook endpoint as it was seen last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenEndpoint {
    /// Id: `we_…`.
    pub id: String,
    /// Address that Stripe posts to.
    pub url: String,
    /// `enabled` or `disabled`.
    pub status: String,
    /// Types that change rows or names, and that it does not send.
    pub enabled_events_missing: Vec<String>,
}

impl From<&Endpoint> for SeenEndpoint {
    fn from(endpoint: &Endpoint) -> Self {
        let missing = endpoint.missing_types().filter(|it| is_folded(it));
        Self {
            id: endpoint.id.clone(),
            url: endpoint.url.clone(),
            status: endpoint.status.clone(),
            enabled_events_missing: missing.map(str::to_owned).collect(),
        }
    }
}

impl SeenEndpoint {
    /// Endpoints that look like a ledger's, or all if none does.
    pub fn of_ledger(endpoints: &[Endpoint]) -> Vec<Self> {
        let ours: Vec<Self> =
            endpoints.iter().filter(|it| it.is_of_ledger()).map(Self::from).collect();
        if ours.is_empty() { endpoints.iter().map(Self::from).collect() } else { ours }
    }
}
