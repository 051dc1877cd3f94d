//! Invoices, and what else is about money.

use serde_json::{Value, json};

use super::life::{Told, day, other};

/// An invoice for a period; `attempt` is the day on which Stripe tries again.
fn invoice(id: &str, status: &str, from: i64, to: i64) -> Value {
    json!({
        "id": id, "object": "invoice", "customer": "cus_1", "status": status, "created": day(from),
        "parent": { "type": "subscription_details",
            "subscription_details": { "subscription": "sub_1" } },
        "lines": { "object": "list", "data": [line(900, from, to)], "has_more": false },
    })
}

/// A line of an invoice; a credit has a negative amount.
pub(super) fn line(amount: i64, from: i64, to: i64) -> Value {
    json!({
        "object": "line_item", "amount": amount, "period": { "start": day(from), "end": day(to) },
        "parent": { "type": "subscription_item_details",
            "subscription_item_details": { "subscription": "sub_1" } },
    })
}

/// The invoice for a period is paid, on a day that may be later than its first.
pub(super) fn paid(id: &str, from: i64, to: i64, on: i64) -> Told {
    let mut invoice = invoice(id, "paid", from, to);
    invoice["status_transitions"] = json!({ "paid_at": day(on) });
    other("invoice.paid", invoice)
}

/// An invoice of these lines is paid on the day that it was made.
pub(super) fn paid_lines(id: &str, on: i64, lines: &[Value]) -> Told {
    let mut invoice = invoice(id, "paid", on, on);
    invoice["status_transitions"] = json!({ "paid_at": day(on) });
    let total: i64 = lines.iter().filter_map(|line| line["amount"].as_i64()).sum();
    invoice["total"] = total.into();
    invoice["amount_paid"] = total.max(0).into();
    invoice["lines"]["data"] = lines.to_vec().into();
    other("invoice.paid", invoice)
}

/// Its payment failed; Stripe may try again.
pub(super) fn failed(id: &str, from: i64, to: i64, again: Option<i64>) -> Told {
    let mut invoice = invoice(id, "open", from, to);
    invoice["next_payment_attempt"] = again.map(day).into();
    other("invoice.payment_failed", invoice)
}

/// It is given up: `uncollectible` or `void`.
pub(super) fn given_up(
    event_type: &'static str,
    status: &str,
    id: &str,
    from: i64,
    to: i64,
) -> Told {
    other(event_type, invoice(id, status, from, to))
}
