//! Notes on payment events: the amount and the next step, which no row holds.

use serde_json::Value;

use super::instant;
use super::money::amount;
use crate::time::StripeTime;

/// Sentence about the money in an event's object; none if the event is not about money.
pub(in crate::audit) fn note(event_type: &str, object: &Value) -> Option<String> {
    let (family, what) = event_type.rsplit_once('.')?;
    let object = Object(object);
    match family {
        "invoice" => of_invoice(what, object),
        "charge" => of_charge(what, object),
        "charge.dispute" => of_dispute(what, object),
        "refund" | "charge.refund" => of_refund(object),
        "credit_note" => of_credit_note(what, object),
        "payment_intent" => of_payment_intent(what, object),
        "invoice_payment" if what == "paid" => {
            Some(format!("{} paid of an invoice", object.amount("amount_paid")?))
        }
        "checkout.session" if what == "completed" => {
            Some(format!("checkout completed, {}", object.amount("amount_total")?))
        }
        "customer.subscription" if what == "trial_will_end" => {
            Some(format!("the trial ends {}", object.instant("trial_end")?))
        }
        _ => None,
    }
}

fn of_invoice(what: &str, object: Object<'_>) -> Option<String> {
    let due = || object.amount("amount_due");
    Some(match what {
        "paid" | "payment_succeeded" => {
            format!("invoice paid {}", object.amount("amount_paid").or_else(due)?)
        }
        "payment_failed" => {
            let owed = object.amount("amount_remaining").or_else(due)?;
            let next = object.instant("next_payment_attempt");
            let next =
                next.map_or(", no further attempt".to_owned(), |at| format!(", next attempt {at}"));
            format!("payment failed {owed}{next}")
        }
        "payment_action_required" => format!("payment of {} needs action by the customer", due()?),
        "created" => format!("invoice created, {}", due()?),
        "finalized" => format!("invoice finalized, {}", due()?),
        "sent" => format!("invoice sent, {}", due()?),
        "overdue" => format!("invoice overdue, {}", due()?),
        "voided" => format!("invoice voided, {}", due()?),
        "marked_uncollectible" => format!("invoice marked uncollectible, {}", due()?),
        "upcoming" => format!("next invoice will be {}", due()?),
        _ => return None,
    })
}

fn of_charge(what: &str, object: Object<'_>) -> Option<String> {
    let amount = object.amount("amount")?;
    Some(match what {
        "succeeded" | "captured" => format!("charged {amount}"),
        "pending" => format!("charge of {amount} is pending"),
        "failed" => format!("charge of {amount} failed{}", object.because("failure_code")),
        "refunded" => match object.amount("amount_refunded")? {
            refunded if refunded == amount => format!("refunded {amount}"),
            refunded => format!("refunded {refunded} of {amount}"),
        },
        _ => return None,
    })
}

fn of_refund(object: Object<'_>) -> Option<String> {
    let amount = object.amount("amount")?;
    Some(match object.text("status") {
        // The oldest refunds have no status: they succeeded.
        None | Some("succeeded") => format!("refunded {amount}"),
        Some(status) => {
            format!(
                "refund of {amount}: {}{}",
                without_underscores(status),
                object.because("failure_reason")
            )
        }
    })
}

fn of_dispute(what: &str, object: Object<'_>) -> Option<String> {
    let amount = object.amount("amount")?;
    let status = object.text("status").map(without_underscores);
    Some(match (what, status) {
        ("created", _) => format!("disputed {amount}{}", object.because("reason")),
        ("funds_withdrawn", _) => format!("dispute withdrew {amount}"),
        ("funds_reinstated", _) => format!("dispute reinstated {amount}"),
        (_, Some(status)) => format!("dispute of {amount}: {status}"),
        _ => return None,
    })
}

fn of_credit_note(what: &str, object: Object<'_>) -> Option<String> {
    let amount = object.amount("amount").or_else(|| object.amount("total"))?;
    Some(match what {
        "created" => format!("credited {amount}{}", object.because("reason")),
        "voided" => format!("credit of {amount} voided"),
        _ => return None,
    })
}

fn of_payment_intent(what: &str, object: Object<'_>) -> Option<String> {
    let amount = object.amount("amount")?;
    Some(match what {
        "succeeded" => format!("payment of {amount} succeeded"),
        "payment_failed" => format!("payment of {amount} failed"),
        "requires_action" => format!("payment of {amount} needs action by the customer"),
        "canceled" => {
            format!("payment of {amount} canceled{}", object.because("cancellation_reason"))
        }
        "created" => format!("payment of {amount} started"),
        "processing" => format!("payment of {amount} is processing"),
        _ => return None,
    })
}

/// Object of an event. A field of an unexpected type counts as absent.
#[derive(Clone, Copy)]
struct Object<'a>(&'a Value);

impl<'a> Object<'a> {
    fn text(self, field: &str) -> Option<&'a str> {
        self.0.get(field)?.as_str()
    }

    fn amount(self, field: &str) -> Option<String> {
        Some(amount(self.0.get(field)?.as_i64()?, self.text("currency")))
    }

    fn instant(self, field: &str) -> Option<String> {
        Some(instant(StripeTime(self.0.get(field)?.as_i64()?)))
    }

    /// ` (product not received)` if a reason is given.
    fn because(self, field: &str) -> String {
        self.text(field)
            .map(|reason| format!(" ({})", without_underscores(reason)))
            .unwrap_or_default()
    }
}

