//! Each version has the shapes that it really has.

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
            assert_eq!(body["api_version"], version.as_str());
            body["data"]["object"].take()
        })
        .collect()
}

fn has(object: &Value, key: &str) -> bool {
    object.as_object().unwrap().contains_key(key)
}

#[test]
fn the_period_lives_on_the_items_alone_since_basil() {
    for version in ApiVersion::CURRENT {
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
    for version in ApiVersion::CURRENT {
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
