//! Description of an event's changes in sentences.
//!
//! *Invariant: pure. Every field that a history shows has its sentence; a test changes each of them.*

mod items;
mod money;
mod notes;
mod price;

use std::collections::BTreeMap;

pub(super) use notes::note;

use crate::projection::entitlement::EndRule;
use crate::projection::row::{PauseCollection, ScheduledChange, SubscriptionRow};
use crate::stripe::subscription_schedule::PlannedAction;
use crate::time::{DAY_SECONDS, StripeTime};

/// Sentences about the changes of a row by an event, the most important first. `end` is the rule that sets the end of
/// access, if there is one.
pub(super) fn sentences(
    before: Option<&SubscriptionRow>,
    after: &SubscriptionRow,
    end: Option<EndRule>,
) -> Vec<String> {
    let nothing = SubscriptionRow::default();
    let before = before.unwrap_or(&nothing);
    let mut sentences = Sentences(Vec::new());
    sentences.text("status", not_empty(&before.status), not_empty(&after.status));
    sentences.access(before, after, end);
    sentences.price(before, after);
    sentences.number("quantity", before.quantity, after.quantity);
    sentences.0.extend(items::sentences(&before.items.0, &after.items.0));
    sentences.end(before, after);
    sentences.pauses(before, after);
    sentences.plan(before, after);
    sentences.debts(before, after);
    sentences.invoices(before, after);
    sentences.periods(before, after);
    sentences.user(before, after);
    sentences.rest(before, after);
    sentences.0
}

/// Words for the time of an observation.
pub(in crate::audit) fn as_seen_at(at: StripeTime) -> String {
    format!("as seen at Stripe on {}", instant(at))
}

/// Instant as `2026-03-01`, or `2026-03-01 12:30` if it is not midnight.
pub(super) fn instant(at: StripeTime) -> String {
    let text = at.to_string().replace('T', " ");
    let length = if at.0.rem_euclid(DAY_SECONDS) == 0 { "2026-03-01" } else { "2026-03-01 12:30" };
    text.chars().take(length.len()).collect()
}

/// Sentences in the order in which they are found.
struct Sentences(Vec<String>);

impl Sentences {
    fn push(&mut self, sentence: impl Into<String>) {
        self.0.push(sentence.into());
    }

    /// Adds `name: old → new` if they differ.
    fn text(&mut self, name: &str, old: Option<&str>, new: Option<&str>) {
        match (old, new) {
            _ if old == new => {}
            (None, Some(new)) => self.push(format!("{name}: {new}")),
            (Some(old), new) => self.push(format!("{name}: {old} → {}", new.unwrap_or("none"))),
            (None, None) => {}
        }
    }

    fn number(&mut self, name: &str, old: Option<i64>, new: Option<i64>) {
        let text = |number: Option<i64>| number.map(|number| number.to_string());
        self.text(name, text(old).as_deref(), text(new).as_deref());
    }

    fn instant(&mut self, name: &str, old: Option<StripeTime>, new: Option<StripeTime>) {
        let text = |at: Option<StripeTime>| at.map(instant);
        self.text(name, text(old).as_deref(), text(new).as_deref());
    }

    /// Adds `name 2026-03-01`, or `name: none (was 2026-03-01)`, if they differ.
    fn at(&mut self, name: &str, old: Option<StripeTime>, new: Option<StripeTime>) {
        match new {
            _ if old == new => {}
            Some(at) => self.push(format!("{name} {}", instant(at))),
            None => {
                self.push(format!("{name}: none (was {})", old.map(instant).unwrap_or_default()));
            }
        }
    }

    /// Adds one of two sentences if a truth value changed.
    fn toggle(&mut self, old: bool, new: bool, on: &str, off: &str) {
        if old != new {
            self.push(if new { on } else { off });
        }
    }

    /// Adds the items that a list gained and lost.
    fn list(&mut self, name: &str, old: &[String], new: &[String]) {
        let added = new.iter().filter(|it| !old.contains(it)).map(|it| format!("+{it}"));
        let removed = old.iter().filter(|it| !new.contains(it)).map(|it| format!("−{it}"));
        let changed: Vec<String> = added.chain(removed).collect();
        if !changed.is_empty() {
            self.push(format!("{name}: {}", changed.join(", ")));
        } else if old != new {
            self.push(format!("{name}: reordered"));
        }
    }

    fn access(&mut self, before: &SubscriptionRow, after: &SubscriptionRow, end: Option<EndRule>) {
        let sentences = |row: &SubscriptionRow| (row.entitled, row.entitled_until);
        if sentences(before) == sentences(after) {
            return;
        }
        let why = end.map(|end| format!(" ({})", end.describe())).unwrap_or_default();
        match sentences(after) {
            (true, Some(until)) => self.push(format!("access until {}{why}", instant(until))),
            (true, None) => self.push("access without an end"),
            (false, _) if before.entitled => self.push("access ended"),
            (false, _) => self.push("no access"),
        }
    }

