//! Estimated memory of a folded state, so that a fold can be kept within a limit.
//!
//! It is an estimate: the size of the stored form, and the places that maps and vectors allocate. A test compares it with
//! what the allocator was asked for.

use std::mem::size_of;

use postcard::ser_flavors::Size;

use super::group::Snapshot;
use super::latest::Latest;
use super::state::{CustomerState, InvoiceState, SubscriptionState};
use crate::ids::{EventId, InvoiceId, ScheduleId, SessionId, SubscriptionId};
use crate::stripe::checkout_session::SessionFacts;
use crate::stripe::customer::CustomerFacts;
use crate::stripe::entitlements::FeatureFacts;
use crate::stripe::invoice::InvoiceFacts;
use crate::stripe::subscription::SubscriptionFacts;
use crate::stripe::subscription_schedule::ScheduleFacts;
use crate::time::StripeTime;

/// Entries of a node of a `BTreeMap`. The first entry allocates them all.
const NODE_ENTRIES: usize = 11;
/// Entries of a node that are used on average, once there are several nodes.
const NODE_ENTRIES_USED: usize = 7;

/// Estimated memory that a state allocates, in bytes. Its digests should be materialized: otherwise they are computed and dropped.
pub fn footprint(state: &CustomerState) -> usize {
    let CustomerState {
        customer,
        subscriptions,
        sessions,
        schedules,
        features,
        discount_codes,
        last_email: _,
        user_link: _,
    } = state;
    let of_subscription = |it: &SubscriptionState| {
        let SubscriptionState { snapshots, overdue: _, invoices } = it;
        snapshots.iter().len() * latest::<SubscriptionFacts>()
            + map::<InvoiceId, InvoiceState>(invoices.len())
            + invoices.len() * latest::<InvoiceFacts>()
    };
    // Texts and digests, each an allocation of its own.
    stored_size(state) * 7 / 4
        + customer.iter().len() * latest::<CustomerFacts>()
        + features.iter().len() * latest::<FeatureFacts>()
        + map::<SubscriptionId, SubscriptionState>(subscriptions.len())
        + subscriptions.values().map(of_subscription).sum::<usize>()
        + map::<SessionId, Latest<SessionFacts>>(sessions.len())
        + sessions.len() * latest::<SessionFacts>()
        + map::<ScheduleId, Latest<ScheduleFacts>>(schedules.len())
        + schedules.len() * latest::<ScheduleFacts>()
        + map::<String, (StripeTime, String)>(discount_codes.len())
}

/// Size of the stored form, in bytes.
fn stored_size(state: &CustomerState) -> usize {
    // Counting bytes cannot fail.
    postcard::serialize_with_flavor(state, Size::default()).unwrap_or_default()
}

/// Bytes of the nodes of a map.
fn map<K, V>(entries: usize) -> usize {
    let places = match entries {
        0 => 0,
        _ => (entries * NODE_ENTRIES / NODE_ENTRIES_USED).max(NODE_ENTRIES),
    };
    places * (size_of::<K>() + size_of::<V>())
}

/// Bytes that the latest snapshot of an object allocates: nearly always that of one event.
const fn latest<F>() -> usize {
    size_of::<(EventId, Snapshot<F>)>()
}
