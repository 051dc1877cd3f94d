//! Classification of a difference. Pure.
//!
//! The first class that fits is the class of the difference:
//!
//! | class | condition |
//! | --- | --- |
//! | `test_clock` | the subscription is on a test clock |
//! | `not_yet_delivered` | only listed events of the last two minutes explain it, or nothing does and it changed within them |
//! | `abandoned_checkout` | `incomplete` or `incomplete_expired` at Stripe, without access on either side |
//! | `deleted_customer` | the customer is deleted at Stripe, and the ledger does not know it |
//! | `gone_at_stripe` | Stripe has no such subscription |
//! | `missed_delivery`, `thin_not_fetched` | listed events explain all of it; `thin_not_fetched` if a thin event announced the last of them |
//! | `parked` | a parked event may explain it |
//! | `thin_not_fetched` | a thin event of the log may explain it |
//! | `missed_delivery`, `thin_not_fetched` | listed events explain a part of it |
//! | `ambiguous_order` | another order of events of one second explains it |
//! | `cut_list` | only a list differs that was cut in the event |
//! | `user_differs` | only the user differs |
//! | `unknown_here` | the ledger has no row |
//! | `missed_delivery` | otherwise: no event of it is listed any more |

use super::class::Class;
use super::evidence::{Evidence, Explained, HeldEvent, ListedEvent};
use super::fields::FieldDifference;
use crate::ids::EventId;
use crate::projection::row::ItemRow;
use crate::time::StripeTime;

/// Age in seconds up to which an event may be on its way: Stripe's lists are late by up to a minute, and so is a
/// delivery.
pub const YOUNG_SECONDS: i64 = 120;

/// Events that a difference names, at most. The count is of all.
const EVENTS_MAX: usize = 20;

/// Class of a difference, with its reason for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Class.
    pub class: Class,
    /// Sentence that says why.
    pub reason: String,
    /// Events that explain the difference, the newest first, at most 20.
    pub events: Vec<EventId>,
    /// Number of all of them.
    pub event_count: u64,
    /// Second of the first of them; none if no event explains it.
    pub since: Option<StripeTime>,
}

/// Classifies a difference.
pub fn classify(evidence: &Evidence<'_>) -> Verdict {
    let Evidence { before, after, .. } = evidence;
    if after.test_clock_id.is_some() || before.is_some_and(|row| row.test_clock_id.is_some()) {
        return by_listed(Class::TestClock, "it is on a test clock", evidence);
    }
    if let Some(reason) = on_its_way(evidence) {
        return refer(Class::NotYetDelivered, reason.to_owned(), &evidence.young);
    }
    let (access_before, access_after) = evidence.access();
    let is_unpaid = matches!(after.status.as_str(), "incomplete" | "incomplete_expired");
    if is_unpaid && !access_before && !access_after {
        let reason = "its checkout was not paid, and it has access on neither side";
        return by_listed(Class::AbandonedCheckout, reason, evidence);
    }
    if evidence.is_customer_deleted {
        let reason = "its customer was deleted at Stripe";
        return by_listed(Class::DeletedCustomer, reason, evidence);
    }
    if evidence.is_gone {
        let reason = "Stripe has no such subscription any more";
        return by_listed(Class::GoneAtStripe, reason, evidence);
    }
    if evidence.explained_by_missed == Explained::Fully {
        return missed(evidence);
    }
    if let [first, ..] = &evidence.parked[..] {
        let reason = format!("an event is in the log and could not be folded: {}", first.reason);
        return held(Class::Parked, reason, &evidence.parked);
    }
    if !evidence.thin.is_empty() {
        let reason = "a thin event announced a change that was not fetched".to_owned();
        return held(Class::ThinNotFetched, reason, &evidence.thin);
    }
    if evidence.explained_by_missed == Explained::Partly {
        return missed(evidence);
    }
    let unexplained = |class, reason: &str| by_listed(class, reason, evidence);
    if evidence.is_other_order {
        let reason = "events of one second have no certain order, and Stripe shows another one";
        return unexplained(Class::AmbiguousOrder, reason);
    }
    if let Some(list) = cut_list(evidence) {
        let reason = format!("its list of {list} was cut in the event");
        return unexplained(Class::CutList, &reason);
    }
    if is_only_the_user(evidence.fields) {
        let reason = "only its user differs, and no listed event says why";
        return unexplained(Class::UserDiffers, reason);
    }
    if before.is_none() {
        let reason = "the ledger never heard of it, and its events are older than Stripe lists";
        return unexplained(Class::UnknownHere, reason);
    }
    let reason = "no event of the change arrived, and none is listed: it is older than Stripe lists, or never had one";
    unexplained(Class::MissedDelivery, reason)
}

