//! Refunds, disputes and credit notes. No subscription row depends on them. Only a credit note names its customer.

use super::payment::Payment;
use super::{Home, Render};
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{NONE, NULL, Object, Wire, object};

/// Refund of a charge.
#[derive(Clone, Debug)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) charge: String,
    pub(crate) intent: String,
    pub(crate) amount: i64,
    pub(crate) currency: &'static str,
    pub(crate) created: i64,
    pub(crate) arrived: bool,
}

impl Render for Refund {
    fn render(&self, version: ApiVersion) -> Object {
        let mut refund = object! {
            "id": &self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": self.id.replacen("re_", "txn_", 1),
            "charge": &self.charge,
            "created": self.created,
            "currency": self.currency,
            "metadata": Object::EMPTY,
            "payment_intent": &self.intent,
            "reason": "requested_by_customer",
            "receipt_number": NULL,
            "source_transfer_reversal": NULL,
            "status": if self.arrived { "succeeded" } else { "pending" },
            "transfer_reversal": NULL,
        };
        if version >= ApiVersion::Acacia {
            let reference = if self.arrived { "available" } else { "pending" };
            refund.set(
                "destination_details",
                object! {
                    "card": object! {
                        "reference_status": reference,
                        "reference_type": "acquirer_reference_number",
                        "type": "refund",
                    },
                    "type": "card",
                },
            );
        }
        refund
    }
}

/// Dispute of a charge, open or closed.
pub(crate) fn dispute(id: &str, payment: &Payment, at: i64, status: &'static str) -> Object {
    object! {
        "id": id.to_owned(),
        "object": "dispute",
        "amount": payment.amount,
        "balance_transactions": NONE,
        "charge": &payment.charge,
        "created": at,
        "currency": payment.currency,
        "evidence": Object::EMPTY,
        "evidence_details": object! {
            "due_by": at + 7 * 86_400,
            "has_evidence": false,
            "past_due": false,
            "submission_count": 0_i64,
        },
        "is_charge_refundable": false,
        "livemode": payment.home.livemode,
        "metadata": Object::EMPTY,
        "payment_intent": &payment.intent,
        "reason": "fraudulent",
        "status": status,
    }
}

/// Credit note of an invoice.
pub(crate) struct CreditNote<'a> {
    pub(crate) id: String,
    pub(crate) payment: &'a Payment,
    pub(crate) refund: &'a Refund,
    pub(crate) home: &'a Home,
}

impl CreditNote<'_> {
    /// Renders the object of `credit_note.created`.
    pub(crate) fn render(&self, version: ApiVersion) -> Object {
        let amount = self.refund.amount;
        let number = self.id[self.id.len() - 4..].to_ascii_uppercase();
        let mut note = object! {
            "id": &self.id,
            "object": "credit_note",
            "amount": amount,
            "created": self.refund.created,
            "currency": self.refund.currency,
            "customer": &self.payment.customer,
            "customer_balance_transaction": NULL,
            "discount_amount": 0_i64,
            "discount_amounts": NONE,
            "invoice": &self.payment.invoice,
            "livemode": self.home.livemode,
            "memo": NULL,
            "metadata": Object::EMPTY,
            "number": format!("CN-{number}"),
            "out_of_band_amount": NULL,
            "reason": "order_change",
            "status": "issued",
            "subtotal": amount,
            "total": amount,
            "type": "post_payment",
            "voided_at": NULL,
        };
        if version >= ApiVersion::Basil {
            let refund = object! { "amount_refunded": amount, "refund": &self.refund.id };
            note.set("refunds", vec![Wire::from(refund)]);
        } else {
            note.set("refund", &self.refund.id);
        }
        note
    }
}
