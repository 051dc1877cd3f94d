//! Payments of a subscription, from all of its invoices.

use super::coverage::Coverage;
use super::group::{Precedence, Winner};
use super::state::{InvoiceState, SubscriptionState};
use crate::ids::InvoiceId;
use crate::stripe::invoice::{InvoiceFacts, LineFacts};
use crate::stripe::subscription::SubscriptionFacts;
use crate::time::StripeTime;

/// Payments of a subscription, from all of its invoices.
#[derive(Debug, Default)]
pub(super) struct Payments<'a> {
    /// Latest invoice and, if an event of it is known, its status. A deleted draft does not count.
    pub(super) latest: Option<(&'a InvoiceId, Option<&'a str>)>,
    /// Second of the next attempt to collect the latest invoice.
    pub(super) next_attempt: Option<StripeTime>,
    /// Second of the last payment.
    pub(super) paid_at: Option<StripeTime>,
    /// True if an invoice with a total above zero was ever paid.
    pub(super) ever_paid: bool,
    /// End of the time that the paid lines of its items cover.
    pub(super) paid_through: Option<StripeTime>,
    /// True if that end is unknown: the list of lines of a paid invoice was cut, and nothing else says what it
    /// pays for.
    pub(super) paid_through_unknown: bool,
    /// Second of the last failed payment.
    pub(super) failed_at: Option<StripeTime>,
    /// E-mail address of the latest invoice.
    pub(super) email: Option<&'a str>,
}

/// Invoice that is not deleted, with its latest facts.
struct KnownInvoice<'a> {
    /// Second in which it was made, by the clock of its subscription.
    made: StripeTime,
    /// Second from which it existed, by the clock of events.
    seen: StripeTime,
    id: &'a InvoiceId,
    facts: &'a InvoiceFacts,
    state: &'a InvoiceState,
}

impl<'a> Payments<'a> {
    pub(super) fn new(
        subscription: &'a SubscriptionState,
        snapshot: &Winner<'a, SubscriptionFacts>,
    ) -> Self {
        let facts = snapshot.facts;
        let invoices = in_order(subscription, facts);
        let own = || invoices.iter().filter(|it| it.facts.is_own);
        let is_deleted = |id: &InvoiceId| {
            let known = subscription.invoices.get(id);
            known.is_some_and(|it| it.snapshots.precedence() == Precedence::Terminal)
        };
        let pointer = facts.latest_invoice.as_ref().filter(|id| !is_deleted(id));
        let (latest_id, latest) = latest(&invoices, pointer, snapshot.created).unzip();
        let latest = latest.flatten();
        let paid = || own().filter(|it| it.facts.is_paid());
        let (paid_through, paid_through_unknown) = paid_through(&invoices, facts);
        Self {
            latest: latest_id.map(|id| (id, latest.map(|it| it.facts.status.as_str()))),
            next_attempt: latest.and_then(|it| it.facts.next_payment_attempt),
            paid_at: paid().filter_map(|it| it.facts.paid_at.or(it.state.first_paid)).max(),
            ever_paid: own().any(|it| it.facts.has_earned()),
            paid_through,
            paid_through_unknown,
            failed_at: own().filter_map(|it| it.state.last_failed).max(),
            email: own().next_back().and_then(|it| it.facts.email.as_deref()),
        }
    }
}

/// The invoices that concern the subscription, in the order in which they were made.
fn in_order<'a>(
    subscription: &'a SubscriptionState,
    facts: &SubscriptionFacts,
) -> Vec<KnownInvoice<'a>> {
    let known = subscription.invoices.iter().filter_map(|(id, state)| {
        let winner = state.snapshots.winner();
        if winner.precedence == Precedence::Terminal {
            return None;
        }
        let invoice = winner.facts;
        let made = invoice.created.unwrap_or(state.first_seen);
        let seen = if facts.test_clock.is_some() { state.first_seen } else { made };
        Some(KnownInvoice { made, seen, id, facts: invoice, state })
    });
    let mut known: Vec<_> = known.collect();
    known.sort_by(|a, b| {
        (a.made, a.state.is_assumed_last, a.id).cmp(&(b.made, b.state.is_assumed_last, b.id))
    });
    known
}

/// Id of the latest invoice, and the invoice itself if it is known.
///
/// The snapshot of the subscription points at it. The pointer counts if no known invoice is newer than the
/// snapshot or than the invoice that it points at; so it also decides between several of one second. Otherwise
/// the latest is the one that was made last.
fn latest<'a, 'k>(
    invoices: &'k [KnownInvoice<'a>],
    pointer: Option<&'a InvoiceId>,
    pointed: StripeTime,
) -> Option<(&'a InvoiceId, Option<&'k KnownInvoice<'a>>)> {
    let own = || invoices.iter().filter(|it| it.facts.is_own);
    let made_last = own().next_back();
    if let Some(pointer) = pointer {
        let pointed_at = own().find(|it| it.id == pointer);
        let none_is_newer = own()
            .all(|it| it.seen < pointed || pointed_at.is_some_and(|latest| it.made <= latest.made));
        if none_is_newer {
            return Some((pointer, pointed_at));
        }
    }
    made_last.map(|it| (it.id, Some(it)))
}

