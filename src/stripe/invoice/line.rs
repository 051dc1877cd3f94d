//! Lines of an invoice, and the parents (2025-03-31.basil) that name what an invoice or a line is for.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::stripe::json::{Id, Seconds, Text};
use crate::time::StripeTime;

/// Facts of one line: a period of a subscription item that is paid for, or credited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineFacts {
    /// `si_…`, if the line names it.
    pub item: Option<String>,
    /// Start of the period.
    pub start: Option<StripeTime>,
    /// End of the period.
    pub end: StripeTime,
    /// True if the line credits the period.
    pub is_credit: bool,
    /// True if the line is for the rest of a period, after a change in the middle of it.
    pub is_proration: bool,
    /// True if the amount is zero, as in a trial.
    pub is_free: bool,
}

/// `parent`, since 2025-03-31.basil, of an invoice or of one of its lines.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::stripe) struct Parent<'a> {
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
pub(in crate::stripe) struct Line<'a> {
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
pub(super) enum LinePurpose {
    /// A period of a subscription item.
    Recurring,
    /// The rest of a period, after a change in the middle of it: a charge or a credit.
    Proration,
    /// A one-off sale. Its period is for the recognition of revenue and says nothing about the subscription.
    OneOff,
}

impl<'a> Parent<'a> {
    /// The subscription that the parent names.
    pub(in crate::stripe) fn subscription(&self) -> Option<&Text<'a>> {
        self.details().find_map(|it| it.subscription.as_ref()).map(|id| &id.0)
    }

    fn details(&self) -> impl Iterator<Item = &ParentDetails<'a>> {
        [&self.subscription, &self.item, &self.one_off].into_iter().flatten()
    }
}

impl<'a> Line<'a> {
    /// The subscription that the line is for: that of `parent` (2025-03-31.basil), `subscription`, or, on the
    /// oldest invoices, the line's own id.
    pub(in crate::stripe) fn subscription(&self) -> Option<&Text<'a>> {
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

    pub(super) fn purpose(&self) -> LinePurpose {
        let details = || self.parent.iter().flat_map(Parent::details);
        let is_sold_once = self.kind.as_deref() == Some("invoiceitem")
            || self.parent.as_ref().is_some_and(|it| it.one_off.is_some());
        if self.proration == Some(true) || details().any(|it| it.proration == Some(true)) {
            LinePurpose::Proration
        } else if self.item().is_none() && is_sold_once {
            LinePurpose::OneOff
        } else {
            LinePurpose::Recurring
        }
    }

    fn item(&self) -> Option<&Id<'a>> {
        let mut details = self.parent.iter().flat_map(Parent::details);
        let of_parent = details.find_map(|it| it.subscription_item.as_ref());
        of_parent.or(self.subscription_item.as_ref())
    }

    /// True for a credit: the amount is negative or, after a discount of all of it, the line names the lines
    /// that it credits.
    pub(super) fn is_credit(&self) -> bool {
        let of_parent = self.parent.iter().flat_map(Parent::details);
        let mut details =
            of_parent.filter_map(|it| it.proration_details).chain(self.proration_details);
        self.amount.is_some_and(|amount| amount < 0)
            || details.any(|it| it.credited_items.is_some())
    }

    pub(super) fn end(&self) -> Option<StripeTime> {
        self.period.and_then(|it| it.end).map(StripeTime::from)
    }

    /// The facts. None if the line says nothing about time that is paid for.
    pub(super) fn facts(&self) -> Option<LineFacts> {
        let period = self.period?;
        let is_free = self.amount == Some(0);
        // It may be either half of a change between free prices.
        if is_free && self.purpose() == LinePurpose::Proration && !self.is_credit() {
            return None;
        }
        Some(LineFacts {
            item: self.item().map(Id::to_owned_string),
            start: period.start.map(StripeTime::from),
            end: period.end?.into(),
            is_credit: self.is_credit(),
            is_proration: self.purpose() == LinePurpose::Proration,
            is_free,
        })
    }
}
