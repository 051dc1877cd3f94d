//! A row of `current_subscriptions`: what a subscription is now, in one flat line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::column::{Json, row};
use crate::stripe::price::Package;
use crate::stripe::subscription_schedule::{PlannedAction, PlannedItem};
use crate::time::StripeTime;

row! {
    /// The current state of one subscription, as the API and the SQL view show it.
    ///
    /// Instants are Stripe's, money is in minor units of `currency`. New columns come last, so that the view
    /// keeps its place in PostgreSQL. `active` is not here: it
    /// depends on the instant of asking, see [`SubscriptionRow::active_at`].
    #[derive(Clone, Debug, Default, PartialEq, Serialize)]
    pub struct SubscriptionRow {
        /// The subscription, `sub_…`.
        pub subscription_id: String,
        /// The account it lives in; empty for the platform's own.
        pub account: String,
        /// Live or test mode.
        pub livemode: bool,
        /// The customer, `cus_…`.
        pub customer_id: String,
        /// The application's own user, where anything said who that is.
        pub user_id: Option<String>,
        /// What said it: `subscription.metadata`, `checkout.client_reference_id`,
        /// `checkout.metadata`, `customer.metadata` or `customer.checkout`.
        pub user_id_source: Option<String>,
        /// Whether something else named another user.
        pub user_id_conflict: bool,
        /// The customer's e-mail address, where it is known.
        pub email: Option<String>,
        /// Stripe's status, as it was sent.
        pub status: String,
        /// Whether the policy grants access, before [`Self::entitled_until`].
        pub entitled: bool,
        /// When the granted access ends by itself; null for no known end.
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
        /// How many of the first item.
        pub quantity: Option<i64>,
        /// Three-letter currency of `unit_amount`, lower case. A price of several currencies shows its base
        /// where Stripe does not embed the others; compare [`Self::billing_currency`].
        pub currency: Option<String>,
        /// Price of one unit, or of one package, in minor units of `currency`.
        pub unit_amount: Option<i64>,
        /// The same where it has fractions of a minor unit.
        pub unit_amount_decimal: Option<String>,
        /// `day`, `week`, `month` or `year`.
        pub interval: Option<String>,
        /// How many of them make a period.
        pub interval_count: Option<i64>,
        /// Every item that the snapshot embedded.
        pub items: Json<Vec<ItemRow>>,
        /// Whether Stripe cut the list of items short.
        pub items_truncated: bool,
        /// Start of the current period: the earliest of the items'.
        pub current_period_start: Option<StripeTime>,
        /// End of the current period: the latest of the items'.
        pub current_period_end: Option<StripeTime>,
        /// Until when it is paid: the end of what the paid lines of its items cover, less what was credited.
        pub paid_through: Option<StripeTime>,
        /// Start of the trial; stays set when it is over.
        pub trial_start: Option<StripeTime>,
        /// End of the trial; stays set when it is over.
        pub trial_end: Option<StripeTime>,
        /// Whether it ends with the current period.
        pub cancel_at_period_end: bool,
        /// When it will be cancelled.
        pub cancel_at: Option<StripeTime>,
        /// When the cancellation was asked for.
        pub canceled_at: Option<StripeTime>,
        /// When it ended.
        pub ended_at: Option<StripeTime>,
        /// When it will end or ended, by whichever way that was set.
        pub ends_at: Option<StripeTime>,
        /// Why it was cancelled, in Stripe's words.
        pub cancellation_reason: Option<String>,
        /// Why it is paused, in Stripe's words.
        pub paused_reason: Option<String>,
        /// Set while collection is paused; the status stays as it is.
        pub pause_collection: Option<Json<PauseCollection>>,
        /// The next planned change of a schedule.
        pub scheduled_change: Option<Json<ScheduledChange>>,
        /// Discounts in force: the promotion code or the coupon of each, or the discount's id where no event
        /// says more.
        pub discounts: Json<Vec<String>>,
        /// Entitlement features of the customer, by their lookup keys.
        pub features: Json<Vec<String>>,
        /// Whether Stripe cut the list of features short.
        pub features_truncated: bool,
        /// The test clock that moves this subscription's time.
        pub test_clock_id: Option<String>,
        /// How many of its events could not be folded.
        pub parked: i64,
        /// `charge_automatically` or `send_invoice`.
        pub collection_method: Option<String>,
        /// The latest invoice.
        pub latest_invoice_id: Option<String>,
        /// Its status.
        pub latest_invoice_status: Option<String>,
        /// Since when payment is overdue.
        pub past_due_since: Option<StripeTime>,
        /// The last time a payment failed.
        pub payment_failed_at: Option<StripeTime>,
        /// When Stripe tries again.
        pub next_payment_attempt: Option<StripeTime>,
        /// The last time an invoice was paid.
        pub paid_at: Option<StripeTime>,
        /// When it was made.
        pub created_at: Option<StripeTime>,
        /// When it began.
        pub started_at: Option<StripeTime>,
        /// The subscription's metadata.
        pub metadata: Json<BTreeMap<String, String>>,
        /// The API version of the snapshot that this row comes from.
        pub api_version: Option<String>,
        /// Whether this row would say something else if, of events that share a second and that nothing
        /// can order, another had been the last.
        pub order_ambiguous: bool,
        /// The event whose snapshot this row comes from.
        pub last_event_id: String,
        /// When that event happened.
        pub last_event_at: StripeTime,
        /// How many events are on this subscription's timeline.
        pub event_count: i64,
        /// Three-letter currency that the subscription is billed in, lower case.
        pub billing_currency: Option<String>,
        /// Package of units that `unit_amount` buys; null where it buys one unit.
        pub transform_quantity: Option<Json<Package>>,
        /// True if nobody can say until when it is paid: Stripe cut the list of lines of its last paid invoice.
        pub paid_through_unknown: bool,
    }
}