/// Word of Stripe's without underscores.
fn without_underscores(word: &str) -> String {
    word.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Amounts are 20 dollars unless a case has others; `AT` is 2026-03-03.
    fn assert_told(cases: &[(&str, &str, &str)]) {
        for (event_type, fields, sentences) in cases {
            let fields = fields.replace("AT", "1772496000");
            let amounts = r#""amount":2000,"amount_due":2000,"currency":"usd""#;
            let object = if fields.is_empty() {
                format!("{{{amounts}}}")
            } else {
                // Of two fields of one name the last counts.
                format!("{{{amounts},{fields}}}")
            };
            let object = serde_json::from_str(&object).unwrap();
            assert_eq!(note(event_type, &object).as_deref(), Some(*sentences), "{event_type}");
        }
    }

    #[test]
    fn invoices_are_told_with_their_amounts() {
        assert_told(&[
            ("invoice.paid", r#""amount_paid":5000"#, "invoice paid 50.00 USD"),
            // An invoice of 2014 says what is due alone.
            ("invoice.payment_succeeded", r#""currency":"jpy""#, "invoice paid 2000 JPY"),
            (
                "invoice.payment_failed",
                r#""amount_remaining":1500,"next_payment_attempt":AT"#,
                "payment failed 15.00 USD, next attempt 2026-03-03",
            ),
            (
                "invoice.payment_failed",
                r#""next_payment_attempt":null"#,
                "payment failed 20.00 USD, no further attempt",
            ),
            (
                "invoice.payment_action_required",
                "",
                "payment of 20.00 USD needs action by the customer",
            ),
            ("invoice.created", r#""currency":"kwd""#, "invoice created, 2.000 KWD"),
            ("invoice.finalized", "", "invoice finalized, 20.00 USD"),
            ("invoice.sent", "", "invoice sent, 20.00 USD"),
            ("invoice.overdue", "", "invoice overdue, 20.00 USD"),
            ("invoice.voided", "", "invoice voided, 20.00 USD"),
            ("invoice.marked_uncollectible", "", "invoice marked uncollectible, 20.00 USD"),
            ("invoice.upcoming", "", "next invoice will be 20.00 USD"),
            ("invoice_payment.paid", r#""amount_paid":5"#, "0.05 USD paid of an invoice"),
            ("checkout.session.completed", r#""amount_total":500"#, "checkout completed, 5.00 USD"),
            (
                "customer.subscription.trial_will_end",
                r#""trial_end":AT"#,
                "the trial ends 2026-03-03",
            ),
        ]);
    }

    #[test]
    fn payments_and_what_goes_back_are_told_with_their_amounts() {
        assert_told(&[
            ("charge.succeeded", "", "charged 20.00 USD"),
            ("charge.pending", "", "charge of 20.00 USD is pending"),
            (
                "charge.failed",
                r#""failure_code":"card_declined""#,
                "charge of 20.00 USD failed (card declined)",
            ),
            ("charge.refunded", r#""amount_refunded":2000"#, "refunded 20.00 USD"),
            ("charge.refunded", r#""amount_refunded":500"#, "refunded 5.00 USD of 20.00 USD"),
            ("refund.created", "", "refunded 20.00 USD"),
            ("refund.updated", r#""status":"pending""#, "refund of 20.00 USD: pending"),
            (
                "charge.refund.updated",
                r#""status":"failed","failure_reason":"lost_or_stolen_card""#,
                "refund of 20.00 USD: failed (lost or stolen card)",
            ),
            (
                "charge.dispute.created",
                r#""reason":"product_not_received","status":"needs_response""#,
                "disputed 20.00 USD (product not received)",
            ),
            ("charge.dispute.closed", r#""status":"lost""#, "dispute of 20.00 USD: lost"),
            ("charge.dispute.funds_withdrawn", "", "dispute withdrew 20.00 USD"),
            ("charge.dispute.funds_reinstated", "", "dispute reinstated 20.00 USD"),
            ("credit_note.created", r#""reason":"duplicate""#, "credited 20.00 USD (duplicate)"),
            ("credit_note.voided", "", "credit of 20.00 USD voided"),
            ("payment_intent.succeeded", "", "payment of 20.00 USD succeeded"),
            ("payment_intent.payment_failed", "", "payment of 20.00 USD failed"),
            ("payment_intent.canceled", "", "payment of 20.00 USD canceled"),
            (
                "payment_intent.requires_action",
                "",
                "payment of 20.00 USD needs action by the customer",
            ),
        ]);
    }

    #[test]
    fn what_is_not_about_money_or_not_as_expected_has_no_note() {
        for (event_type, object) in [
            ("customer.updated", r#"{"amount":5,"currency":"usd"}"#),
            ("charge.succeeded", r#"{"amount":"5","currency":"usd"}"#),
            ("charge.novelty", r#"{"amount":5,"currency":"usd"}"#),
            ("invoice.paid", "null"),
            ("ping", "{}"),
        ] {
            let object = serde_json::from_str(object).unwrap();
            assert_eq!(note(event_type, &object), None, "{event_type}");
        }
    }
}
