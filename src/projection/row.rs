//! Row of `current_subscriptions`: the current state of one subscription, as flat columns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::column::{Json, row};
use crate::ids::{AccountId, CustomerId, EventId, InvoiceId, SubscriptionId};
use crate::stripe::price::Package;
use crate::stripe::subscription_schedule::{PlannedAction, PlannedItem};
use crate::time::StripeTime;

row! {
    /// The current state of one subscription, as the API and the SQL view show it.
    ///
    /// Instants are by Stripe's clock, money is in minor units of `currency`. New columns come last, because
    /// PostgreSQL can replace a view only if its columns keep their places. `active` is not a column: it depends
    /// on the instant of the request, see [`SubscriptionRow::active_at`].
    #[derive(Clone, Debug, Default, PartialEq, Serialize)]
    pub struct SubscriptionRow {
        /// The subscription, `sub_…`.
        pub subscription_id: SubscriptionId,
        /// The connected account; empty for the platform's own.
        pub account: AccountId,
        /// Live or test mode.
        pub livemode: bool,
        /// The customer, `cus_…`.
        pub customer_id: CustomerId,
        /// The application's user, if any event names one.
        pub user_id: Option<String>,
        /// Source of the user id: `subscription.metadata`, `checkout.client_reference_id`,
        /// `checkout.metadata`, `customer.metadata` or `customer.checkout`.
        pub user_id_source: Option<String>,
        /// True if another source names another user.
        pub user_id_conflict: bool,
        /// The customer's e-mail address, if it is known.
        pub email: Option<String>,
        /// Stripe's status, as it was sent.
        pub status: String,
        /// True if the policy grants access, before [`Self::entitled_until`].
        pub entitled: bool,
        /// End of the granted access; null if there is no known end.
        pub entitled_until: Option<StripeTime>,
        /// The price of the first item.
        pub price_id: Option<String>,
        /// Its product.
        pub product_id: Option<String>,
        /// The product's name: the catalogue's, or else the one that a plan carried until 2018-02-05.
        pub product_name: Option<String>,
        /// The price's nickname: the catalogue's, or else that of the snapshot.
        pub price_nickname: Option<String>,
        /// The price's lookup key.
        pub lookup_key: Option<String>,
        /// Quantity of the first item.
        pub quantity: Option<i64>,
        /// Three-letter currency of `unit_amount`, lower case. A price of several currencies shows its base
        /// if Stripe does not embed the others; compare [`Self::billing_currency`].
        pub currency: Option<String>,
        /// Price of one unit, or of one package, in minor units of `currency`.
        pub unit_amount: Option<i64>,
        /// The same as decimal text, with fractions of a minor unit.
        pub unit_amount_decimal: Option<String>,
        /// `day`, `week`, `month` or `year`.
        pub interval: Option<String>,
        /// Number of intervals in a period.
        pub interval_count: Option<i64>,
        /// Every item that the snapshot embedded.
        pub items: Json<Vec<ItemRow>>,
        /// True if Stripe cut the list of items.
        pub items_truncated: bool,
        /// Start of the current period: the earliest of the items'.
        pub current_period_start: Option<StripeTime>,
        /// End of the current period: the latest of the items'.
        pub current_period_end: Option<StripeTime>,
        /// End of the paid time: what the paid lines of its items cover, less what was credited.
        pub paid_through: Option<StripeTime>,
        /// Start of the trial; stays set when it is over.
        pub trial_start: Option<StripeTime>,
        /// End of the trial; stays set when it is over.
        pub trial_end: Option<StripeTime>,
        /// True if it ends with the current period.
        pub cancel_at_period_end: bool,
        /// Instant of the planned cancellation.
        pub cancel_at: Option<StripeTime>,
        /// Instant at which the cancellation was requested.
        pub canceled_at: Option<StripeTime>,
        /// Instant at which it ended.
        pub ended_at: Option<StripeTime>,
        /// Instant at which it ended or will end, however that was set.
        pub ends_at: Option<StripeTime>,
        /// Reason of the cancellation, as Stripe names it.
        pub cancellation_reason: Option<String>,
        /// Reason of the pause, as Stripe names it.
        pub paused_reason: Option<String>,
        /// Pause of the collection of payments. The status does not change with it.
        pub pause_collection: Option<Json<PauseCollection>>,
        /// The next planned change of a schedule.
        pub scheduled_change: Option<Json<ScheduledChange>>,
        /// Discounts in force: the promotion code or the coupon of each, or the discount's id if no event says
        /// more.
        pub discounts: Json<Vec<String>>,
        /// Entitlement features of the customer, by their lookup keys.
        pub features: Json<Vec<String>>,
        /// True if Stripe cut the list of features.
        pub features_truncated: bool,
        /// The test clock that moves this subscription's time.
        pub test_clock_id: Option<String>,
        /// Number of its events that could not be folded.
        pub parked: i64,
        /// `charge_automatically` or `send_invoice`.
        pub collection_method: Option<String>,
        /// The latest invoice.
        pub latest_invoice_id: Option<InvoiceId>,
        /// Its status.
        pub latest_invoice_status: Option<String>,
        /// Start of the current debt. If no event told it: what the unpaid invoice says, or else the time of the
        /// observation.
        pub past_due_since: Option<StripeTime>,
        /// Instant of the last failed payment.
        pub payment_failed_at: Option<StripeTime>,
        /// Instant of the next attempt to collect.
        pub next_payment_attempt: Option<StripeTime>,
        /// Instant of the last payment of an invoice.
        pub paid_at: Option<StripeTime>,
        /// Instant of its creation.
        pub created_at: Option<StripeTime>,
        /// Instant of its start.
        pub started_at: Option<StripeTime>,
        /// The subscription's metadata.
        pub metadata: Json<BTreeMap<String, String>>,
        /// The API version of the snapshot that this row comes from.
        pub api_version: Option<String>,
        /// True if this row would differ if another of the events had been the last that share a second and that
        /// nothing can order.
        pub order_ambiguous: bool,
        /// The event whose snapshot this row comes from.
        pub last_event_id: EventId,
        /// Instant of that event.
        pub last_event_at: StripeTime,
        /// Number of events on this subscription's timeline.
        pub event_count: i64,
        /// Three-letter currency that the subscription is billed in, lower case.
        pub billing_currency: Option<String>,
        /// Package of units that `unit_amount` buys; null where it buys one unit.
        pub transform_quantity: Option<Json<Package>>,
        /// True if the end of the paid time is unknown: Stripe cut the list of lines of its last paid invoice.
        pub paid_through_unknown: bool,
        /// Instant at which Stripe's API showed the snapshot that this row comes from; null if it is that of an event.
        pub observed_at: Option<StripeTime>,
    }
}