/// One item of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRow {
    /// `si_…`, absent before items existed.
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
    /// How many.
    pub quantity: Option<i64>,
    /// Three-letter currency of `unit_amount`, lower case.
    pub currency: Option<String>,
    /// Price of one unit, or of one package, in minor units of `currency`.
    pub unit_amount: Option<i64>,
    /// The same where it has fractions of a minor unit.
    pub unit_amount_decimal: Option<String>,
    /// `day`, `week`, `month` or `year`.
    pub interval: Option<String>,
    /// How many of them make a period.
    pub interval_count: Option<i64>,
    /// Start of this item's period.
    pub current_period_start: Option<StripeTime>,
    /// End of this item's period.
    pub current_period_end: Option<StripeTime>,
    /// Package of units that `unit_amount` buys; null where it buys one unit.
    #[serde(default)]
    pub transform_quantity: Option<Package>,
}

/// A pause of collection: what happens to the invoices meanwhile, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseCollection {
    /// `void`, `keep_as_draft` or `mark_uncollectible`.
    pub behavior: String,
    /// When collection goes on by itself.
    pub resumes_at: Option<StripeTime>,
}

/// The next thing that a schedule will do to a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledChange {
    /// The schedule, `sub_sched_…`.
    pub schedule_id: String,
    /// When.
    pub at: StripeTime,
    /// `update` or `cancel`.
    pub action: PlannedAction,
    /// What the subscription will be for; nothing where it will be cancelled.
    pub items: Vec<PlannedItem>,
}

impl SubscriptionRow {
    /// The columns that no fold knows: the view joins them from other tables, and a folded row
    /// holds nothing in them.
    pub const JOINED: &'static [&'static str] = &["parked", "event_count"];

    /// Whether access is granted at this instant.
    pub fn active_at(&self, now: StripeTime) -> bool {
        self.entitled && self.entitled_until.is_none_or(|end| now < end)
    }
}
