//! Shapes of objects before 2020: without newer fields, and with the old names of others.

use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{NULL, Object, Wire};

/// Plan. Before there were products, it had the name itself.
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

/// Subscription.
pub(super) fn subscription(object: &mut Object, version: ApiVersion) {
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
    }
}

/// Item of a subscription.
pub(super) fn item(item: &mut Object) {
    remove(item, &["billing_thresholds", "price", "tax_rates"]);
}

/// Discount. It had no id.
pub(super) fn discount(discount: &mut Object) {
    remove(discount, &["id", "checkout_session", "invoice", "invoice_item", "promotion_code"]);
}

/// Invoice. It had the flags `paid`, `closed` and `forgiven` instead of a status.
pub(super) fn invoice(object: &mut Object, version: ApiVersion) {
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

/// Line of an invoice. A line that is no proration had the id of the subscription.
pub(super) fn line(line: &mut Object, subscription: &String, proration: bool, version: ApiVersion) {
    remove(line, &["discount_amounts", "discounts", "price", "tax_amounts", "tax_rates"]);
    if !proration {
        line.set("id", subscription);
    }
    if version < ApiVersion::V2018 {
        line.remove("subscription_item");
        if !proration {
            line.set("subscription", NULL);
        }
    }
}

/// Customer.
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
