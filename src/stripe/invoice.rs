//! `invoice`: what was asked, whether it was paid, and for which subscription.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::json::{Id, List, Seconds, Text, owned_text};
use super::payment::PaymentReferences;
use crate::time::StripeTime;

/// Facts of one snapshot of an invoice, for one subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceFacts {
    /// True if the subscription generated it. A manual invoice may pick up the subscription's prorations,
    /// and an invoice of another subscription may hold a line for this one: both pay for it, and neither is
    /// an invoice of it.
    pub own: bool,
    /// When the invoice was made.
    pub created: Option<StripeTime>,
    /// `draft`, `open`, `paid`, `uncollectible`, `void`, or what Stripe calls it later.
    pub status: String,
    /// When it was paid, where Stripe says so.
    pub paid_at: Option<StripeTime>,
    /// Total in minor units, before credit balance is applied; none where nothing says.
    pub total: Option<i64>,
    /// When Stripe tries to collect again.
    pub next_payment_attempt: Option<StripeTime>,
    /// Lines for the subscription's items, of a paid invoice.
    pub lines: Vec<LineFacts>,
    /// True if Stripe cut the list of lines before the subscription's own line for its new period, so that
    /// nothing here says what a paid invoice pays for.
    pub lines_cut: bool,
    /// The address that the invoice goes to.
    pub email: Option<String>,
}

/// Line for an item of a subscription: a stretch of time that is paid for, or credited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineFacts {
    /// `si_…`, where the line names it.
    pub item: Option<String>,
    /// Start of the stretch.
    pub start: Option<StripeTime>,
    /// End of the stretch.
    pub end: StripeTime,
    /// True if it gives back money for the stretch.
    pub credit: bool,
    /// True if it is for the rest of a period, after a change in the middle of it.
    pub proration: bool,
    /// True if it asks for nothing, as the line of a trial.
    pub free: bool,
}

impl InvoiceFacts {
    /// Whether it is paid.
    pub fn is_paid(&self) -> bool {
        self.status == "paid"
    }

    /// True if it asked for money and was settled, by whatever means: a card, a bank transfer that was
    /// noted, a credit balance. The invoice of a trial is paid, too, and asks for nothing.
    pub fn has_earned(&self) -> bool {
        self.is_paid() && self.total.is_none_or(|total| total > 0)
    }
}

/// An invoice as it stands in an event.
#[derive(Clone, Debug, Deserialize)]
pub struct Invoice<'a> {
    /// The kind of object that this says it is.
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    /// `in_…`; an upcoming invoice has none.
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    /// The customer's id, or the expanded customer.
    #[serde(borrow)]
    pub customer: Option<Id<'a>>,
    /// The account that stands for a customer, since 2026-03-25.dahlia.
    #[serde(borrow)]
    pub customer_account: Option<Text<'a>>,
    #[serde(borrow)]
    parent: Option<Parent<'a>>,
    #[serde(borrow)]
    subscription: Option<Id<'a>>,
    #[serde(borrow)]
    charge: Option<Id<'a>>,
    #[serde(borrow)]
    payment_intent: Option<Id<'a>>,
    #[serde(borrow)]
    lines: Option<List<Line<'a>>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    paid: Option<bool>,
    closed: Option<bool>,
    forgiven: Option<bool>,
    total: Option<i64>,
    amount_paid: Option<i64>,
    amount_due: Option<i64>,
    created: Option<Seconds>,
    date: Option<Seconds>,
    next_payment_attempt: Option<Seconds>,
    status_transitions: Option<StatusTransitions>,
    #[serde(borrow)]
    customer_email: Option<Text<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct StatusTransitions {
    paid_at: Option<Seconds>,
}

/// `parent`, since 2025-03-31.basil, of an invoice or of one of its lines.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Parent<'a> {
    #[serde(borrow, rename = "subscription_details")]
    subscription: Option<ParentDetails<'a>>,
    #[serde(borrow, rename = "subscription_item_details")]
    item: Option<ParentDetails<'a>>,
    #[serde(borrow, rename = "invoice_item_details")]
    one_off: Option<ParentDetails<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct ParentDetails<'a> {
    #[serde(borrow)]
    subscription: Option<Id<'a>>,
    #[serde(borrow)]
    subscription_item: Option<Id<'a>>,
    proration: Option<bool>,
    proration_details: Option<ProrationDetails>,
}