    fn price(&mut self, before: &SubscriptionRow, after: &SubscriptionRow) {
        let of = price::Price::from_row;
        self.0.extend(price::sentences("price", &of(before), &of(after)));
        // Omitted if the price is in that currency.
        let billed_in = |row: &'_ SubscriptionRow| {
            row.billing_currency.clone().filter(|it| Some(it) != row.currency.as_ref())
        };
        if before.currency == after.currency || billed_in(after).is_some() {
            self.text("billed in", billed_in(before).as_deref(), billed_in(after).as_deref());
        }
    }

    fn end(&mut self, before: &SubscriptionRow, after: &SubscriptionRow) {
        let turned = before.cancel_at_period_end != after.cancel_at_period_end;
        match (after.cancel_at_period_end, after.ends_at) {
            _ if !turned => {}
            (true, Some(at)) => {
                self.push(format!("cancels at {}, the end of the period", instant(at)));
            }
            (true, None) => self.push("cancels at the end of the period"),
            (false, _) => self.push("no longer cancels at the end of the period"),
        }
        self.at("cancels at", before.cancel_at, after.cancel_at);
        self.at("ended", before.ended_at, after.ended_at);
        // Omitted if one of these sentences already has it.
        let has = |of: fn(&SubscriptionRow) -> Option<StripeTime>| {
            of(before) != of(after) && of(after) == after.ends_at
        };
        let is_stated = has(|row| row.ended_at) || has(|row| row.cancel_at);
        if !is_stated && !(turned && (after.cancel_at_period_end || after.ends_at.is_none())) {
            self.at("ends", before.ends_at, after.ends_at);
        }
        self.at("cancellation requested", before.canceled_at, after.canceled_at);
        let reason =
            |row: &SubscriptionRow| row.cancellation_reason.as_deref().map(without_underscores);
        self.text("reason", reason(before).as_deref(), reason(after).as_deref());
    }

    fn pauses(&mut self, before: &SubscriptionRow, after: &SubscriptionRow) {
        let reason = |row: &SubscriptionRow| row.paused_reason.as_deref().map(without_underscores);
        match (reason(before), reason(after)) {
            (old, new) if old == new => {}
            (_, Some(reason)) => self.push(format!("paused ({reason})")),
            (_, None) => self.push("no longer paused"),
        }
        match (&before.pause_collection, &after.pause_collection) {
            (old, new) if old == new => {}
            (_, Some(pause)) => self.push(describe_pause(&pause.0)),
            (_, None) => self.push("collection resumed"),
        }
    }

    fn plan(&mut self, before: &SubscriptionRow, after: &SubscriptionRow) {
        match (&before.scheduled_change, &after.scheduled_change) {
            (old, new) if old == new => {}
            (_, Some(change)) => self.push(describe_change(&change.0)),
            (_, None) => self.push("no scheduled change"),
        }
    }

    fn debts(&mut self, before: &SubscriptionRow, after: &SubscriptionRow) {
        self.at("past due since", before.past_due_since, after.past_due_since);
        self.at("payment failed", before.payment_failed_at, after.payment_failed_at);
        match (before.next_payment_attempt, after.next_payment_attempt) {
            (Some(old), None) => {
                self.push(format!("no further payment attempt (was {})", instant(old)));
            }
            (old, new) => self.at("next payment attempt", old, new),
        }
    }

    fn invoices(&mut self, before: &SubscriptionRow, after: &SubscriptionRow) {
        let (old, new) = (&before.latest_invoice_id, &after.latest_invoice_id);
        let status = |row: &SubscriptionRow| row.latest_invoice_status.clone();
        if old == new {
            let (old, new) = (status(before), status(after));
            self.text("invoice", old.as_deref(), new.as_deref());
        } else if let Some(id) = new {
            let status = status(after).map(|status| format!(" ({status})")).unwrap_or_default();
            self.push(format!("new invoice {id}{status}"));
        } else {
            self.push("no latest invoice");
        }
        self.at("paid", before.paid_at, after.paid_at);
        self.at("paid through", before.paid_through, after.paid_through);
        let (on, off) = (
            "the end of the paid time is unknown: the invoice's list of lines is truncated",
            "the end of the paid time is known again",
        );
        self.toggle(before.paid_through_unknown, after.paid_through_unknown, on, off);
    }

    fn periods(&mut self, before: &SubscriptionRow, after: &SubscriptionRow) {
        let period = |row: &SubscriptionRow| (row.current_period_start, row.current_period_end);
        self.range("period", period(before), period(after));
        let trial = |row: &SubscriptionRow| (row.trial_start, row.trial_end);
        self.range("trial", trial(before), trial(after));
    }

    fn range(&mut self, name: &str, old: Range, new: Range) {
        if old == new {
            return;
        }
        self.push(match new {
            (Some(start), Some(end)) => format!("{name} {} – {}", instant(start), instant(end)),
            (Some(start), None) => format!("{name} since {}", instant(start)),
            (None, Some(end)) => format!("{name} until {}", instant(end)),
            (None, None) => format!("{name}: none"),
        });
    }

    fn user(&mut self, before: &SubscriptionRow, after: &SubscriptionRow) {
        if before.user_id == after.user_id {
            let source = |row: &SubscriptionRow| row.user_id_source.clone();
            let (old, new) = (source(before), source(after));
            self.text("user id from", old.as_deref(), new.as_deref());
        } else {
            let source = after.user_id_source.as_deref();
            let new = after.user_id.as_deref().map(|user| match source {
                Some(source) => format!("{user} (by {source})"),
                None => user.to_owned(),
            });
            self.text("user", before.user_id.as_deref(), new.as_deref());
        }
        let (on, off) = ("conflicting user ids", "user ids no longer conflict");
        self.toggle(before.user_id_conflict, after.user_id_conflict, on, off);
        self.text("e-mail", before.email.as_deref(), after.email.as_deref());
    }

    fn rest(&mut self, before: &SubscriptionRow, after: &SubscriptionRow) {
        self.list("discounts", &before.discounts.0, &after.discounts.0);
        self.list("features", &before.features.0, &after.features.0);
        let method =
            |row: &SubscriptionRow| row.collection_method.as_deref().map(without_underscores);
        self.text("collection", method(before).as_deref(), method(after).as_deref());
        self.metadata(&before.metadata.0, &after.metadata.0);
        self.instant("created", before.created_at, after.created_at);
        self.instant("started", before.started_at, after.started_at);
        let (old, new) = (before.test_clock_id.as_deref(), after.test_clock_id.as_deref());
        self.text("test clock", old, new);
        let cut = |list: &str| {
            [format!("the list of {list} is truncated"), format!("the list of {list} is complete")]
        };
        let [on, off] = cut("items");
        self.toggle(before.items_truncated, after.items_truncated, &on, &off);
        let [on, off] = cut("features");
        self.toggle(before.features_truncated, after.features_truncated, &on, &off);
        let (on, off) =
            ("the order of events is ambiguous", "the order of events is no longer ambiguous");
        self.toggle(before.order_ambiguous, after.order_ambiguous, on, off);
    }

    fn metadata(&mut self, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) {
        let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let (old, new) = (old.get(key).map(String::as_str), new.get(key).map(String::as_str));
            self.text(&format!("metadata {key}"), old, new);
        }
    }
}

