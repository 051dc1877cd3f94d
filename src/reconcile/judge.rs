//! Differences of one customer, with their classes.

use std::collections::BTreeMap;

use super::amount::MonthlyAmount;
use super::classify::classify;
use super::evidence::{Evidence, Explained, ListedEvent};
use super::fields::{Content, FieldDifference, OF_CUSTOMER};
use super::found::{Found, is_deleted};
use super::held::HeldEvents;
use super::report::Difference;
use crate::ids::{CustomerKey, InvoiceId, SubscriptionId};
use crate::projection::Logic;
use crate::projection::row::SubscriptionRow;
use crate::projection::rows::{has_outcome, rows};
use crate::projection::state::{CustomerState, StateChange};
use crate::time::StripeTime;

/// Customer with what the API shows of it.
pub(super) struct Customer<'a> {
    pub(super) key: &'a CustomerKey,
    /// State of the ledger.
    pub(super) known: &'a CustomerState,
    pub(super) found: &'a Found,
}

type Rows = BTreeMap<SubscriptionId, SubscriptionRow>;

/// Difference, and what the report counts beside it.
pub(super) struct Judged {
    pub(super) difference: Difference,
    /// Monthly amount of the subscription.
    pub(super) amount: MonthlyAmount,
    /// Latest invoice at Stripe, if nothing is known of it: no list has shown it.
    pub(super) unknown_invoice: Option<InvoiceId>,
}

/// Differences of a customer.
pub(super) fn judge(
    customer: &Customer<'_>,
    held: &HeldEvents,
    logic: &Logic,
    now: StripeTime,
) -> Vec<Judged> {
    let Customer { key, known, found } = *customer;
    let rows_of = |state: &CustomerState| -> Rows {
        rows(key, state, logic).into_iter().map(|row| (row.subscription_id.clone(), row)).collect()
    };
    let [with_missed, with_events, healed] = found.outcomes(known);
    let (before, after) = (rows_of(known), rows_of(&healed));
    // Computed only if something differs.
    let mut by_events: Option<[Rows; 2]> = None;
    let mut differences = Vec::new();
    for (id, after) in &after {
        let before = before.get(id);
        let (ledger, stripe) = (before.map(Content::of), Content::of(after));
        let fields = Content::differences(ledger.as_ref(), &stripe);
        if fields.is_empty() {
            continue;
        }
        let [missed, events] = by_events
            .get_or_insert_with(|| [rows_of(&with_missed), rows_of(&with_events)])
            .each_ref()
            .map(|rows| explained(ledger.as_ref(), rows.get(id), &stripe, &fields));
        let young = if events > missed { events } else { Explained::Not };
        let matches = |row: &SubscriptionRow| {
            let row = Content::of(row);
            fields.iter().all(|it| *row.get(&it.field) == it.stripe)
        };
        let evidence = Evidence {
            before,
            after,
            fields: &fields,
            now,
            missed: concerning(&found.missed_events, id, &fields, missed),
            explained_by_missed: missed,
            young: concerning(&found.young_events, id, &fields, young),
            explained_by_young: young,
            parked: held.parked(key, id, before),
            thin: held.thin(key, id, [before, Some(after)], found.observed_ids(&fields)),
            is_gone: is_gone(found, id),
            is_customer_deleted: is_deleted(&healed) && !is_deleted(known),
            is_other_order: before.is_some() && has_outcome(key, known, id, logic, matches),
        };
        let verdict = classify(&evidence);
        let (access_before, access_after) = evidence.access();
        let priced = if access_after { after } else { before.unwrap_or(after) };
        let difference = Difference {
            subscription_id: id.clone(),
            customer_id: key.customer.clone(),
            user_id: before.and_then(|row| row.user_id.clone()).or(after.user_id.clone()),
            class: verdict.class,
            is_drift: verdict.class.is_drift(),
            reason: verdict.reason,
            events: verdict.events,
            event_count: verdict.event_count,
            since: verdict.since,
            access_before,
            access_after,
            is_healed: None,
            fields: fields.clone(),
        };
        let is_unknown = after.latest_invoice_status.is_none() && !evidence.is_gone;
        differences.push(Judged {
            difference,
            amount: MonthlyAmount::of(priced),
            unknown_invoice: after.latest_invoice_id.clone().filter(|_| is_unknown),
        });
    }
    differences
}

/// Part of a difference that vanishes if a row is as after some events.
fn explained(
    ledger: Option<&Content>,
    row: Option<&SubscriptionRow>,
    stripe: &Content,
    fields: &[FieldDifference],
) -> Explained {
    let Some(row) = row.map(Content::of) else { return Explained::Not };
    let remaining = Content::differences(Some(&row), stripe);
    let vanish = fields.iter().filter(|it| *row.get(&it.field) == it.stripe).count();
    match (remaining.is_empty(), ledger) {
        (true, _) => Explained::Fully,
        (false, None) => Explained::Partly,
        (false, Some(_)) if vanish > 0 => Explained::Partly,
        (false, Some(_)) => Explained::Not,
    }
}

/// Events that concern a subscription: its own, and those of the customer if a field of the customer differs.
fn concerning(
    events: &[ListedEvent],
    id: &SubscriptionId,
    fields: &[FieldDifference],
    explained: Explained,
) -> Vec<ListedEvent> {
    let of_customer = fields.iter().any(|it| OF_CUSTOMER.contains(&it.field.as_str()));
    let own = events.iter().filter(|it| match &it.subscription {
        Some(subscription) => subscription == id,
        None => of_customer,
    });
    let own: Vec<ListedEvent> = own.cloned().collect();
    if own.is_empty() && explained != Explained::Not {
        // The deletion of a customer ends its subscriptions.
        let of_customer = events.iter().filter(|it| it.subscription.is_none()).cloned();
        let of_customer: Vec<ListedEvent> = of_customer.collect();
        return if of_customer.is_empty() { events.to_vec() } else { of_customer };
    }
    own
}

fn is_gone(found: &Found, id: &SubscriptionId) -> bool {
    found.observed.iter().any(|change| match change {
        StateChange::Subscription(gone, latest, _) => gone == id && latest.is_gone(),
        _ => false,
    })
}
