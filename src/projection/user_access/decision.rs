//! Decision of one subscription about access, with its reason.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::ids::{CustomerId, SubscriptionId};
use crate::projection::row::SubscriptionRow;
use crate::time::StripeTime;

/// Reason why access is granted or not, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The subscription is active.
    Active,
    /// The subscription is on trial.
    Trial,
    /// A payment is overdue, and the days of grace are running.
    Grace,
    /// The collection of payments is paused. The policy decides whether that grants access.
    CollectionPaused,
    /// The first payment is outstanding.
    Incomplete,
    /// A payment is overdue, and the policy grants no grace.
    PastDue,
    /// Payment attempts have stopped without a payment.
    Unpaid,
    /// The subscription is paused, for example after a trial without a payment method.
    Paused,
    /// The subscription is over.
    Ended,
    /// The status is active or a trial, and the policy does not grant it access.
    NotGranted,
    /// The status is unknown to this version, and the policy decides about such ones.
    UnknownStatus,
    /// The granted access has ended, and nothing has renewed it.
    Expired,
    /// Access is granted, but not to what the request asks for.
    NotIncluded,
    /// No subscription is known.
    NoSubscription,
}

/// Decision of one subscription about access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Subscription that decides.
    pub subscription_id: SubscriptionId,
    /// Its customer.
    pub customer_id: CustomerId,
    /// True if the policy grants access, before [`Self::until`].
    pub entitled: bool,
    /// End of the granted access by the policy, with its patience. None if there is no known end, or no access.
    pub until: Option<StripeTime>,
    /// Reason of the grant or denial.
    pub reason: Reason,
    /// End of the current period, if the subscription renews then. None if it ends, or grants no access.
    pub renews_at: Option<StripeTime>,
    /// Start of the subscription if it grants access; otherwise its end, or the start of its debt. None if the row does
    /// not say it.
    pub since: Option<StripeTime>,
    /// End of the subscription, or the time of its last event if it has not ended.
    pub changed_at: StripeTime,
}

/// Precedence of decisions: a grant before a denial; of grants the later end, no end being the latest; of denials the
/// later change; then the lower ids.
type Rank<'a> = (bool, StripeTime, Reverse<(&'a SubscriptionId, &'a CustomerId)>);

impl Decision {
    /// Decision of a row.
    pub fn new(row: &SubscriptionRow) -> Self {
        let reason = Reason::of(row);
        let since = match reason {
            _ if row.entitled => row.started_at.or(row.created_at),
            Reason::Ended => row.ended_at,
            Reason::PastDue => row.past_due_since,
            _ => None,
        };
        Self {
            subscription_id: row.subscription_id.clone(),
            customer_id: row.customer_id.clone(),
            entitled: row.entitled,
            until: row.entitled_until.filter(|_| row.entitled),
            reason,
            renews_at: renews_at(row),
            since,
            changed_at: row.ended_at.unwrap_or(row.last_event_at),
        }
    }

    /// Precedence among the decisions of several subscriptions: the greatest decides. No two subscriptions have equal
    /// ranks.
    pub(super) fn rank(&self) -> Rank<'_> {
        let at = if self.entitled {
            self.until.unwrap_or(StripeTime(i64::MAX))
        } else {
            self.changed_at
        };
        (self.entitled, at, Reverse((&self.subscription_id, &self.customer_id)))
    }

    /// True if access is granted at this instant.
    pub fn is_active_at(&self, now: StripeTime) -> bool {
        self.entitled && self.until.is_none_or(|end| now < end)
    }
}

impl Reason {
    /// The word, as it is stored and answered.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Trial => "trial",
            Self::Grace => "grace",
            Self::CollectionPaused => "collection_paused",
            Self::Incomplete => "incomplete",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::Ended => "ended",
            Self::NotGranted => "not_granted",
            Self::UnknownStatus => "unknown_status",
            Self::Expired => "expired",
            Self::NotIncluded => "not_included",
            Self::NoSubscription => "no_subscription",
        }
    }

    fn of(row: &SubscriptionRow) -> Self {
        let is_over = row.ended_at.is_some() && !row.entitled;
        match row.status.as_str() {
            "canceled" | "incomplete_expired" => Self::Ended,
            _ if is_over => Self::Ended,
            "incomplete" => Self::Incomplete,
            "unpaid" => Self::Unpaid,
            "paused" => Self::Paused,
            "active" | "trialing" | "past_due" if row.pause_collection.is_some() => {
                Self::CollectionPaused
            }
            "past_due" if row.entitled => Self::Grace,
            "past_due" => Self::PastDue,
            "active" | "trialing" if !row.entitled => Self::NotGranted,
            "active" => Self::Active,
            "trialing" => Self::Trial,
            _ => Self::UnknownStatus,
        }
    }
}

/// End of the current period, if access goes on after it and the subscription does not end with it.
fn renews_at(row: &SubscriptionRow) -> Option<StripeTime> {
    let end = row.current_period_end.filter(|_| row.entitled)?;
    let goes_on = |ends: Option<StripeTime>| ends.is_none_or(|at| at > end);
    (!row.cancel_at_period_end && goes_on(row.ends_at) && goes_on(row.entitled_until))
        .then_some(end)
}

/// End of what is paid for, or of the trial; never after the end of access. None if nothing is known to be paid, or the
/// row grants no access.
///
/// If Stripe truncated the lines of the paid invoice, the end of the period is the best estimate.
pub(super) fn paid_until(row: &SubscriptionRow) -> Option<StripeTime> {
    if !row.entitled {
        return None;
    }
    let paid = if row.paid_through_unknown { row.current_period_end } else { row.paid_through };
    let is_trial = row.status == "trialing";
    let trial = row.trial_end.or(row.current_period_end).filter(|_| is_trial);
    let end = paid.max(trial)?;
    Some(row.entitled_until.map_or(end, |until| end.min(until)))
}
