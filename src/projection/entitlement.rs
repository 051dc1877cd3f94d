//! From facts and policy to access: a pure function, and time does not enter it.
//!
//! What comes out is `entitled` and `entitled_until`; whether access is granted *at an instant* is
//! asked of the row: `entitled` and, if there is an end, before it.

use super::policy::{PauseEffect, Policy};
use crate::stripe::subscription::SubscriptionFacts;
use crate::time::StripeTime;

/// What the policy looks at beyond the latest snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub struct PolicyInputs {
    /// Whether the subscription is over, whatever its status says.
    pub is_over: bool,
    /// When its schedule ends it.
    pub ends_as_scheduled: Option<StripeTime>,
    /// Since when it is past due.
    pub past_due_since: Option<StripeTime>,
    /// Until when it is paid; none if nothing was ever paid, or if that is unknown.
    pub paid_through: Option<StripeTime>,
    /// True if it is paid and nobody can say until when.
    pub paid_through_unknown: bool,
    /// True if an invoice that asked for money was ever settled: that of a trial asks for none.
    pub ever_paid: bool,
}

/// Whether the policy grants access, and until when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entitlement {
    /// Whether it grants access at all.
    pub entitled: bool,
    /// When that ends by itself; none for no known end, and where there is no access.
    pub until: Option<StripeTime>,
}

/// A judgement, and what decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether access is granted, and until when.
    pub entitlement: Entitlement,
    /// What decided whether.
    pub access: AccessRule,
    /// What decided until when; none where there is no end.
    pub end: Option<EndRule>,
}

/// What decided whether access is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessRule {
    /// It is over, and no policy can grant.
    Over,
    /// The statuses that grant.
    Status,
    /// What a status does that nobody knows.
    UnknownStatus,
    /// Grace that has to be earned, and was not.
    UnearnedGrace,
    /// What a pause of this behaviour does.
    Pause(String),
}

/// What sets the end of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndRule {
    /// The planned cancellation.
    CancelAt,
    /// The end that a schedule sets.
    Schedule,
    /// The end of the period, where it cancels then.
    PeriodEnd,
    /// The days of grace.
    Grace,
    /// A paused collection, as far as it is paid.
    PaidThrough,
    /// The end of patience with silence.
    Stale,
}

/// Judges a subscription. The end is the least of: the planned cancellation, the end of the period
/// where it cancels then, the end that a schedule sets, the end of grace, the end that a pause
/// sets, and the end of patience with silence.
pub fn judge(facts: &SubscriptionFacts, inputs: PolicyInputs, policy: &Policy) -> Judgement {
    let denied = |access| {
        let entitlement = Entitlement { entitled: false, until: None };
        Judgement { entitlement, access, end: None }
    };
    if inputs.is_over || facts.is_terminal() {
        return denied(AccessRule::Over);
    }
    let by_status =
        if policy.knows(&facts.status) { AccessRule::Status } else { AccessRule::UnknownStatus };
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
            // It is paid, and the period is the best that is known of how far.
            PauseEffect::UntilPaidThrough if inputs.paid_through_unknown => {
                ends.push((facts.current_period_end(), EndRule::PaidThrough));
            }
            PauseEffect::UntilPaidThrough | PauseEffect::Deny => {
                return denied(AccessRule::Pause(behavior.clone()));
            }
        }
    }
    let patience_days = i64::from(policy.stale_after_period_end_days.0);
    // What is paid for in advance gives no reason to write, and on a test clock time stands still.
    if patience_days > 0 && facts.test_clock.is_none() {
        let expected = facts.current_period_end().max(inputs.paid_through);
        ends.push((expected.map(|end| end.plus_days(patience_days)), EndRule::Stale));
    }
    // Of equal ends the first counts: what somebody decided before what the policy does by itself.
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
