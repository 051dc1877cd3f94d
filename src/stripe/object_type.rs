//! Types of Stripe's objects that the ledger reads, and the event types that carry them.

use std::fmt;

use super::observation::{GONE_SUFFIX, TYPE_PREFIX};

/// Type of an object that changes a row or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectType {
    /// `subscription`.
    Subscription,
    /// `invoice`.
    Invoice,
    /// `checkout.session`.
    CheckoutSession,
    /// `customer`.
    Customer,
    /// `subscription_schedule`.
    SubscriptionSchedule,
    /// `entitlements.active_entitlement_summary`.
    EntitlementSummary,
    /// `discount`.
    Discount,
    /// `product`.
    Product,
    /// `price`.
    Price,
    /// `plan`.
    Plan,
}

impl ObjectType {
    /// The type of object that events of this type carry. None if the ledger does not read it.
    ///
    /// `customer.subscription.*` and `customer.*` share a prefix, and below `customer.` there are also
    /// discounts, sources and tax ids.
    pub fn from_event_type(event_type: &str) -> Option<Self> {
        if let Some(observed) = event_type.strip_prefix(TYPE_PREFIX) {
            return Self::from_name(observed.strip_suffix(GONE_SUFFIX).unwrap_or(observed));
        }
        let is = |prefix: &str| event_type.starts_with(prefix);
        Some(match event_type {
            // A forecast: it has no id, and its time lies ahead.
            "invoice.upcoming" => return None,
            "customer.created" | "customer.updated" | "customer.deleted" => Self::Customer,
            _ if is("customer.subscription.") => Self::Subscription,
            _ if is("customer.discount.") => Self::Discount,
            _ if is("invoice.") => Self::Invoice,
            _ if is("checkout.session.") => Self::CheckoutSession,
            _ if is("subscription_schedule.") => Self::SubscriptionSchedule,
            _ if is("entitlements.active_entitlement_summary.") => Self::EntitlementSummary,
            _ if is("product.") => Self::Product,
            _ if is("price.") => Self::Price,
            _ if is("plan.") => Self::Plan,
            _ => return None,
        })
    }

    /// The type of the objects that have this value of the field `object`. None if the ledger does not read it.
    pub fn from_name(name: &str) -> Option<Self> {
        const ALL: [ObjectType; 10] = [
            ObjectType::Subscription,
            ObjectType::Invoice,
            ObjectType::CheckoutSession,
            ObjectType::Customer,
            ObjectType::SubscriptionSchedule,
            ObjectType::EntitlementSummary,
            ObjectType::Discount,
            ObjectType::Product,
            ObjectType::Price,
            ObjectType::Plan,
        ];
        ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// The value of the object's field `object`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::Invoice => "invoice",
            Self::CheckoutSession => "checkout.session",
            Self::Customer => "customer",
            Self::SubscriptionSchedule => "subscription_schedule",
            Self::EntitlementSummary => "entitlements.active_entitlement_summary",
            Self::Discount => "discount",
            Self::Product => "product",
            Self::Price => "price",
            Self::Plan => "plan",
        }
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
