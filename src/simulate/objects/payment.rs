//! Charges, payment intents and invoice payments. No subscription row depends on them.

use super::customer::address;
use super::{Home, Render};
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{NULL, Object, Wire, embedded_list, object};

/// Attempt to collect an invoice.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) intent: String,
    pub(crate) charge: String,
    pub(crate) method: String,
    pub(crate) invoice: String,
    pub(crate) customer: String,
    pub(crate) created: i64,
    pub(crate) amount: i64,
    pub(crate) currency: &'static str,
    pub(crate) succeeded: bool,
    /// Refunded amount.
    pub(crate) refunded: i64,
    pub(crate) disputed: bool,
    pub(crate) home: Home,
}

impl Payment {
    /// Renders the object of `payment_intent.*`.
    pub(crate) fn render_intent(&self, version: ApiVersion) -> Object {
        let received = if self.succeeded { self.amount } else { 0 };
        let mut intent = object! {
            "id": &self.intent,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": 0_i64,
            "amount_details": object! { "tip": Object::EMPTY },
            "amount_received": received,
            "application": NULL,
            "application_fee_amount": NULL,
            "automatic_payment_methods": NULL,
            "canceled_at": NULL,
            "cancellation_reason": NULL,
            "capture_method": "automatic",
            "client_secret": format!("{}_secret_simulated", self.intent),
            "confirmation_method": "automatic",
            "created": self.created,
            "currency": self.currency,
            "customer": &self.customer,
            "description": "Subscription update",
            "last_payment_error": (!self.succeeded).then(|| object! {
                "code": "card_declined",
                "decline_code": "insufficient_funds",
                "message": "Your card has insufficient funds.",
                "type": "card_error",
            }),
            "latest_charge": &self.charge,
            "livemode": self.home.livemode,
            "metadata": Object::EMPTY,
            "next_action": NULL,
            "on_behalf_of": NULL,
            "payment_method": &self.method,
            "payment_method_types": vec![Wire::from("card")],
            "processing": NULL,
            "receipt_email": NULL,
            "review": NULL,
            "setup_future_usage": "off_session",
            "shipping": NULL,
            "source": NULL,
            "statement_descriptor": NULL,
            "statement_descriptor_suffix": NULL,
            "status": if self.succeeded { "succeeded" } else { "requires_payment_method" },
            "transfer_data": NULL,
            "transfer_group": NULL,
        };
        if version < ApiVersion::Basil {
            intent.set("invoice", &self.invoice);
        }
        intent
    }

    fn outcome(&self) -> Object {
        object! {
            "network_status": if self.succeeded { "approved_by_network" } else { "declined_by_network" },
            "reason": (!self.succeeded).then_some("insufficient_funds"),
            "risk_level": "normal",
            "risk_score": 28_i64,
            "seller_message": if self.succeeded { "Payment complete." } else { "The bank declined." },
            "type": if self.succeeded { "authorized" } else { "issuer_declined" },
        }
    }

    /// Renders the object of `invoice_payment.paid`, since Basil. It names no customer.
    pub(crate) fn render_invoice_payment(&self) -> Object {
        object! {
            "id": self.intent.replacen("pi_", "inpay_", 1),
            "object": "invoice_payment",
            "amount_paid": self.amount,
            "amount_requested": self.amount,
            "created": self.created,
            "currency": self.currency,
            "invoice": &self.invoice,
            "is_default": true,
            "livemode": self.home.livemode,
            "payment": object! { "payment_intent": &self.intent, "type": "payment_intent" },
            "status": "paid",
            "status_transitions": object! { "canceled_at": NULL, "paid_at": self.created },
        }
    }
}

/// Renders the object of `charge.*`.
impl Render for Payment {
    fn render(&self, version: ApiVersion) -> Object {
        let collected = if self.succeeded { self.amount } else { 0 };
        let mut charge = object! {
            "id": &self.charge,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": collected,
            "amount_refunded": self.refunded,
            "application": NULL,
            "balance_transaction": self.succeeded.then(|| self.charge.replacen("ch_", "txn_", 1)),
            "billing_details": object! {
                "address": address(),
                "email": NULL,
                "name": NULL,
                "phone": NULL,
            },
            "calculated_statement_descriptor": "SIMULATED LTD",
            "captured": self.succeeded,
            "created": self.created,
            "currency": self.currency,
            "customer": &self.customer,
            "description": "Subscription update",
            "disputed": self.disputed,
            "failure_code": (!self.succeeded).then_some("card_declined"),
            "fraud_details": Object::EMPTY,
            "livemode": self.home.livemode,
            "metadata": Object::EMPTY,
            "outcome": self.outcome(),
            "paid": self.succeeded,
            "payment_intent": &self.intent,
            "payment_method": &self.method,
            "payment_method_details": object! {
                "card": object! {
                    "brand": "visa",
                    "country": "DE",
                    "exp_month": 4_i64,
                    "exp_year": 2031_i64,
                    "funding": "credit",
                    "last4": "4242",
                    "network": "visa",
                    "wallet": NULL,
                },
                "type": "card",
            },
            "receipt_email": NULL,
            "refunded": self.succeeded && self.refunded == self.amount,
            "review": NULL,
            "shipping": NULL,
            "source": NULL,
            "status": if self.succeeded { "succeeded" } else { "failed" },
            "transfer_data": NULL,
            "transfer_group": NULL,
        };
        if version < ApiVersion::Basil {
            charge.set("invoice", &self.invoice);
        }
        if version <= ApiVersion::V2020 {
            charge.set(
                "refunds",
                embedded_list(Vec::new(), format!("/v1/charges/{}/refunds", self.charge)),
            );
        } else {
            charge.set("radar_options", Object::EMPTY);
        }
        charge
    }
}
