//! JSON paths of the fields of a row: where in an event the readers find each of them.
//!
//! `*` stands for every element of a list, `{user}` for each metadata key that names the application's user.
//! The paths of a field are in reading order. A test compares them with simulated events of every API
//! version.

use super::ObjectType;

/// A field of a row and its JSON pointers.
type FieldPaths = (&'static str, &'static [&'static str]);

/// Paths of a row's field in an event of this type, from the event's root. None if events of the type do
/// not contain the field.
pub fn json_paths(event_type: &str, field: &str) -> impl Iterator<Item = String> {
    let find = |table: &'static [FieldPaths]| {
        table.iter().find(|(name, _)| *name == field).map_or(&[][..], |(_, paths)| paths)
    };
    let object_type = ObjectType::from_event_type(event_type);
    let in_object = find(object_type.map_or(&[], object_paths)).iter();
    let in_object = in_object.map(|path| format!("/data/object{path}"));
    let in_envelope = find(object_type.map_or(&[], |_| ENVELOPE)).iter();
    in_object.chain(in_envelope.map(|path| (*path).to_owned()))
}

const fn object_paths(object_type: ObjectType) -> &'static [FieldPaths] {
    match object_type {
        ObjectType::Subscription => SUBSCRIPTION,
        ObjectType::Invoice => INVOICE,
        ObjectType::CheckoutSession => SESSION,
        ObjectType::Customer => CUSTOMER,
        ObjectType::SubscriptionSchedule => SCHEDULE,
        ObjectType::EntitlementSummary => FEATURES,
        ObjectType::Discount => DISCOUNT,
        ObjectType::Product => PRODUCT,
        ObjectType::Price | ObjectType::Plan => PRICE,
    }
}

/// Fields of the envelope, for any object.
const ENVELOPE: &[FieldPaths] = &[
    ("account", &["/account"]),
    ("livemode", &["/livemode"]),
    ("api_version", &["/api_version"]),
    ("last_event_id", &["/id"]),
    ("last_event_at", &["/created"]),
    ("observed_at", &["/created"]),
    ("past_due_since", &["/created"]),
    ("payment_failed_at", &["/created"]),
    ("paid_at", &["/created"]),
    // The deletion of a customer ends its subscriptions.
    ("status", &["/type"]),
    ("ended_at", &["/created"]),
    ("ends_at", &["/created"]),
];

