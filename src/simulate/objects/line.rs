//! Lines of invoices.

use super::old;
use super::price::Price;
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{NONE, NULL, Object, object};

/// Line of an invoice, for an item of its subscription.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) item: String,
    pub(crate) price: &'static Price,
    pub(crate) quantity: i64,
    /// In minor units; negative for a credit.
    pub(crate) amount: i64,
    /// True if it corrects a period that was billed already.
    pub(crate) proration: bool,
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// Properties of the invoice that its lines repeat.
pub(crate) struct LineContext<'a> {
    pub(crate) invoice: &'a String,
    pub(crate) subscription: &'a String,
    pub(crate) livemode: bool,
}

impl Line {
    fn description(&self) -> String {
        let product = self.price.product_name;
        match (self.proration, self.amount) {
            (true, ..0) => format!("Unused time on {product}"),
            (true, _) => format!("Remaining time on {product}"),
            (false, 0) => format!("Trial period for {product}"),
            (false, _) => {
                let amount = self.price.unit_amount;
                let interval = self.price.interval.as_str();
                format!("{} × {product} (at {amount} / {interval})", self.quantity)
            }
        }
    }

    pub(crate) fn render(&self, context: &LineContext<'_>, version: ApiVersion) -> Object {
        let mut line = object! {
            "id": &self.id,
            "object": "line_item",
            "amount": self.amount,
            "currency": self.price.currency,
            "description": self.description(),
            "discount_amounts": NONE,
            "discountable": !self.proration,
            "discounts": NONE,
            "livemode": context.livemode,
            "metadata": Object::EMPTY,
            "period": object! { "end": self.end, "start": self.start },
            "quantity": self.quantity,
        };
        if version < ApiVersion::Basil {
            self.fields_before_basil(&mut line, context, version);
        } else {
            self.fields_since_basil(&mut line, context);
        }
        if version >= ApiVersion::Dahlia {
            line.set("quantity_decimal", self.quantity.to_string());
            line.set("subtotal", self.amount);
        }
        if version < ApiVersion::V2020 {
            old::line(&mut line, context.subscription, self.proration, version);
        }
        line
    }

    fn fields_before_basil(
        &self,
        line: &mut Object,
        context: &LineContext<'_>,
        version: ApiVersion,
    ) {
        let livemode = context.livemode;
        line.set("plan", self.price.render_plan(version, livemode));
        line.set("price", self.price.render_price(version, livemode));
        line.set("proration", self.proration);
        line.set("subscription", context.subscription);
        line.set("subscription_item", &self.item);
        line.set("tax_amounts", NONE);
        line.set("tax_rates", NONE);
        line.set("type", if self.proration { "invoiceitem" } else { "subscription" });
        if version >= ApiVersion::Acacia {
            line.set("amount_excluding_tax", self.amount);
            line.set("invoice", context.invoice);
            line.set("pretax_credit_amounts", NONE);
            line.set("proration_details", object! { "credited_items": NULL });
            line.set("unit_amount_excluding_tax", self.price.unit_amount.to_string());
        }
    }

    fn fields_since_basil(&self, line: &mut Object, context: &LineContext<'_>) {
        line.set("invoice", context.invoice);
        line.set(
            "parent",
            object! {
                "invoice_item_details": NULL,
                "subscription_item_details": object! {
                    "invoice_item": self.proration.then(|| self.id.replacen("il_", "ii_", 1)),
                    "proration": self.proration,
                    "proration_details": object! { "credited_items": NULL },
                    "subscription": context.subscription,
                    "subscription_item": &self.item,
                },
                "type": "subscription_item_details",
            },
        );
        line.set("pretax_credit_amounts", NONE);
        line.set(
            "pricing",
            object! {
                "price_details": object! {
                    "price": self.price.id,
                    "product": self.price.product,
                },
                "type": "price_details",
                "unit_amount_decimal": self.price.unit_amount.to_string(),
            },
        );
        line.set("taxes", NONE);
    }
}
