//! Steps of a backfill: the lists of Stripe's API, in the order in which they are read.

use crate::time::{DAY_SECONDS, StripeTime};

/// Time for which Stripe lists events, in days.
const EVENT_DAYS: i64 = 30;

/// Step of a backfill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Events of the last 30 days.
    Events,
    /// Names of products.
    Products,
    /// Names of prices.
    Prices,
    /// Customers: users and addresses.
    Customers,
    /// Subscriptions of any status.
    Subscriptions,
    /// Subscriptions on test clocks, which no list shows unless their clock is named. Test mode only.
    TestClocks,
    /// Subscription schedules.
    Schedules,
    /// Completed checkout sessions, which name users.
    CheckoutSessions,
    /// Invoices of some months.
    Invoices,
    /// Features of the customers, one request for each customer with a subscription.
    Entitlements,
    /// Subscriptions of the ledger that no list has shown, and latest invoices that are older than the invoices above.
    Remaining,
}

/// List of Stripe's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Path of the list.
    pub path: &'static str,
    /// Query of the list, without limit and cursor.
    pub query: Vec<(&'static str, String)>,
}

impl Step {
    /// All steps, in their order. Names and users come before the subscriptions that they belong to.
    pub const ALL: [Self; 11] = [
        Self::Events,
        Self::Products,
        Self::Prices,
        Self::Customers,
        Self::Subscriptions,
        Self::TestClocks,
        Self::Schedules,
        Self::CheckoutSessions,
        Self::Invoices,
        Self::Remaining,
        Self::Entitlements,
    ];

    /// Name, as the progress of a backfill is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Products => "products",
            Self::Prices => "prices",
            Self::Customers => "customers",
            Self::Subscriptions => "subscriptions",
            Self::TestClocks => "test_clocks",
            Self::Schedules => "schedules",
            Self::CheckoutSessions => "checkout_sessions",
            Self::Invoices => "invoices",
            Self::Remaining => "remaining",
            Self::Entitlements => "entitlements",
        }
    }

    /// True for lists that together show every customer and every subscription.
    pub(super) const fn shows_all(self) -> bool {
        matches!(self, Self::Customers | Self::Subscriptions | Self::TestClocks)
    }

    /// Words for people.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Events => "events of 30 days",
            Self::Products => "products",
            Self::Prices => "prices",
            Self::Customers => "customers",
            Self::Subscriptions => "subscriptions",
            Self::TestClocks => "subscriptions on test clocks",
            Self::Schedules => "schedules",
            Self::CheckoutSessions => "checkout sessions",
            Self::Invoices => "invoices",
            Self::Remaining => "what no list has shown",
            Self::Entitlements => "features of customers",
        }
    }

    /// List that the step reads. None for a step that reads several.
    pub fn list(self, started_at: StripeTime, invoices_since: StripeTime) -> Option<List> {
        let list = |path, query| Some(List { path, query });
        let since = |at: StripeTime| vec![("created[gte]", at.0.to_string())];
        match self {
            // An event that ages out meanwhile is not asked for.
            Self::Events => {
                list("/v1/events", since(StripeTime(started_at.0 - EVENT_DAYS * DAY_SECONDS)))
            }
            Self::Products => list("/v1/products", Vec::new()),
            Self::Prices => list("/v1/prices", Vec::new()),
            Self::Customers => list("/v1/customers", Vec::new()),
            Self::Subscriptions => list("/v1/subscriptions", subscriptions_query()),
            Self::Schedules => list("/v1/subscription_schedules", Vec::new()),
            Self::CheckoutSessions => {
                list("/v1/checkout/sessions", vec![("status", "complete".to_owned())])
            }
            Self::Invoices => list("/v1/invoices", since(invoices_since)),
            Self::TestClocks | Self::Remaining | Self::Entitlements => None,
        }
    }
}

/// Query of all subscriptions of an account, or of a test clock. Discounts are expanded, because an id says nothing.
pub(super) fn subscriptions_query() -> Vec<(&'static str, String)> {
    vec![("status", "all".to_owned()), ("expand[]", "data.discounts".to_owned())]
}