/// Reason for which the event may be on its way. None if it is not.
fn on_its_way(evidence: &Evidence<'_>) -> Option<&'static str> {
    if evidence.explained_by_missed != Explained::Not {
        return None;
    }
    if evidence.explained_by_young != Explained::Not {
        return Some("its event happened within two minutes and may be on its way");
    }
    let young = StripeTime(evidence.now.0 - YOUNG_SECONDS);
    let is_recent = |field: &FieldDifference| {
        let at = field.stripe.as_str().and_then(StripeTime::parse);
        at.is_some_and(|at| young <= at && at <= evidence.now)
    };
    let has_changed = evidence.fields.iter().any(is_recent);
    has_changed.then_some("it changed within two minutes, and its event may be on its way")
}

/// Verdict by listed events that were never delivered.
fn missed(evidence: &Evidence<'_>) -> Verdict {
    let announced = evidence.missed.first().and_then(|it| it.announced_by.clone());
    if announced.is_some() {
        let reason = "a thin event announced the change, and its snapshot was not fetched";
        return by_listed(Class::ThinNotFetched, reason, evidence);
    }
    let since = evidence.missed.last().map(|it| it.created);
    let since = since.map_or(String::new(), |at| format!(" since {at}"));
    let reason = match evidence.missed.len() {
        1 => format!("1 event was never delivered{since}"),
        count => format!("{count} events were never delivered{since}"),
    };
    by_listed(Class::MissedDelivery, &reason, evidence)
}

/// Verdict that names the listed events.
fn by_listed(class: Class, reason: &str, evidence: &Evidence<'_>) -> Verdict {
    refer(class, reason.to_owned(), &evidence.missed)
}

fn refer(class: Class, reason: String, events: &[ListedEvent]) -> Verdict {
    let is_thin = class == Class::ThinNotFetched;
    let id =
        |it: &ListedEvent| it.announced_by.clone().filter(|_| is_thin).unwrap_or(it.id.clone());
    Verdict {
        class,
        reason,
        event_count: events.len() as u64,
        since: events.iter().map(|it| it.created).min(),
        events: events.iter().take(EVENTS_MAX).map(id).collect(),
    }
}

/// Verdict that names events of the log.
fn held(class: Class, reason: String, events: &[HeldEvent]) -> Verdict {
    Verdict {
        class,
        reason,
        event_count: events.len() as u64,
        since: events.iter().map(|it| it.created).min(),
        events: events.iter().take(EVENTS_MAX).map(|it| it.id.clone()).collect(),
    }
}

/// Fields that follow from the list of items or of features.
const OF_LISTS: [&str; 12] = [
    "items",
    "items_truncated",
    "features",
    "features_truncated",
    "current_period_start",
    "current_period_end",
    "paid_through",
    "paid_through_unknown",
    "entitled",
    "entitled_until",
    "ends_at",
    "cancel_at",
];

/// List that was cut in the event, if only its rest differs.
fn cut_list(evidence: &Evidence<'_>) -> Option<&'static str> {
    let (before, after) = (evidence.before?, evidence.after);
    if !evidence.fields.iter().all(|it| OF_LISTS.contains(&it.field.as_str())) {
        return None;
    }
    let ids = |items: &[ItemRow]| -> Vec<_> {
        items.iter().map(|it| (it.item_id.clone(), it.price_id.clone(), it.quantity)).collect()
    };
    let (items, all_items) = (ids(&before.items.0), ids(&after.items.0));
    let is_part = items.iter().all(|it| all_items.contains(it))
        && before.features.0.iter().all(|it| after.features.0.contains(it));
    let were_items_cut = before.items_truncated && evidence.differs("items");
    let were_features_cut = before.features_truncated && evidence.differs("features");
    match (is_part, were_items_cut, were_features_cut) {
        (true, true, true) => Some("items and of features"),
        (true, true, false) => Some("items"),
        (true, false, true) => Some("features"),
        _ => None,
    }
}

fn is_only_the_user(fields: &[FieldDifference]) -> bool {
    let is_of_user = |field: &str| {
        matches!(field, "user_id" | "user_id_source" | "user_id_conflict" | "metadata" | "email")
    };
    fields.iter().any(|it| it.field == "user_id") && fields.iter().all(|it| is_of_user(&it.field))
}

#[cfg(test)]
mod tests;