/// Start and end of a time.
type Range = (Option<StripeTime>, Option<StripeTime>);

fn describe_pause(pause: &PauseCollection) -> String {
    let meanwhile = match pause.behavior.as_str() {
        "void" => "invoices are voided".to_owned(),
        "keep_as_draft" => "invoices stay drafts".to_owned(),
        "mark_uncollectible" => "invoices are marked uncollectible".to_owned(),
        other => without_underscores(other),
    };
    let until = pause.resumes_at.map(|at| format!(" until {}", instant(at))).unwrap_or_default();
    format!("collection paused{until}, {meanwhile}")
}

fn describe_change(change: &ScheduledChange) -> String {
    let at = instant(change.at);
    if change.action == PlannedAction::Cancel {
        return format!("scheduled to end {at}");
    }
    let items = change.items.iter().map(|item| {
        let price = item.price_id.as_deref().unwrap_or("a price of its own");
        match item.quantity {
            Some(quantity) if quantity != 1 => format!("{price} × {quantity}"),
            _ => price.to_owned(),
        }
    });
    let items = items.collect::<Vec<_>>().join(", ");
    format!("scheduled for {at}: {}", if items.is_empty() { "a change" } else { &items })
}

impl EndRule {
    /// Rule in words, for a bracket after the end of access.
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::CancelAt => "cancelled then",
            Self::Schedule => "as scheduled",
            Self::PeriodEnd => "end of the period",
            Self::Grace => "grace",
            Self::PaidThrough => "paused, paid until then",
            Self::Stale => "if Stripe sends nothing more",
        }
    }
}

/// A word of Stripe's without its underscores.
fn without_underscores(word: &str) -> String {
    word.replace('_', " ")
}

fn not_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
