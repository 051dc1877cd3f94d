//! What objects were before 2020: fields that had not come yet, and fields by their old names.

use super::invoice::{Invoice, Status};
use super::subscription::Subscription;
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{NULL, Object, Wire};

/// A plan. Before products, it had the name itself.
pub(super) fn plan(plan: &mut Object, version: ApiVersion) {
    remove(plan, &["active", "amount_decimal", "tiers_mode"]);
    if version < ApiVersion::V2018 {
        remove(
            plan,
            &[
                "aggregate_usage",
                "billing_scheme",
                "nickname",
                "product",
                "transform_usage",
                "usage_type",
            ],
        );
        plan.set("statement_descriptor", NULL);
    }
}

/// A subscription.
pub(super) fn subscription(object: &mut Object, of: &Subscription, version: ApiVersion) {
    remove(
        object,
        &[
            "automatic_tax",
            "billing_thresholds",
            "cancel_at",
            "default_payment_method",
            "default_source",
            "default_tax_rates",
            "latest_invoice",
            "next_pending_invoice_item_invoice",
            "pause_collection",
            "payment_settings",
            "pending_invoice_item_interval",
            "pending_setup_intent",
            "pending_update",
            "schedule",
            "test_clock",
            "transfer_data",
        ],
    );
    rename(object, "collection_method", "billing");
    rename(object, "start_date", "start");
    object.set("tax_percent", NULL);
    if version < ApiVersion::V2018 {
        let later = [
            "billing",
            "billing_cycle_anchor",
            "created",
            "days_until_due",
            "items",
            "livemode",
            "metadata",
            "tax_percent",
        ];
        remove(object, &later);
        // There was one plan, whatever has been added to the subscription since.
        let first = &of.items[0];
        object.set("plan", first.price.render_plan(version, of.home.livemode));
        object.set("quantity", first.quantity);
    }
}

/// An item of a subscription.
pub(super) fn item(item: &mut Object) {
    remove(item, &["billing_thresholds", "price", "tax_rates"]);
}

/// A discount. It had no id.
pub(super) fn discount(discount: &mut Object) {
    remove(discount, &["id", "checkout_session", "invoice", "invoice_item", "promotion_code"]);
}

/// An invoice. Instead of a status it said whether it was paid, closed and forgiven.
pub(super) fn invoice(object: &mut Object, of: &Invoice, version: ApiVersion) {
    remove(
        object,
        &[
            "account_country",
            "account_name",
            "account_tax_ids",
            "amount_paid",
            "amount_remaining",
            "auto_advance",
            "automatic_tax",
            "billing_reason",
            "custom_fields",
            "customer_address",
            "customer_email",
            "customer_name",
            "customer_phone",
            "customer_shipping",
            "customer_tax_exempt",
            "customer_tax_ids",
            "default_payment_method",
            "default_source",
            "default_tax_rates",
            "discounts",
            "footer",
            "invoice_pdf",
            "last_finalization_error",
            "on_behalf_of",
            "paid_out_of_band",
            "payment_intent",
            "payment_settings",
            "post_payment_credit_notes_amount",
            "pre_payment_credit_notes_amount",
            "quote",
            "status",
            "status_transitions",
            "test_clock",
            "total_discount_amounts",
            "total_tax_amounts",
            "transfer_data",
        ],
    );
    rename(object, "application_fee_amount", "application_fee");
    rename(object, "collection_method", "billing");
    rename(object, "created", "date");
    object.set("closed", matches!(of.status, Status::Paid | Status::Void | Status::Uncollectible));
    object.set("forgiven", of.status == Status::Uncollectible);
    object.set("tax_percent", NULL);
    if version < ApiVersion::V2018 {
        remove(object, &["billing", "due_date", "hosted_invoice_url", "number", "tax_percent"]);
        if let Some(Wire::Object(lines)) = object.get("lines") {
            let mut lines = lines.clone();
            lines.remove("has_more");
            rename(&mut lines, "total_count", "count");
            object.set("lines", lines);
        }
    }
}

/// A line of an invoice. What a subscription costs was a line by the subscription's own id.
pub(super) fn line(line: &mut Object, of: &Invoice, proration: bool, version: ApiVersion) {
    remove(line, &["discount_amounts", "discounts", "price", "tax_amounts", "tax_rates"]);
    if !proration {
        line.set("id", &of.subscription);
    }
    if version < ApiVersion::V2018 {
        line.remove("subscription_item");
        if !proration {
            line.set("subscription", NULL);
        }
    }
}

/// A customer.
pub(super) fn customer(customer: &mut Object) {
    let later = [
        "address",
        "invoice_settings",
        "name",
        "next_invoice_sequence",
        "phone",
        "preferred_locales",
        "tax_exempt",
        "test_clock",
    ];
    remove(customer, &later);
    rename(customer, "balance", "account_balance");
}

fn remove(object: &mut Object, keys: &[&str]) {
    for key in keys {
        object.remove(key);
    }
}

fn rename(object: &mut Object, new: &str, old: &'static str) {
    if let Some(value) = object.get(new).cloned() {
        object.remove(new);
        object.set(old, value);
    }
}