const SUBSCRIPTION: &[FieldPaths] = &[
    ("subscription_id", &["/id", "/customer"]),
    ("customer_id", &["/customer", "/customer/id", "/customer_account"]),
    ("user_id", &["/metadata/{user}"]),
    ("status", &["/status"]),
    ("price_id", &["/items/data/0/price/id", "/items/data/0/plan/id", "/plan/id"]),
    (
        "product_id",
        &[
            "/items/data/0/price/product",
            "/items/data/0/price/product/id",
            "/items/data/0/plan/product",
            "/plan/product",
        ],
    ),
    (
        "price_nickname",
        &["/items/data/0/price/nickname", "/items/data/0/plan/nickname", "/plan/nickname"],
    ),
    ("product_name", &["/items/data/0/plan/name", "/plan/name"]),
    ("lookup_key", &["/items/data/0/price/lookup_key"]),
    ("quantity", &["/items/data/0/quantity", "/quantity"]),
    (
        "currency",
        &[
            "/items/data/0/price/currency",
            "/items/data/0/plan/currency",
            "/plan/currency",
            "/currency",
        ],
    ),
    (
        "billing_currency",
        &[
            "/currency",
            "/items/data/0/price/currency",
            "/items/data/0/plan/currency",
            "/plan/currency",
        ],
    ),
    (
        "unit_amount",
        &[
            "/items/data/0/price/unit_amount",
            "/items/data/0/price/currency_options/*/unit_amount",
            "/items/data/0/plan/amount",
            "/plan/amount",
        ],
    ),
    (
        "transform_quantity",
        &[
            "/items/data/0/price/transform_quantity",
            "/items/data/0/plan/transform_usage",
            "/plan/transform_usage",
        ],
    ),
    (
        "unit_amount_decimal",
        &[
            "/items/data/0/price/unit_amount_decimal",
            "/items/data/0/price/currency_options/*/unit_amount_decimal",
            "/items/data/0/plan/amount_decimal",
            "/plan/amount_decimal",
        ],
    ),
    (
        "interval",
        &[
            "/items/data/0/price/recurring/interval",
            "/items/data/0/plan/interval",
            "/plan/interval",
        ],
    ),
    (
        "interval_count",
        &[
            "/items/data/0/price/recurring/interval_count",
            "/items/data/0/plan/interval_count",
            "/plan/interval_count",
        ],
    ),
    ("items", &["/items/data", "/plan"]),
    ("items_truncated", &["/items/has_more", "/items/total_count"]),
    ("current_period_start", &["/items/data/*/current_period_start", "/current_period_start"]),
    ("current_period_end", &["/items/data/*/current_period_end", "/current_period_end"]),
    ("trial_start", &["/trial_start"]),
    ("trial_end", &["/trial_end"]),
    ("cancel_at_period_end", &["/cancel_at_period_end"]),
    ("cancel_at", &["/cancel_at"]),
    ("canceled_at", &["/canceled_at"]),
    ("ended_at", &["/ended_at"]),
    ("ends_at", ENDS),
    ("entitled_until", ENDS),
    ("cancellation_reason", &["/cancellation_details/reason"]),
    ("paused_reason", &["/status_details/paused/subscription/type"]),
    ("pause_collection", &["/pause_collection"]),
    ("discounts", &["/discounts", "/discount"]),
    ("test_clock_id", &["/test_clock", "/test_clock/id"]),
    ("collection_method", &["/collection_method", "/billing"]),
    ("latest_invoice_id", &["/latest_invoice", "/latest_invoice/id"]),
    ("paid_through", &["/items/data/*/current_period_end", "/current_period_end"]),
    ("created_at", &["/created"]),
    ("started_at", &["/start_date", "/start"]),
    ("metadata", &["/metadata"]),
];

const ENDS: &[&str] =
    &["/ended_at", "/cancel_at", "/items/data/*/current_period_end", "/current_period_end"];

const INVOICE: &[FieldPaths] = &[
    ("email", &["/customer_email"]),
    ("latest_invoice_id", &["/id"]),
    ("latest_invoice_status", &["/status", "/paid", "/forgiven", "/closed"]),
    ("next_payment_attempt", &["/next_payment_attempt"]),
    ("paid_at", &["/status_transitions/paid_at"]),
    ("past_due_since", &["/due_date", "/status_transitions/finalized_at"]),
    ("paid_through", &["/lines/data/*/period/end", "/lines/data/*/period/start"]),
    ("paid_through_unknown", &["/lines/has_more", "/lines/total_count"]),
    ("entitled_until", &["/lines/data/*/period/end"]),
];

const SESSION: &[FieldPaths] = &[
    ("user_id", &["/client_reference_id", "/metadata/{user}"]),
    ("email", &["/customer_details/email", "/customer_email"]),
];

const CUSTOMER: &[FieldPaths] = &[("user_id", &["/metadata/{user}"]), ("email", &["/email"])];

const SCHEDULE: &[FieldPaths] = &[
    ("scheduled_change", &["/phases/*/start_date", "/phases/*/end_date"]),
    ("ends_at", &["/phases/*/end_date"]),
    ("entitled_until", &["/phases/*/end_date"]),
];

const DISCOUNT: &[FieldPaths] = &[(
    "discounts",
    &["/promotion_code/code", "/coupon/id", "/coupon", "/source/coupon/id", "/source/coupon"],
)];

const FEATURES: &[FieldPaths] =
    &[("features", &["/entitlements/data"]), ("features_truncated", &["/entitlements/has_more"])];

const PRODUCT: &[FieldPaths] = &[("product_name", &["/name"])];

const PRICE: &[FieldPaths] = &[("price_nickname", &["/nickname", "/name"])];
