//! Shapes of each version.

use super::*;

/// Snapshots of a type at a version.
fn snapshots(version: ApiVersion, event_type: &str) -> Vec<Value> {
    let plan = Plan {
        subscriptions: 60,
        api_version: Versions::One(version),
        format: Format::Compact,
        ..Plan::default()
    };
    simulate(&plan)
        .events
        .iter()
        .filter(|event| event.event_type == event_type)
        .map(|event| {
            let mut body = read(event);
            let told = body["api_version"].as_str();
            assert_eq!(told, (version >= ApiVersion::V2018).then_some(version.as_str()));
            body["data"]["object"].take()
        })
        .collect()
}

/// Paths of keys in a snapshot; elements of a list count as one.
fn keys(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| {
                let below = keys(value).into_iter().map(move |path| format!("{key}.{path}"));
                below.chain([key.clone()])
            })
            .collect(),
        Value::Array(list) => list.iter().flat_map(keys).collect(),
        _ => BTreeSet::new(),
    }
}

fn keys_of(version: ApiVersion, event_type: &str) -> BTreeSet<String> {
    snapshots(version, event_type).iter().flat_map(keys).collect()
}

fn assert_keys(keys: &BTreeSet<String>, there: &[&str], not_there: &[&str]) {
    for key in there {
        assert!(keys.contains(*key), "{key} is missing in {keys:?}");
    }
    for key in not_there {
        assert!(!keys.contains(*key), "{key} in {keys:?}");
    }
}

#[test]
fn a_subscription_of_2014_has_one_plan_on_top_and_one_of_2018_has_items_too() {
    let common = ["plan.amount", "quantity", "start", "current_period_end", "trial_end"];
    let later = [
        "start_date",
        "collection_method",
        "latest_invoice",
        "cancel_at",
        "pause_collection",
        "schedule",
        "discount.id",
        "items.data.price",
    ];
    let old = keys_of(ApiVersion::V2014, "customer.subscription.updated");
    assert_keys(&old, &common, &later);
    let came = ["items.data.plan.id", "metadata", "billing", "created", "plan.product"];
    assert_keys(&old, &["plan.name", "discount.coupon.id"], &came);
    let newer = keys_of(ApiVersion::V2018, "customer.subscription.updated");
    assert_keys(&newer, &common, &later);
    assert_keys(&newer, &came, &["plan.name"]);
}

#[test]
fn an_invoice_before_2018_was_paid_closed_or_forgiven() {
    let common = ["date", "paid", "closed", "forgiven", "subscription", "lines.data.type"];
    let later = ["created", "status", "status_transitions", "billing_reason", "lines.data.price"];
    let old = keys_of(ApiVersion::V2014, "invoice.payment_succeeded");
    assert_keys(&old, &common, &later);
    assert_keys(&old, &["lines.count"], &["lines.has_more", "lines.total_count", "billing"]);
    let newer = keys_of(ApiVersion::V2018, "invoice.payment_succeeded");
    assert_keys(&newer, &common, &later);
    assert_keys(&newer, &["lines.has_more", "billing"], &["lines.count"]);
    for invoice in snapshots(ApiVersion::V2014, "invoice.payment_succeeded") {
        let lines = invoice["lines"]["data"].as_array().unwrap();
        for line in lines.iter().filter(|line| line["type"] == "subscription") {
            assert_eq!(line["id"], invoice["subscription"]);
        }
        assert_eq!(invoice["closed"], true);
        assert_eq!(invoice["forgiven"], false);
    }
}

#[test]
fn the_request_of_an_event_of_2014_is_text_or_nothing() {
    let of = |version| {
        let plan =
            Plan { subscriptions: 10, api_version: Versions::One(version), ..Plan::default() };
        simulate(&plan).events.iter().map(|event| read(event)["request"].take()).collect::<Vec<_>>()
    };
    let old = of(ApiVersion::V2014);
    assert!(old.iter().any(Value::is_string) && old.iter().any(Value::is_null));
    assert!(old.iter().all(|request| request.is_string() || request.is_null()));
    assert!(of(ApiVersion::V2018).iter().all(Value::is_object));
}

#[test]
fn why_a_subscription_is_paused_is_said_since_endive() {
    for version in ApiVersion::MIXED {
        let keys = keys_of(version, "customer.subscription.updated");
        assert_eq!(keys.contains("status_details"), version >= ApiVersion::Endive);
    }
}

