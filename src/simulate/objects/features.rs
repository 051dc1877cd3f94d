//! Summary of a customer's features.

use super::{Home, Render};
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{Object, Wire, object};

/// Summary of active entitlements. It has no id: there is one a customer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Features {
    pub(crate) customer: String,
    pub(crate) lookup_keys: Vec<&'static str>,
    pub(crate) home: Home,
}

/// Lookup keys of all features.
pub(crate) static FEATURES: [&str; 14] = [
    "sso",
    "api_access",
    "audit_log",
    "priority_support",
    "custom_domain",
    "white_label",
    "sandbox",
    "webhooks",
    "roles",
    "exports",
    "archive",
    "scim",
    "residency_eu",
    "uptime_sla",
];

/// Greatest number of features in a summary.
const EMBEDDED: usize = 10;

impl Features {
    /// Features in the summary.
    pub(crate) fn embedded(&self) -> &[&'static str] {
        &self.lookup_keys[..self.lookup_keys.len().min(EMBEDDED)]
    }

    /// True if the customer has more.
    pub(crate) fn is_truncated(&self) -> bool {
        self.lookup_keys.len() > EMBEDDED
    }

    /// Id of the entitlement of a feature.
    pub(crate) fn entitlement_id(&self, lookup_key: &str) -> String {
        let owner = self.customer.trim_start_matches("cus_");
        format!("ent_test_{owner}{lookup_key}")
    }

    pub(crate) fn render_entitlement(&self, lookup_key: &'static str) -> Object {
        object! {
            "id": self.entitlement_id(lookup_key),
            "object": "entitlements.active_entitlement",
            "feature": format!("feat_test_{lookup_key}"),
            "livemode": self.home.livemode,
            "lookup_key": lookup_key,
        }
    }
}

impl Render for Features {
    fn render(&self, _version: ApiVersion) -> Object {
        let data: Vec<Wire> = self
            .embedded()
            .iter()
            .map(|lookup_key| self.render_entitlement(lookup_key).into())
            .collect();
        object! {
            "object": "entitlements.active_entitlement_summary",
            "customer": &self.customer,
            "entitlements": object! {
                "object": "list",
                "data": data,
                "has_more": self.is_truncated(),
                "url": format!("/v1/customer/{}/entitlements", self.customer),
            },
            "livemode": self.home.livemode,
        }
    }
}
