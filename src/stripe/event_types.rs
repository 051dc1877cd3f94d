//! Types of events that an endpoint must send.

use super::ObjectType;

/// Types that the ledger uses, as the guide "Adopt" lists them. Stripe takes no patterns.
pub const USED_TYPES: [&str; 75] = [
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.trial_will_end",
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "invoice.created",
    "invoice.updated",
    "invoice.deleted",
    "invoice.finalized",
    "invoice.finalization_failed",
    "invoice.marked_uncollectible",
    "invoice.overdue",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice.sent",
    "invoice.upcoming",
    "invoice.voided",
    "invoice.will_be_due",
    "customer.created",
    "customer.updated",
    "customer.deleted",
    "customer.discount.created",
    "customer.discount.updated",
    "customer.discount.deleted",
    "subscription_schedule.created",
    "subscription_schedule.updated",
    "subscription_schedule.released",
    "subscription_schedule.completed",
    "subscription_schedule.canceled",
    "subscription_schedule.aborted",
    "subscription_schedule.expiring",
    "entitlements.active_entitlement_summary.updated",
    "product.created",
    "product.updated",
    "product.deleted",
    "price.created",
    "price.updated",
    "price.deleted",
    "plan.created",
    "plan.updated",
    "plan.deleted",
    "charge.succeeded",
    "charge.failed",
    "charge.pending",
    "charge.expired",
    "charge.captured",
    "charge.updated",
    "charge.refunded",
    "charge.refund.updated",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "credit_note.created",
    "credit_note.updated",
    "credit_note.voided",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "payment_intent.canceled",
    "invoice_payment.paid",
];

/// True for a type whose events change rows or names. The others are money in the history, and reminders.
pub fn is_folded(event_type: &str) -> bool {
    ObjectType::from_event_type(event_type).is_some()
}

/// True for a type that the ledger uses: for rows and names, or in histories.
pub fn is_used(event_type: &str) -> bool {
    is_folded(event_type) || USED_TYPES.contains(&event_type)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Patterns of the guide's table: `.updated` stands for a type that begins as the one before it.
    fn patterns_of_the_guide() -> Vec<String> {
        let guide = include_str!("../guide/adopt.md");
        let (_, table) = guide.split_once("| types | used for |").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let mut patterns: Vec<String> = Vec::new();
        for row in rows {
            let types = row.split('|').nth(1).unwrap();
            for word in types.split('`').skip(1).step_by(2) {
                let beginning = patterns.last().and_then(|it| it.rsplit_once('.')).map(|it| it.0);
                patterns.push(match beginning {
                    Some(beginning) if word.starts_with('.') => format!("{beginning}{word}"),
                    _ => word.to_owned(),
                });
            }
        }
        patterns
    }

    fn matches(pattern: &str, event_type: &str) -> bool {
        match pattern.strip_suffix('*') {
            Some(beginning) => event_type.starts_with(beginning),
            None => event_type == pattern,
        }
    }

    #[test]
    fn the_guide_lists_the_same_types() {
        let patterns = patterns_of_the_guide();
        assert!(patterns.len() > 15, "{patterns:?}");
        for event_type in USED_TYPES {
            assert!(patterns.iter().any(|it| matches(it, event_type)), "{event_type}");
        }
        for pattern in patterns {
            assert!(USED_TYPES.iter().any(|it| matches(&pattern, it)), "{pattern}");
        }
    }

    #[test]
    fn each_type_is_named_once_and_most_are_folded() {
        assert_eq!(USED_TYPES.iter().collect::<BTreeSet<_>>().len(), USED_TYPES.len());
        assert!(is_folded("invoice.paid") && is_folded("plan.deleted"));
        assert!(!is_folded("charge.refunded") && !is_folded("invoice.upcoming"));
    }
}
