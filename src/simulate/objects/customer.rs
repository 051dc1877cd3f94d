//! Customers.

use super::{Home, Metadata, Render, old, render_metadata};
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{NONE, NULL, Object, Wire, object};

/// Customer.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) email: String,
    pub(crate) name: String,
    /// Currency; null until the first invoice.
    pub(crate) currency: Option<&'static str>,
    pub(crate) default_payment_method: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) home: Home,
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
        if version < ApiVersion::V2020 {
            old::customer(&mut customer);
        }
        customer
    }
}

/// Address with only the country, as a card gives it.
pub(crate) fn address() -> Object {
    object! {
        "city": NULL,
        "country": "DE",
        "line1": NULL,
        "line2": NULL,
        "postal_code": NULL,
        "state": NULL,
    }
}

/// `customer_details` of a checkout session.
pub(crate) fn details(customer: &Customer, version: ApiVersion) -> Object {
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