/// End of the time that the paid lines cover, and true if it is unknown.
fn paid_through(
    invoices: &[KnownInvoice<'_>],
    facts: &SubscriptionFacts,
) -> (Option<StripeTime>, bool) {
    let mut coverage = Coverage::default();
    let mut unknown = false;
    for KnownInvoice { id, made, facts: invoice, .. } in
        invoices.iter().filter(|it| it.facts.is_paid())
    {
        coverage.enter(&invoice.lines);
        if !invoice.are_lines_cut {
            // A line for a period ahead makes the end known again.
            let is_ahead =
                |line: &LineFacts| !line.is_credit && !line.is_proration && line.end > *made;
            unknown &= !(invoice.is_own && invoice.lines.iter().any(is_ahead));
        } else if facts.latest_invoice.as_ref() == Some(*id) {
            let (start, end) = facts.own_period;
            coverage.charge(None, start, end.filter(|_| facts.items.is_empty()), false);
            for item in &facts.items {
                let (start, end) = (item.current_period_start, item.current_period_end);
                coverage.charge(item.item_id.as_deref(), start, end, false);
            }
            unknown = facts.current_period_end().is_none();
        } else {
            unknown = true;
        }
    }
    let end = coverage.end(facts);
    (end.filter(|_| !unknown), unknown)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ids::EventId;
    use crate::projection::group::Snapshot;
    use crate::projection::latest::Latest;
    use crate::projection::lazy_digest::LazyDigest;
    use crate::projection::order::{Evidence, LifecyclePhase};

    fn snapshot<F: Clone + PartialEq>(at: i64, facts: F) -> Latest<F> {
        snapshot_of(Precedence::Live, at, facts)
    }

    fn snapshot_of<F: Clone + PartialEq>(precedence: Precedence, at: i64, facts: F) -> Latest<F> {
        let digest = LazyDigest::from_object("{}", None);
        let evidence =
            Evidence { phase: LifecyclePhase::Changed, rank: 0, api_version: None, digest };
        let snapshot = Snapshot { facts, evidence };
        Latest::of_event(precedence, StripeTime(at), EventId::from("evt_1"), snapshot)
    }

    /// The latest of these invoices (id and second), and true if its status is known, for a snapshot with this
    /// pointer and second.
    fn latest_of(
        invoices: &[(&str, i64)],
        pointer: Option<&str>,
        at: i64,
    ) -> Option<(String, bool)> {
        let invoice = |(id, made): &(&str, i64)| {
            let created = Some(StripeTime(*made));
            let facts = InvoiceFacts {
                is_own: true,
                created,
                status: "open".to_owned(),
                ..InvoiceFacts::default()
            };
            let state = InvoiceState {
                snapshots: snapshot(*made, facts),
                first_paid: None,
                last_failed: None,
                first_seen: StripeTime(*made),
                is_assumed_last: false,
            };
            (InvoiceId::from(*id), state)
        };
        let facts = SubscriptionFacts {
            latest_invoice: pointer.map(InvoiceId::from),
            ..SubscriptionFacts::default()
        };
        let subscription = SubscriptionState {
            snapshots: Some(snapshot(at, facts)),
            invoices: invoices.iter().map(invoice).collect::<BTreeMap<_, _>>(),
            ..SubscriptionState::default()
        };
        let winner = subscription.snapshots.as_ref()?.winner();
        let latest = Payments::new(&subscription, &winner).latest?;
        Some((latest.0.to_string(), latest.1.is_some()))
    }

    #[test]
    fn the_snapshot_points_at_the_latest_invoice_unless_a_newer_one_is_known() {
        let is = |id: &str, known: bool| Some((id.to_owned(), known));
        let two = [("in_1", 5), ("in_2", 9)];
        assert_eq!(latest_of(&two, Some("in_2"), 9), is("in_2", true));
        assert_eq!(latest_of(&two, Some("in_1"), 5), is("in_2", true), "the snapshot is older");
        assert_eq!(latest_of(&two, Some("in_1"), 9), is("in_2", true), "as old as the invoice");
        assert_eq!(latest_of(&two, Some("in_1"), 10), is("in_1", true), "the other was taken back");
        assert_eq!(latest_of(&two, Some("in_3"), 10), is("in_3", false), "no event of it is known");
        assert_eq!(latest_of(&two, Some("in_0"), 8), is("in_2", true));
        assert_eq!(latest_of(&two, None, 10), is("in_2", true));
        assert_eq!(latest_of(&[], Some("in_1"), 10), is("in_1", false));
        assert_eq!(latest_of(&[], None, 10), None);
    }

    #[test]
    fn a_draft_that_was_deleted_is_not_the_latest_invoice_though_the_snapshot_points_at_it() {
        let draft =
            InvoiceFacts { is_own: true, status: "draft".to_owned(), ..InvoiceFacts::default() };
        let of = |latest: Latest<InvoiceFacts>| InvoiceState {
            snapshots: latest,
            first_paid: None,
            last_failed: None,
            first_seen: StripeTime(5),
            is_assumed_last: false,
        };
        let deleted = snapshot_of(Precedence::Terminal, 9, draft.clone());
        let invoices = [("in_1", of(snapshot(5, draft))), ("in_2", of(deleted))];
        let facts = SubscriptionFacts {
            latest_invoice: Some("in_2".into()),
            ..SubscriptionFacts::default()
        };
        let subscription = SubscriptionState {
            snapshots: Some(snapshot(20, facts)),
            invoices: invoices.map(|(id, state)| (InvoiceId::from(id), state)).into(),
            ..SubscriptionState::default()
        };
        let winner = subscription.snapshots.as_ref().unwrap().winner();
        assert_eq!(
            Payments::new(&subscription, &winner).latest,
            Some((&"in_1".into(), Some("draft")))
        );
    }

    #[test]
    fn of_invoices_of_one_second_the_snapshot_says_which_is_the_latest() {
        for pointer in ["in_a", "in_z"] {
            let found = latest_of(&[("in_a", 9), ("in_z", 9), ("in_0", 5)], Some(pointer), 9);
            assert_eq!(found, Some((pointer.to_owned(), true)));
        }
    }
}
