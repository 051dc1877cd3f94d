//! Access to a subscription, from facts and policy. Pure, and independent of the current time.
//!
//! The result is `entitled` and `entitled_until`. Access is granted *at an instant* if the row is `entitled` and
//! the instant is before the end, if there is one.

use super::policy::{PauseEffect, Policy};
use crate::stripe::subscription::SubscriptionFacts;
use crate::time::StripeTime;

/// Inputs of the policy beside the latest snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub struct PolicyInputs {
    /// True if the subscription is over, whatever its status.
    pub is_over: bool,
    /// End that its schedule sets.
    pub ends_as_scheduled: Option<StripeTime>,
    /// Start of the current debt.
    pub past_due_since: Option<StripeTime>,
    /// End of the time that is paid for; none if nothing was ever paid or the end is unknown.
    pub paid_through: Option<StripeTime>,
    /// True if it is paid and the end is unknown.
    pub paid_through_unknown: bool,
    /// True if an invoice with a total above zero was ever paid. That of a trial has a total of zero.
    pub ever_paid: bool,
}

/// Access that the policy grants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entitlement {
    /// True if it grants access.
    pub entitled: bool,
    /// End of the access; none if there is no known end or no access.
    pub until: Option<StripeTime>,
}

/// Judgement of the policy, with the rules that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The access.
    pub entitlement: Entitlement,
    /// Rule that granted or denied access.
    pub access: AccessRule,
    /// Rule that set the end; none if there is no end.
    pub end: Option<EndRule>,
}

/// Rule that granted or denied access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessRule {
    /// The subscription is over, and no policy can grant access.
    Over,
    /// `grant`: the statuses that grant access.
    Status,
    /// `unknown_status`: the status is unknown to this version.
    UnknownStatus,
    /// `grace_requires_payment`: nothing was ever paid.
    UnearnedGrace,
    /// `pause_collection`, for a pause of this behavior.
    Pause(String),
}

/// Rule that set the end of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndRule {
    /// Planned cancellation.
    CancelAt,
    /// End that a schedule sets.
    Schedule,
    /// End of the period, if it is cancelled then.
    PeriodEnd,
    /// Days of grace.
    Grace,
    /// End of the paid time, of a paused collection.
    PaidThrough,
    /// Days without news after the end of the period.
    Stale,
}

