//! Checkout sessions.

use super::{Home, Metadata, Render, automatic_tax, customer, render_metadata};
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{NONE, NULL, Object, Wire, object};

/// Checkout session.
#[derive(Clone, Debug)]
pub(crate) struct CheckoutSession {
    pub(crate) id: String,
    pub(crate) created: i64,
    /// Customer; null while the form is empty.
    pub(crate) customer: Option<customer::Customer>,
    /// Id of the subscription, once a session in mode `subscription` is complete.
    pub(crate) subscription: Option<String>,
    pub(crate) invoice: Option<String>,
    pub(crate) mode: &'static str,
    /// `open`, `complete` or `expired`.
    pub(crate) status: &'static str,
    /// `paid`, `unpaid` or `no_payment_required`.
    pub(crate) payment_status: &'static str,
    pub(crate) client_reference_id: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) amount: i64,
    pub(crate) currency: &'static str,
    pub(crate) home: Home,
}

impl CheckoutSession {
    fn version_fields(&self, session: &mut Object, version: ApiVersion) {
        if version >= ApiVersion::Acacia {
            session.set("adaptive_pricing", NULL);
            session.set("client_secret", NULL);
            session.set("consent_collection", NULL);
            session.set("created", self.created);
            session.set("currency_conversion", NULL);
            session.set("custom_fields", NONE);
            session.set("invoice", &self.invoice);
            session.set("invoice_creation", NULL);
            session.set("payment_method_collection", "always");
            session.set("saved_payment_method_options", NULL);
        }
        if version >= ApiVersion::Basil {
            session.set("collected_information", object! { "shipping_details": NULL });
            session.set("discounts", NONE);
            session.set("permissions", NULL);
            session.set("wallet_options", NULL);
        } else {
            session.set("shipping_details", NULL);
        }
        if version >= ApiVersion::Clover {
            session.set("origin_context", NULL);
        }
        if version >= ApiVersion::Acacia {
            let hosted = if version >= ApiVersion::Dahlia { "hosted_page" } else { "hosted" };
            session.set("ui_mode", hosted);
        }
        if version >= ApiVersion::Dahlia {
            session.set("customer_account", NULL);
            session.set("integration_identifier", NULL);
        }
    }
}

impl Render for CheckoutSession {
    fn render(&self, version: ApiVersion) -> Object {
        let customer = self.customer.as_ref();
        let mut session = object! {
            "id": &self.id,
            "object": "checkout.session",
            "after_expiration": NULL,
            "allow_promotion_codes": NULL,
            "amount_subtotal": self.amount,
            "amount_total": self.amount,
            "automatic_tax": automatic_tax(version),
            "billing_address_collection": NULL,
            "cancel_url": "https://shop.example/pricing",
            "client_reference_id": &self.client_reference_id,
            "consent": NULL,
            "currency": self.currency,
            "custom_text": object! { "shipping_address": NULL, "submit": NULL },
            "customer": customer.map(|customer| &customer.id),
            "customer_creation": "if_required",
            "customer_details": customer.map(|customer| customer::details(customer, version)),
            "customer_email": NULL,
            "expires_at": self.created + 86_400,
            "livemode": self.home.livemode,
            "locale": "auto",
            "metadata": render_metadata(&self.metadata),
            "mode": self.mode,
            "payment_intent": NULL,
            "payment_link": NULL,
            "payment_method_options": object! { "card": object! {
                "request_three_d_secure": "automatic",
            } },
            "payment_method_types": vec![Wire::from("card")],
            "payment_status": self.payment_status,
            "phone_number_collection": object! { "enabled": false },
            "recovered_from": NULL,
            "setup_intent": NULL,
            "shipping_address_collection": NULL,
            "shipping_cost": NULL,
            "shipping_options": NONE,
            "status": self.status,
            "submit_type": NULL,
            "subscription": &self.subscription,
            "success_url": "https://shop.example/welcome",
            "total_details": object! {
                "amount_discount": 0_i64,
                "amount_shipping": 0_i64,
                "amount_tax": 0_i64,
            },
            "url": NULL,
        };
        self.version_fields(&mut session, version);
        session
    }
}
