//! Permissions that a restricted key needs.

use std::fmt::Write as _;

use super::key::{ApiKey, KeyKind};
use crate::ids::Mode;

/// Permission of a restricted key, and a list that it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Name as Stripe writes it in an error, such as `rak_event_read`.
    pub name: &'static str,
    /// Path of a list that can be read with it.
    pub path: &'static str,
    /// True for a list that cannot be read without a parameter: `customer`.
    pub needs_customer: bool,
}

impl Permission {
    /// Permissions that the ledger needs to read in either mode.
    pub const READ: [Self; 9] = [
        Self::of("rak_event_read", "/v1/events"),
        Self::of("rak_subscription_read", "/v1/subscriptions"),
        Self::of("rak_subscription_read", "/v1/subscription_schedules"),
        Self::of("rak_customer_read", "/v1/customers"),
        Self::of("rak_invoice_read", "/v1/invoices"),
        Self::of("rak_checkout_session_read", "/v1/checkout/sessions"),
        Self::of("rak_product_read", "/v1/products"),
        Self::of("rak_plan_read", "/v1/prices"),
        Self {
            needs_customer: true,
            ..Self::of("rak_entitlement_read", "/v1/entitlements/active_entitlements")
        },
    ];

    /// Permission to read test clocks, whose subscriptions no other list shows. Test mode only.
    pub const TEST_CLOCKS_READ: Self =
        Self::of("rak_billing_clock_read", "/v1/test_helpers/test_clocks");

    /// Permission to read webhook endpoints.
    pub const ENDPOINTS_READ: Self = Self::of("rak_webhook_read", "/v1/webhook_endpoints");

    /// Permission to create a webhook endpoint.
    pub const ENDPOINTS_WRITE: Self = Self::of("rak_webhook_write", "/v1/webhook_endpoints");

    /// Permissions that the ledger needs to read in a mode.
    pub fn of_mode(mode: Mode) -> impl Iterator<Item = Self> {
        let test_clocks = (!mode.livemode()).then_some(Self::TEST_CLOCKS_READ);
        Self::READ.into_iter().chain(test_clocks)
    }

    const fn of(name: &'static str, path: &'static str) -> Self {
        Self { name, path, needs_customer: false }
    }
}

/// Address of the page of Stripe's Dashboard that makes a restricted key with the permissions of
/// [`of_mode`](Permission::of_mode) and [`ENDPOINTS_READ`](Permission::ENDPOINTS_READ).
pub fn restricted_key_url(mode: Mode) -> String {
    let folder = if mode.livemode() { "" } else { "test/" };
    let mut url = format!("https://dashboard.stripe.com/{folder}apikeys/create?name=Subledger");
    let mut names: Vec<_> = Permission::of_mode(mode).map(|it| it.name).collect();
    names.dedup();
    names.push(Permission::ENDPOINTS_READ.name);
    for (index, name) in names.iter().enumerate() {
        let _ = write!(url, "&permissions[{index}]={name}");
    }
    url
}

impl ApiKey {
    /// Warning for an unrestricted key.
    pub fn warning(&self) -> Option<String> {
        (self.kind() == KeyKind::Full).then(|| {
            format!(
                "the API key may do everything in the account; make a restricted key that can only read: {}",
                restricted_key_url(self.mode())
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unrestricted_key_is_warned_of_with_a_page_that_makes_a_restricted_one() {
        let warning = |text| ApiKey::parse(text).unwrap().warning();
        assert_eq!(warning("rk_live_1"), None);
        let live = warning("sk_live_1").unwrap();
        assert!(live.contains("https://dashboard.stripe.com/apikeys/create?name="), "{live}");
        assert!(live.contains("&permissions[0]=rak_event_read&permissions[1]=rak_sub"), "{live}");
        assert!(live.ends_with("&permissions[8]=rak_webhook_read"), "{live}");
        assert!(warning("sk_test_1").unwrap().contains("dashboard.stripe.com/test/apikeys"));
    }
}