/// Judges a subscription. The end is the earliest of: the planned cancellation, the end of the period if it is
/// cancelled then, the end that a schedule sets, the end of grace, the end that a pause sets, and the end of
/// the days without news.
pub fn judge(facts: &SubscriptionFacts, inputs: PolicyInputs, policy: &Policy) -> Judgement {
    let denied = |access| {
        let entitlement = Entitlement { entitled: false, until: None };
        Judgement { entitlement, access, end: None }
    };
    if inputs.is_over || facts.is_terminal() {
        return denied(AccessRule::Over);
    }
    let by_status =
        if policy.is_known(&facts.status) { AccessRule::Status } else { AccessRule::UnknownStatus };
    if !policy.grants(&facts.status) {
        return denied(by_status);
    }
    let mut ends = vec![(facts.cancel_at, EndRule::CancelAt)];
    if facts.cancel_at_period_end {
        ends.push((facts.earliest_period_end(), EndRule::PeriodEnd));
    }
    ends.push((inputs.ends_as_scheduled, EndRule::Schedule));
    if facts.status == "past_due" {
        if policy.grace_requires_payment && !inputs.ever_paid {
            return denied(AccessRule::UnearnedGrace);
        }
        let grace_days = i64::from(policy.past_due_grace_days.0);
        let end = inputs.past_due_since.map(|since| since.plus_days(grace_days));
        ends.push((end, EndRule::Grace));
    }
    if let Some((behavior, _)) = &facts.pause_collection {
        match policy.pause_effect(behavior) {
            PauseEffect::Grant => {}
            PauseEffect::UntilPaidThrough if inputs.paid_through.is_some() => {
                ends.push((inputs.paid_through, EndRule::PaidThrough));
            }
            // It is paid, and the end of the period is the best estimate of how far.
            PauseEffect::UntilPaidThrough if inputs.paid_through_unknown => {
                ends.push((facts.current_period_end(), EndRule::PaidThrough));
            }
            PauseEffect::UntilPaidThrough | PauseEffect::Deny => {
                return denied(AccessRule::Pause(behavior.clone()));
            }
        }
    }
    let stale_days = i64::from(policy.stale_after_period_end_days.0);
    // Stripe sends nothing while time is paid in advance, and a test clock stands still.
    if stale_days > 0 && facts.test_clock.is_none() {
        let expected = facts.current_period_end().max(inputs.paid_through);
        ends.push((expected.map(|end| end.plus_days(stale_days)), EndRule::Stale));
    }
    // Of equal ends the first counts: a person's decision before a rule of the policy.
    let first = ends.into_iter().filter_map(|(at, end)| Some((at?, end))).min_by_key(|it| it.0);
    Judgement {
        entitlement: Entitlement { entitled: true, until: first.map(|it| it.0) },
        access: by_status,
        end: first.map(|it| it.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::price::ItemFacts;

    const DAY: i64 = 86_400;
    const PERIOD_END: i64 = 30 * DAY;

    fn facts(status: &str) -> SubscriptionFacts {
        let item =
            ItemFacts { current_period_end: Some(StripeTime(PERIOD_END)), ..ItemFacts::default() };
        SubscriptionFacts {
            status: status.to_owned(),
            items: vec![item],
            ..SubscriptionFacts::default()
        }
    }

    fn until(facts: &SubscriptionFacts, inputs: PolicyInputs, policy: &str) -> Option<i64> {
        let policy = Policy::parse(policy).unwrap();
        let Judgement { entitlement: found, end, .. } = judge(facts, inputs, &policy);
        assert!(found.entitled || found.until.is_none());
        assert_eq!(found.until.is_some(), end.is_some());
        found.entitled.then(|| found.until.map_or(i64::MAX, |at| at.0))
    }

    #[test]
    fn statuses_grant_as_the_policy_says_and_unknown_ones_do_not() {
        for (status, granted) in [
            ("active", true),
            ("trialing", true),
            ("past_due", true),
            ("incomplete", false),
            ("incomplete_expired", false),
            ("unpaid", false),
            ("paused", false),
            ("canceled", false),
            ("hibernating", false),
        ] {
            let found = until(&facts(status), PolicyInputs::default(), "");
            assert_eq!(found.is_some(), granted, "{status}");
        }
        assert!(until(&facts("unpaid"), PolicyInputs::default(), "grant = [\"unpaid\"]").is_some());
        let open = "unknown_status = \"grant\"";
        assert!(until(&facts("hibernating"), PolicyInputs::default(), open).is_some());
        assert_eq!(until(&facts("unpaid"), PolicyInputs::default(), open), None);
        let over = PolicyInputs { is_over: true, ..PolicyInputs::default() };
        assert_eq!(until(&facts("active"), over, ""), None);
    }

    #[test]
    fn the_end_is_the_least_of_all_ends() {
        let stale = PERIOD_END + 30 * DAY;
        assert_eq!(until(&facts("active"), PolicyInputs::default(), ""), Some(stale));
        let off = "stale_after_period_end_days = 0";
        assert_eq!(until(&facts("active"), PolicyInputs::default(), off), Some(i64::MAX));
        let mut ending = facts("active");
        ending.cancel_at_period_end = true;
        assert_eq!(until(&ending, PolicyInputs::default(), ""), Some(PERIOD_END));
        ending.cancel_at = Some(StripeTime(9));
        assert_eq!(until(&ending, PolicyInputs::default(), ""), Some(9));
    }

    #[test]
    fn silence_counts_from_what_is_paid_for_and_not_at_all_on_a_test_clock() {
        let paid = |at: i64| PolicyInputs {
            paid_through: Some(StripeTime(at)),
            ..PolicyInputs::default()
        };
        let month = 30 * DAY;
        assert_eq!(until(&facts("active"), paid(3 * PERIOD_END), ""), Some(3 * PERIOD_END + month));
        assert_eq!(until(&facts("active"), paid(DAY), ""), Some(PERIOD_END + month));
        let unknown_period = SubscriptionFacts { items: Vec::new(), ..facts("active") };
        assert_eq!(until(&unknown_period, paid(DAY), ""), Some(DAY + month));
        let simulated = SubscriptionFacts { test_clock: Some("clock_1".into()), ..facts("active") };
        assert_eq!(until(&simulated, paid(DAY), ""), Some(i64::MAX));
    }

    #[test]
    fn grace_counts_from_the_first_unpaid_moment_and_may_have_to_be_earned() {
        let inputs =
            PolicyInputs { past_due_since: Some(StripeTime(DAY)), ..PolicyInputs::default() };
        assert_eq!(until(&facts("past_due"), inputs, ""), Some(8 * DAY));
        assert_eq!(until(&facts("past_due"), inputs, "past_due_grace_days = 0"), Some(DAY));
        let earned = "grace_requires_payment = true";
        assert_eq!(until(&facts("past_due"), inputs, earned), None);
        let paid = PolicyInputs { ever_paid: true, ..inputs };
        assert_eq!(until(&facts("past_due"), paid, earned), Some(8 * DAY));
        assert_eq!(until(&facts("past_due"), paid, "grant = [\"active\"]"), None);
    }

    #[test]
    fn a_pause_of_collection_does_what_the_policy_says() {
        let mut paused = facts("active");
        paused.pause_collection = Some(("void".to_owned(), None));
        let paid = PolicyInputs { paid_through: Some(StripeTime(5)), ..PolicyInputs::default() };
        let stale = Some(PERIOD_END + 30 * DAY);
        assert_eq!(until(&paused, paid, ""), stale);
        assert_eq!(until(&paused, paid, "[pause_collection]\nvoid = \"deny\""), None);
        let until_paid = "[pause_collection]\nvoid = \"until_paid_through\"";
        assert_eq!(until(&paused, paid, until_paid), Some(5));
        assert_eq!(until(&paused, PolicyInputs::default(), until_paid), None);
        let unknown = PolicyInputs { paid_through_unknown: true, ..PolicyInputs::default() };
        assert_eq!(until(&paused, unknown, until_paid), Some(PERIOD_END));
        assert_eq!(until(&paused, paid, "[pause_collection]\nkeep_as_draft = \"deny\""), stale);
    }

    #[test]
    fn a_judgement_says_what_decided_it() {
        let decided = |facts: &SubscriptionFacts, inputs: PolicyInputs, policy: &str| {
            let found = judge(facts, inputs, &Policy::parse(policy).unwrap());
            (found.access, found.end)
        };
        let since =
            PolicyInputs { past_due_since: Some(StripeTime(DAY)), ..PolicyInputs::default() };
        let paid = PolicyInputs { paid_through: Some(StripeTime(5)), ..PolicyInputs::default() };
        let over = PolicyInputs { is_over: true, ..PolicyInputs::default() };
        let scheduled =
            PolicyInputs { ends_as_scheduled: Some(StripeTime(9)), ..PolicyInputs::default() };
        let mut ending = facts("active");
        ending.cancel_at_period_end = true;
        let mut cancelling = ending.clone();
        cancelling.cancel_at = Some(StripeTime(PERIOD_END));
        let mut paused = facts("active");
        paused.pause_collection = Some(("void".to_owned(), None));
        let until_paid = "[pause_collection]\nvoid = \"until_paid_through\"";
        let pause = || AccessRule::Pause("void".to_owned());
        for (facts, inputs, policy, access, end) in [
            (facts("canceled"), PolicyInputs::default(), "", AccessRule::Over, None),
            (facts("active"), over, "", AccessRule::Over, None),
            (facts("unpaid"), PolicyInputs::default(), "", AccessRule::Status, None),
            (facts("hibernating"), PolicyInputs::default(), "", AccessRule::UnknownStatus, None),
            (
                facts("past_due"),
                since,
                "grace_requires_payment = true",
                AccessRule::UnearnedGrace,
                None,
            ),
            (paused.clone(), PolicyInputs::default(), until_paid, pause(), None),
            (
                facts("active"),
                PolicyInputs::default(),
                "",
                AccessRule::Status,
                Some(EndRule::Stale),
            ),
            (facts("past_due"), since, "", AccessRule::Status, Some(EndRule::Grace)),
            (facts("active"), scheduled, "", AccessRule::Status, Some(EndRule::Schedule)),
            (ending, PolicyInputs::default(), "", AccessRule::Status, Some(EndRule::PeriodEnd)),
            (cancelling, PolicyInputs::default(), "", AccessRule::Status, Some(EndRule::CancelAt)),
            (paused, paid, until_paid, AccessRule::Status, Some(EndRule::PaidThrough)),
        ] {
            assert_eq!(decided(&facts, inputs, policy), (access, end), "{facts:?}");
        }
    }
}
