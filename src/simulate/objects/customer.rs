//! Customers.

use super::super::version::ApiVersion;
use super::super::wire::{NONE, NULL, Object, Wire, object};
use super::{Home, Metadata, Render, render_metadata};

/// A customer.
#[derive(Clone, Debug)]
pub(in crate::simulate) struct Customer {
    pub(in crate::simulate) id: String,
    pub(in crate::simulate) created: i64,
    pub(in crate::simulate) email: String,
    pub(in crate::simulate) name: String,
    /// Null until the first invoice.
    pub(in crate::simulate) currency: Option<&'static str>,
    pub(in crate::simulate) default_payment_method: Option<String>,
    pub(in crate::simulate) metadata: Metadata,
    pub(in crate::simulate) home: Home,
}

impl Render for Customer {
    fn render(&self, version: ApiVersion) -> Object {
        let mut customer = object! {
            "id": &self.id,
            "object": "customer",
            "address": address(),
            "balance": 0_i64,
            "created": self.created,
            "currency": self.currency,
            "default_source": NULL,
            "delinquent": false,
            "description": NULL,
            "discount": NULL,
            "email": &self.email,
            "invoice_prefix": self.id[self.id.len() - 8..].to_ascii_uppercase(),
            "invoice_settings": object! {
                "custom_fields": NULL,
                "default_payment_method": &self.default_payment_method,
                "footer": NULL,
                "rendering_options": NULL,
            },
            "livemode": self.home.livemode,
            "metadata": render_metadata(&self.metadata),
            "name": &self.name,
            "next_invoice_sequence": 1_i64,
            "phone": NULL,
            "preferred_locales": vec![Wire::from("en-US")],
            "shipping": NULL,
            "tax_exempt": "none",
            "test_clock": &self.home.test_clock,
        };
        if version >= ApiVersion::Dahlia {
            customer.set("customer_account", NULL);
        }
        customer
    }
}

/// An address of which only the country is known, as a card gives it.
pub(in crate::simulate) fn address() -> Object {
    object! {
        "city": NULL,
        "country": "DE",
        "line1": NULL,
        "line2": NULL,
        "postal_code": NULL,
        "state": NULL,
    }
}

/// What a checkout session says about who bought.
pub(in crate::simulate) fn details(customer: &Customer, version: ApiVersion) -> Object {
    let mut details = object! {
        "address": address(),
        "email": &customer.email,
        "name": &customer.name,
        "phone": NULL,
        "tax_exempt": "none",
        "tax_ids": NONE,
    };
    if version >= ApiVersion::Dahlia {
        details.set("business_name", NULL);
        details.set("individual_name", NULL);
    }
    details
}
