//! Events as Stripe posts them: distinct, of a usual size, with ids that rise with time.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// The endpoint's secret.
pub(crate) const SECRET: &str = "whsec_benchmark";
/// When everything was signed.
pub(crate) const SIGNED_AT: i64 = 1_767_225_600;

/// How a body is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rendering {
    /// Without white space.
    Compact,
    /// By two spaces, as Stripe does.
    Indented,
}

/// So many distinct bodies.
pub(crate) fn bodies(rendering: Rendering, count: usize) -> Vec<String> {
    let one = event();
    let text = match rendering {
        Rendering::Compact => one.to_string(),
        Rendering::Indented => format!("{one:#}"),
    };
    (0..count).map(|number| text.replace("evt_ID", &event_id(number))).collect()
}

/// Like Stripe's: first the time, which events of a second share, then something random.
fn event_id(number: usize) -> String {
    let random = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("evt_1{:05X}2eZvKYlo2C{:08x}", number / 20_000, random >> 32)
}

/// The whole request, ready to be sent.
pub(crate) fn request(body: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key will do");
    mac.update(format!("{SIGNED_AT}.").as_bytes());
    mac.update(body.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let decoy = "f".repeat(64);
    format!(
        "POST /api/stripe/webhook/ HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n\
         Accept: */*; q=0.5, application/xml\r\nCache-Control: no-cache\r\nContent-Type: application/json; charset=utf-8\r\n\
         Stripe-Signature: t={SIGNED_AT},v1={signature},v0={decoy}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
    )
    .into_bytes()
}

/// A subscription with one item, as `customer.subscription.updated` carries it.
fn event() -> Value {
    let plan = json!({
        "id": "price_1Pgc7zB7WZ01zgkWWyTxbcQC", "object": "plan", "active": true, "aggregate_usage": null,
        "amount": 1900, "amount_decimal": "1900", "billing_scheme": "per_unit", "created": 1_721_895_899,
        "currency": "usd", "interval": "month", "interval_count": 1, "livemode": true,
        "metadata": {"tier": "gold"}, "meter": null, "nickname": "Gold, monthly",
        "product": "prod_QXg1hqf4jFNsqG", "tiers_mode": null, "transform_usage": null,
        "trial_period_days": null, "usage_type": "licensed",
    });
    let price = json!({
        "id": "price_1Pgc7zB7WZ01zgkWWyTxbcQC", "object": "price", "active": true, "billing_scheme": "per_unit",
        "created": 1_721_895_899, "currency": "usd", "custom_unit_amount": null, "livemode": true,
        "lookup_key": "gold_monthly", "metadata": {"tier": "gold"}, "nickname": "Gold, monthly",
        "product": "prod_QXg1hqf4jFNsqG",
        "recurring": {"aggregate_usage": null, "interval": "month", "interval_count": 1, "meter": null,
            "trial_period_days": null, "usage_type": "licensed"},
        "tax_behavior": "unspecified", "tiers_mode": null, "transform_quantity": null, "type": "recurring",
        "unit_amount": 1900, "unit_amount_decimal": "1900",
    });
    let item = json!({
        "id": "si_QXg2Zc5gFVYyKc", "object": "subscription_item", "billing_thresholds": null,
        "created": 1_721_895_960, "current_period_end": 1_769_904_000, "current_period_start": 1_767_225_600,
        "discounts": [], "metadata": {}, "plan": plan, "price": price, "quantity": 1,
        "subscription": "sub_1Pgc8yB7WZ01zgkWvyQO3wBp", "tax_rates": [],
    });
    json!({
        "id": "evt_ID", "object": "event", "api_version": "2025-03-31.basil", "created": SIGNED_AT,
        "data": {
            "object": {
                "id": "sub_1Pgc8yB7WZ01zgkWvyQO3wBp", "object": "subscription", "application": null,
                "application_fee_percent": null, "automatic_tax": {"disabled_reason": null, "enabled": false, "liability": null},
                "billing_cycle_anchor": 1_721_895_960, "billing_cycle_anchor_config": null,
                "billing_mode": {"type": "classic"}, "billing_thresholds": null, "cancel_at": null,
                "cancel_at_period_end": false, "canceled_at": null,
                "cancellation_details": {"comment": null, "feedback": null, "reason": null},
                "collection_method": "charge_automatically", "created": 1_721_895_960, "currency": "usd",
                "customer": "cus_QXg2o2G8qVWrDw", "days_until_due": null,
                "default_payment_method": "pm_1Pgc8xB7WZ01zgkWJ3Ryt0Dk", "default_source": null, "default_tax_rates": [],
                "description": "Gold membership with everything in it", "discounts": [], "ended_at": null,
                "invoice_settings": {"account_tax_ids": null, "issuer": {"type": "self"}},
                "items": {"object": "list", "data": [item], "has_more": false, "total_count": 1,
                    "url": "/v1/subscription_items?subscription=sub_1Pgc8yB7WZ01zgkWvyQO3wBp"},
                "latest_invoice": "in_1SkV8AB7WZ01zgkWlDRvAkFb", "livemode": true,
                "metadata": {"user_id": "4711", "campaign": "autumn", "referrer": "newsletter", "cohort": "2024-07",
                    "note": "Moved over from the yearly plan of the former shop, keeps the price until the end of the year."},
                "next_pending_invoice_item_invoice": null, "on_behalf_of": null, "pause_collection": null,
                "payment_settings": {"payment_method_options": {"acss_debit": null, "bancontact": null,
                    "card": {"network": null, "request_three_d_secure": "automatic"}, "customer_balance": null,
                    "konbini": null, "sepa_debit": null, "us_bank_account": null},
                    "payment_method_types": ["card", "link"], "save_default_payment_method": "off"},
                "pending_invoice_item_interval": null, "pending_setup_intent": null, "pending_update": null,
                "plan": plan, "quantity": 1, "schedule": null, "start_date": 1_721_895_960, "status": "active",
                "test_clock": null, "transfer_data": null,
                "trial_end": null, "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
                "trial_start": null,
            },
            "previous_attributes": {
                "items": {"data": [{"current_period_end": 1_767_225_600, "current_period_start": 1_764_633_600}]},
                "latest_invoice": "in_1ShPQrB7WZ01zgkWuUyI8qTg",
            },
        },
        "livemode": true, "pending_webhooks": 1,
        "request": {"id": null, "idempotency_key": "2f3b7f0c-6f0c-4f0e-9b0a-0c7a4b8f1d2e"},
        "type": "customer.subscription.updated",
    })
}