/// `proration_details`, of a line or of its parent (2025-03-31.basil).
#[derive(Clone, Copy, Debug, Deserialize)]
struct ProrationDetails {
    /// Present and not null on a credit.
    credited_items: Option<IgnoredAny>,
}

/// `lines.data[]`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    parent: Option<Parent<'a>>,
    #[serde(borrow)]
    subscription: Option<Id<'a>>,
    #[serde(borrow)]
    subscription_item: Option<Id<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    proration: Option<bool>,
    proration_details: Option<ProrationDetails>,
    amount: Option<i64>,
    period: Option<Period>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Period {
    start: Option<Seconds>,
    end: Option<Seconds>,
}

/// Purpose of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineKind {
    /// A period of an item of a subscription.
    Recurring,
    /// The rest of a period, after a change in the middle of it: a charge or a credit.
    Proration,
    /// Something that was sold once. Its period says when its revenue is recognized, and nothing about the
    /// subscription.
    OneOff,
}

impl<'a> Parent<'a> {
    /// The subscription that an invoice's or a line's parent names.
    pub(super) fn subscription(&self) -> Option<&Text<'a>> {
        self.details().find_map(|it| it.subscription.as_ref()).map(|id| &id.0)
    }

    fn details(&self) -> impl Iterator<Item = &ParentDetails<'a>> {
        [&self.subscription, &self.item, &self.one_off].into_iter().flatten()
    }
}

impl<'a> Line<'a> {
    /// The subscription that a line is for: the one that its `parent` names (2025-03-31.basil),
    /// `subscription`, or, on the oldest invoices, the line's own id.
    pub(super) fn subscription(&self) -> Option<&Text<'a>> {
        self.parent
            .as_ref()
            .and_then(Parent::subscription)
            .or_else(|| self.subscription.as_ref().map(|id| &id.0))
            .or_else(|| {
                let id = self.id.as_ref()?;
                let is_subscription = self.kind.as_deref() == Some("subscription")
                    && (id.starts_with("sub_") || id.starts_with("su_"));
                is_subscription.then_some(id)
            })
    }

    fn kind(&self) -> LineKind {
        let details = || self.parent.iter().flat_map(Parent::details);
        let is_sold_once = self.kind.as_deref() == Some("invoiceitem")
            || self.parent.as_ref().is_some_and(|it| it.one_off.is_some());
        if self.proration == Some(true) || details().any(|it| it.proration == Some(true)) {
            LineKind::Proration
        } else if self.item().is_none() && is_sold_once {
            LineKind::OneOff
        } else {
            LineKind::Recurring
        }
    }

    fn item(&self) -> Option<&Id<'a>> {
        let mut details = self.parent.iter().flat_map(Parent::details);
        let of_parent = details.find_map(|it| it.subscription_item.as_ref());
        of_parent.or(self.subscription_item.as_ref())
    }

    /// True if it gives back: its amount is negative or, after a discount of all of it, it names the lines that
    /// it credits.
    fn is_credit(&self) -> bool {
        let of_parent = self.parent.iter().flat_map(Parent::details);
        let mut details =
            of_parent.filter_map(|it| it.proration_details).chain(self.proration_details);
        self.amount.is_some_and(|amount| amount < 0)
            || details.any(|it| it.credited_items.is_some())
    }

    /// None for a line that says nothing about time that is paid for.
    fn facts(&self) -> Option<LineFacts> {
        let period = self.period?;
        let is_free = self.amount == Some(0);
        // It may be either half of a change between free prices.
        if is_free && self.kind() == LineKind::Proration && !self.is_credit() {
            return None;
        }
        Some(LineFacts {
            item: self.item().map(Id::to_owned_string),
            start: period.start.map(StripeTime::from),
            end: period.end?.into(),
            credit: self.is_credit(),
            proration: self.kind() == LineKind::Proration,
            free: is_free,
        })
    }
}