/// One item of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRow {
    /// `si_…`; none before items existed.
    pub item_id: Option<String>,
    /// The price, or the plan before prices existed.
    pub price_id: Option<String>,
    /// Its product.
    pub product_id: Option<String>,
    /// The product's name: the catalogue's, or else the one that a plan carried until 2018-02-05.
    pub product_name: Option<String>,
    /// The price's nickname: the catalogue's, or else that of the snapshot.
    pub price_nickname: Option<String>,
    /// The price's lookup key.
    pub lookup_key: Option<String>,
    /// Quantity.
    pub quantity: Option<i64>,
    /// Three-letter currency of `unit_amount`, lower case.
    pub currency: Option<String>,
    /// Price of one unit, or of one package, in minor units of `currency`.
    pub unit_amount: Option<i64>,
    /// The same as decimal text, with fractions of a minor unit.
    pub unit_amount_decimal: Option<String>,
    /// `day`, `week`, `month` or `year`.
    pub interval: Option<String>,
    /// Number of intervals in a period.
    pub interval_count: Option<i64>,
    /// Start of this item's period.
    pub current_period_start: Option<StripeTime>,
    /// End of this item's period.
    pub current_period_end: Option<StripeTime>,
    /// Package of units that `unit_amount` buys; null where it buys one unit.
    #[serde(default)]
    pub transform_quantity: Option<Package>,
}

/// Pause of the collection of payments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseCollection {
    /// `void`, `keep_as_draft` or `mark_uncollectible`.
    pub behavior: String,
    /// Instant at which collection resumes by itself.
    pub resumes_at: Option<StripeTime>,
}

/// Next change that a schedule will make to a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledChange {
    /// The schedule, `sub_sched_…`.
    pub schedule_id: String,
    /// Instant of the change.
    pub at: StripeTime,
    /// `update` or `cancel`.
    pub action: PlannedAction,
    /// Items after the change; empty for a cancellation.
    pub items: Vec<PlannedItem>,
}

impl SubscriptionRow {
    /// Columns that the view joins from other tables. In a folded row they are 0.
    pub const JOINED: &'static [&'static str] = &["parked", "event_count"];

    /// True if access is granted at this instant.
    pub fn active_at(&self, now: StripeTime) -> bool {
        self.entitled && self.entitled_until.is_none_or(|end| now < end)
    }
}