fn has(object: &Value, key: &str) -> bool {
    object.as_object().unwrap().contains_key(key)
}

#[test]
fn the_period_lives_on_the_items_alone_since_basil() {
    for version in ApiVersion::MIXED {
        let since_basil = version >= ApiVersion::Basil;
        for object in snapshots(version, "customer.subscription.updated") {
            for key in ["current_period_start", "current_period_end"] {
                assert_eq!(has(&object, key), !since_basil);
                assert_eq!(has(&object["items"]["data"][0], key), since_basil);
            }
            assert_eq!(has(&object, "discount"), !since_basil);
            assert_eq!(has(&object, "billing_mode"), version >= ApiVersion::Clover);
            assert_eq!(has(&object, "cancellation_details"), version >= ApiVersion::Acacia);
            assert_eq!(has(&object, "customer_account"), version >= ApiVersion::Dahlia);
            // Plan and price are both sent, whatever the schema says.
            assert!(object["items"]["data"][0]["plan"]["id"].is_string());
            assert!(object["items"]["data"][0]["price"]["id"].is_string());
            assert_eq!(
                object["items"]["data"].as_array().unwrap().len() == 1,
                object["plan"].is_object()
            );
        }
    }
}

#[test]
fn an_invoice_names_its_subscription_in_its_parent_since_basil() {
    for version in ApiVersion::MIXED {
        let since_basil = version >= ApiVersion::Basil;
        for invoice in snapshots(version, "invoice.paid") {
            for key in ["subscription", "paid", "charge", "payment_intent", "discount"] {
                assert_eq!(has(&invoice, key), !since_basil, "{key} at {version:?}");
            }
            let line = &invoice["lines"]["data"][0];
            for key in ["price", "plan", "proration", "subscription", "type"] {
                assert_eq!(has(line, key), !since_basil, "{key} at {version:?}");
            }
            if since_basil {
                let details = &invoice["parent"]["subscription_details"];
                assert!(details["subscription"].as_str().unwrap().starts_with("sub_"));
                assert!(line["pricing"]["price_details"]["price"].is_string());
                let item = &line["parent"]["subscription_item_details"];
                assert_eq!(item["subscription"], details["subscription"]);
            } else {
                assert!(invoice["subscription"].as_str().unwrap().starts_with("sub_"));
                assert!(!has(&invoice, "parent"));
            }
            assert_eq!(invoice["status"], "paid");
        }
    }
}

#[test]
fn an_announced_invoice_has_no_id() {
    let old = snapshots(ApiVersion::Acacia, "invoice.upcoming");
    assert!(
        !old.is_empty() && old.iter().all(|object| object["id"].is_null() && has(object, "id"))
    );
    let new = snapshots(ApiVersion::Clover, "invoice.upcoming");
    assert!(!new.is_empty() && new.iter().all(|object| !has(object, "id")));
}

#[test]
fn bodies_are_indented_as_stripe_does_and_end_without_a_line_end() {
    let events = simulate(&Plan { subscriptions: 1, ..Plan::default() }).events;
    let event = events.iter().find(|event| event.event_type == "customer.created").unwrap();
    assert!(event.body.starts_with(&format!(
        "{{\n  \"id\": \"{}\",\n  \"object\": \"event\",\n  \"api_version\": ",
        event.id
    )));
    assert!(event.body.ends_with("\",\n  \"data\": {").eq(&false) && event.body.ends_with("\"\n}"));
    assert!(event.body.contains("\"data\": {\n    \"object\": {\n      \"id\": \"cus_"));
}

#[test]
fn sizes_are_realistic() {
    let plan = Plan { subscriptions: 120, ..Plan::default() };
    let mean = |plan: &Plan, kind: &str| {
        let sizes: Vec<usize> = simulate(plan)
            .events
            .iter()
            .filter(|event| event.event_type == kind)
            .map(|event| event.body.len())
            .collect();
        sizes.iter().sum::<usize>() / sizes.len()
    };
    let compact = Plan { format: Format::Compact, ..plan.clone() };
    for (kind, small, large) in [
        ("customer.subscription.created", 3_000..4_300, 4_800..6_600),
        ("invoice.paid", 2_800..4_500, 4_300..6_800),
    ] {
        let (of_compact, of_indented) = (mean(&compact, kind), mean(&plan, kind));
        assert!(small.contains(&of_compact), "{kind}: {of_compact}");
        assert!(large.contains(&of_indented), "{kind}: {of_indented}");
    }
}
