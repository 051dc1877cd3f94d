//! Routes: the function that answers a request, and the permission that it needs.

use super::call::Handler;
use super::keys::CONNECT_PERMISSION;
use super::{
    accounts, catalogue, checkout_sessions, customers, entitlements, events, invoices, schedules,
    subscriptions, test_clocks, webhook_endpoints,
};

/// Route of a request.
pub(super) struct Route<'a> {
    pub(super) permission: &'static str,
    pub(super) handler: Handler,
    /// Id in the path; empty if there is none.
    pub(super) id: &'a str,
    /// First part of the path, for the limit of an endpoint.
    pub(super) endpoint: &'a str,
}

/// Route of a method and a path. `None`: Stripe has none, or it is not simulated.
pub(super) fn find<'a>(method: &str, path: &'a str) -> Option<Route<'a>> {
    let segments: Vec<&str> = path.strip_prefix("/v1/")?.split('/').collect();
    let endpoint = segments[0];
    let (permission, handler, id): (_, Handler, _) = match (method, segments.as_slice()) {
        ("GET", ["events"]) => ("rak_event_read", events::list, ""),
        ("GET", ["events", id]) => ("rak_event_read", events::get, *id),
        ("GET", ["subscriptions"]) => (SUBSCRIPTIONS, subscriptions::list, ""),
        ("GET", ["subscriptions", id]) => (SUBSCRIPTIONS, subscriptions::get, *id),
        ("GET", ["subscription_items"]) => (SUBSCRIPTIONS, subscriptions::items, ""),
        ("GET", ["subscription_schedules"]) => (SUBSCRIPTIONS, schedules::list, ""),
        ("GET", ["subscription_schedules", id]) => (SUBSCRIPTIONS, schedules::get, *id),
        ("GET", ["customers"]) => ("rak_customer_read", customers::list, ""),
        ("GET", ["customers", id]) => ("rak_customer_read", customers::get, *id),
        ("GET", ["invoices"]) => ("rak_invoice_read", invoices::list, ""),
        ("GET", ["invoices", id]) => ("rak_invoice_read", invoices::get, *id),
        ("GET", ["invoices", id, "lines"]) => ("rak_invoice_read", invoices::lines, *id),
        ("GET", ["checkout", "sessions"]) => (SESSIONS, checkout_sessions::list, ""),
        ("GET", ["checkout", "sessions", id]) => (SESSIONS, checkout_sessions::get, *id),
        ("GET", ["products"]) => ("rak_product_read", catalogue::products, ""),
        ("GET", ["products", id]) => ("rak_product_read", catalogue::product, *id),
        ("GET", ["prices"]) => ("rak_plan_read", catalogue::prices, ""),
        ("GET", ["prices", id]) => ("rak_plan_read", catalogue::price, *id),
        ("GET", ["entitlements", "active_entitlements"]) => {
            ("rak_entitlement_read", entitlements::list, "")
        }
        ("GET", ["test_helpers", "test_clocks"]) => {
            ("rak_billing_clock_read", test_clocks::list, "")
        }
        ("GET", ["test_helpers", "test_clocks", id]) => {
            ("rak_billing_clock_read", test_clocks::get, *id)
        }
        ("GET", ["accounts"]) => (CONNECT_PERMISSION, accounts::list, ""),
        ("GET", ["accounts", id]) => (CONNECT_PERMISSION, accounts::get, *id),
        ("GET", ["account"]) => (CONNECT_PERMISSION, accounts::own, ""),
        ("GET", ["webhook_endpoints"]) => ("rak_webhook_read", webhook_endpoints::list, ""),
        ("GET", ["webhook_endpoints", id]) => ("rak_webhook_read", webhook_endpoints::get, *id),
        ("POST", ["webhook_endpoints"]) => ("rak_webhook_write", webhook_endpoints::create, ""),
        _ => return None,
    };
    Some(Route { permission, handler, id, endpoint })
}

const SUBSCRIPTIONS: &str = "rak_subscription_read";
const SESSIONS: &str = "rak_checkout_session_read";