impl<'a> Invoice<'a> {
    /// The subscription that generated the invoice: `parent.subscription_details.subscription`,
    /// `subscription`, or on the oldest invoices a line for a period of one.
    pub fn own_subscription(&self) -> Option<&str> {
        let mut periods = self.lines().iter().filter(|it| it.kind() == LineKind::Recurring);
        self.named_subscription().or_else(|| periods.find_map(|it| Some(&**it.subscription()?)))
    }

    /// The subscription that the invoice is about, for the timeline: the one that generated it, or else one
    /// that a line of it names.
    pub fn subscription(&self) -> Option<&str> {
        self.named_subscription()
            .or_else(|| self.lines().iter().find_map(Line::subscription).map(|id| &**id))
    }

    /// The subscriptions that the invoice says something of: the one that generated it, and those that its
    /// lines name. Each once.
    pub fn subscriptions(&self) -> Vec<&str> {
        let of_lines = self.lines().iter().filter(|it| it.kind() != LineKind::OneOff);
        let of_lines = of_lines.filter_map(Line::subscription).map(|id| &**id);
        let mut all: Vec<&str> = self.own_subscription().into_iter().chain(of_lines).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|id| !id.is_empty());
        all
    }

    fn named_subscription(&self) -> Option<&str> {
        let of_parent = self.parent.as_ref().and_then(Parent::subscription);
        of_parent.or_else(|| self.subscription.as_ref().map(|id| &id.0)).map(|id| &**id)
    }

    /// The invoice itself and, before 2025-03-31.basil, the payment that it names.
    pub fn payment_references(&self) -> PaymentReferences<'a> {
        PaymentReferences {
            invoice: self.id.clone(),
            payment_intent: self.payment_intent.clone().map(|id| id.0),
            charge: self.charge.clone().map(|id| id.0),
        }
    }

    /// The status: `status` (2018-11-08), or what `paid`, `forgiven` and `closed` meant before.
    pub fn status(&self) -> &str {
        self.status.as_deref().unwrap_or_else(|| self.status_before_2018())
    }

    /// The facts for one of its [subscriptions](Self::subscriptions), in the
    /// [reading order](super#where-each-fact-is-found).
    pub fn facts(&self, subscription: &str) -> InvoiceFacts {
        let own = self.own_subscription() == Some(subscription);
        // A line belongs to the subscription that it names, and to the invoice's own where it names none.
        let is_of = |line: &&Line<'_>| {
            let named = line.subscription().map(|id| &**id);
            line.kind() != LineKind::OneOff && named.map_or(own, |named| named == subscription)
        };
        let lines = || self.lines().iter().filter(is_of);
        // Usage is billed afterwards: its period ends when the invoice is made.
        let made = self.made();
        let pays_a_period = |line: &Line<'_>| {
            let end = line.period.and_then(|it| it.end).map(StripeTime::from);
            line.kind() == LineKind::Recurring
                && !line.is_credit()
                && (made.is_none() || end > made)
        };
        let is_paid = self.status() == "paid";
        let lines_cut = self.lines.as_ref().is_some_and(List::is_truncated);
        InvoiceFacts {
            own,
            created: self.made(),
            status: self.status().to_owned(),
            paid_at: self.status_transitions.as_ref().and_then(|t| t.paid_at).map(StripeTime::from),
            total: self.total.or(self.amount_paid.max(self.amount_due)),
            next_payment_attempt: self.next_payment_attempt.map(StripeTime::from),
            lines: if is_paid { lines().filter_map(Line::facts).collect() } else { Vec::new() },
            lines_cut: is_paid && own && lines_cut && !lines().any(pays_a_period),
            email: self.email(),
        }
    }

    /// The address that the invoice goes to.
    pub fn email(&self) -> Option<String> {
        owned_text(self.customer_email.as_ref())
    }

    /// Second in which the invoice was made.
    pub fn made(&self) -> Option<StripeTime> {
        self.created.or(self.date).map(StripeTime::from)
    }

    fn lines(&self) -> &[Line<'a>] {
        self.lines.as_ref().map_or(&[], |lines| &lines.data)
    }

    fn status_before_2018(&self) -> &'static str {
        if self.paid == Some(true) {
            "paid"
        } else if self.forgiven == Some(true) {
            "uncollectible"
        } else if self.closed == Some(true) {
            "void"
        } else {
            "open"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invoice(json: &str) -> Invoice<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_subscription_is_found_by_every_road() {
        for json in [
            r#"{"parent":{"type":"subscription_details","subscription_details":{"subscription":"sub_1"}}}"#,
            r#"{"subscription":"sub_1","parent":null}"#,
            r#"{"subscription":{"id":"sub_1","object":"subscription"}}"#,
            r#"{"lines":{"data":[{"parent":{"subscription_item_details":{"subscription":"sub_1"}}}]}}"#,
            r#"{"lines":{"data":[{"subscription":null},{"subscription":"sub_1"}]}}"#,
            r#"{"lines":{"data":[{"id":"sub_1","type":"subscription"}]}}"#,
        ] {
            assert_eq!(invoice(json).subscription(), Some("sub_1"), "{json}");
        }
        let manual = r#"{"parent":null,"lines":{"data":[{"id":"il_1","type":"invoiceitem"}]}}"#;
        assert_eq!(invoice(manual).subscription(), None);
    }

    #[test]
    fn the_status_of_old_invoices_is_read_from_their_flags() {
        for (json, status) in [
            (r#"{"status":"open","paid":false}"#, "open"),
            (r#"{"paid":true,"closed":true,"forgiven":false}"#, "paid"),
            (r#"{"paid":false,"closed":true,"forgiven":true}"#, "uncollectible"),
            (r#"{"paid":false,"closed":true,"forgiven":false}"#, "void"),
            (r#"{"paid":false,"closed":false,"forgiven":false}"#, "open"),
        ] {
            assert_eq!(invoice(json).facts("sub_1").status, status, "{json}");
        }
    }

    #[test]
    fn an_invoice_of_before_2019_is_dated_by_date() {
        let made = |json| invoice(json).facts("sub_1").created;
        assert_eq!(made(r#"{"date":7}"#), Some(StripeTime(7)));
        assert_eq!(made(r#"{"date":7,"created":8}"#), Some(StripeTime(8)));
    }

    #[test]
    fn an_invoice_of_nothing_is_paid_and_earns_nothing() {
        for (json, earned) in [
            (r#"{"status":"paid","amount_paid":900,"amount_due":0}"#, true),
            (r#"{"status":"paid","amount_paid":0,"amount_due":900}"#, true),
            (r#"{"status":"paid","total":900,"amount_paid":0,"amount_due":0}"#, true),
            (r#"{"status":"paid","total":0,"amount_paid":0,"amount_due":0}"#, false),
            (r#"{"status":"paid","total":-500,"amount_paid":0,"amount_due":0}"#, false),
            (r#"{"paid":true,"amount_due":900}"#, true),
            (r#"{"paid":true,"amount_due":0}"#, false),
            (r#"{"status":"paid"}"#, true),
            (r#"{"status":"open","amount_paid":900}"#, false),
        ] {
            assert_eq!(invoice(json).facts("sub_1").has_earned(), earned, "{json}");
        }
    }

    fn lines(json: &str, subscription: &str) -> Vec<(i64, bool)> {
        let facts = invoice(json).facts(subscription);
        facts.lines.iter().map(|line| (line.end.0, line.credit)).collect()
    }

    #[test]
    fn a_line_belongs_to_the_subscription_that_it_names_in_every_shape() {
        let old = r#"{"status":"paid","subscription":"sub_1","lines":{"data":[
            {"type":"subscription","subscription":"sub_1","period":{"start":1,"end":9}},
            {"type":"subscription","subscription":"sub_2","period":{"start":1,"end":99}},
            {"type":"invoiceitem","proration":true,"subscription":"sub_1","amount":-500,
             "period":{"start":1,"end":70}},
            {"type":"invoiceitem","period":{"start":3,"end":200}},
            {"type":"invoiceitem","subscription":"sub_1","proration":false,
             "period":{"start":3,"end":300}}]}}"#;
        let new = r#"{"status":"paid","parent":{"subscription_details":{"subscription":"sub_1"}},
            "lines":{"data":[
            {"parent":{"subscription_item_details":{"subscription":"sub_1","subscription_item":"si_1",
             "proration":false}},"period":{"start":1,"end":9}},
            {"parent":{"invoice_item_details":{"subscription":"sub_2","proration":true}},
             "period":{"start":1,"end":99}},
            {"parent":{"subscription_item_details":{"subscription":"sub_1","subscription_item":"si_1",
             "proration":true}},"amount":-500,"period":{"start":1,"end":70}},
            {"parent":{"invoice_item_details":{"subscription":null,"proration":false}},
             "period":{"start":3,"end":200}},
            {"parent":{"invoice_item_details":{"subscription":"sub_1","proration":false}},
             "period":{"start":3,"end":300}}]}}"#;
        for json in [old, new] {
            assert_eq!(lines(json, "sub_1"), [(9, false), (70, true)], "{json}");
            assert_eq!(lines(json, "sub_2"), [(99, false)], "{json}");
            assert_eq!(invoice(json).subscriptions(), ["sub_1", "sub_2"]);
            assert!(invoice(json).facts("sub_1").own && !invoice(json).facts("sub_2").own);
            assert!(lines(&json.replace("paid", "open"), "sub_1").is_empty());
        }
    }

    #[test]
    fn a_manual_invoice_that_picks_up_a_proration_is_no_invoice_of_the_subscription() {
        for line in [
            r#"{"type":"invoiceitem","subscription":"sub_1","proration":true,"period":{"end":9}}"#,
            r#"{"parent":{"invoice_item_details":{"subscription":"sub_1","proration":true}},
            "period":{"end":9}}"#,
        ] {
            let json = format!(
                r#"{{"status":"paid","subscription":null,"parent":null,"lines":{{"data":[{line}]}}}}"#
            );
            let invoice = invoice(&json);
            assert_eq!(invoice.own_subscription(), None);
            assert_eq!(invoice.subscription(), Some("sub_1"));
            assert_eq!(invoice.subscriptions(), ["sub_1"]);
            assert!(!invoice.facts("sub_1").own);
            assert_eq!(lines(&json, "sub_1"), [(9, false)]);
        }
    }

    #[test]
    fn a_credit_of_nothing_gives_back_and_a_change_between_free_prices_says_nothing() {
        let json = r#"{"status":"paid","subscription":"sub_1","lines":{"data":[
            {"subscription":"sub_1","subscription_item":"si_1","proration":true,"amount":0,
             "proration_details":{"credited_items":{"invoice":"in_0"}},"period":{"start":60,"end":365}},
            {"subscription":"sub_1","subscription_item":"si_1","proration":true,"amount":0,
             "proration_details":{"credited_items":null},"period":{"start":60,"end":70}},
            {"parent":{"subscription_item_details":{"subscription":"sub_1","subscription_item":"si_1",
             "proration":true,"proration_details":{"credited_items":{"invoice":"in_0"}}}},"amount":0,
             "period":{"start":60,"end":80}}]}}"#;
        assert_eq!(lines(json, "sub_1"), [(365, true), (80, true)]);
    }

    #[test]
    fn a_list_that_is_cut_before_the_line_for_the_new_period_is_noticed() {
        let cut = |lines: &str, more: &str| {
            let json = format!(
                r#"{{"status":"paid","created":5,"subscription":"sub_1","lines":{{"data":[{lines}]{more}}}}}"#
            );
            invoice(&json).facts("sub_1").lines_cut
        };
        let proration = r#"{"type":"invoiceitem","proration":true,"subscription":"sub_1",
            "period":{"start":1,"end":9}}"#;
        let period =
            r#"{"type":"subscription","subscription":"sub_1","period":{"start":1,"end":9}}"#;
        for more in [r#","has_more":true"#, r#","total_count":12"#, r#","count":12"#] {
            assert!(cut(proration, more), "{more}");
            assert!(!cut(&format!("{proration},{period}"), more), "{more}");
            // Usage of the period that is over does not say how far the new one is paid.
            assert!(cut(&period.replace(r#""end":9"#, r#""end":5"#), more), "{more}");
        }
        assert!(!cut(proration, r#","has_more":false,"total_count":1"#));
    }
}
