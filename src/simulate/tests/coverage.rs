//! Every act, status and transition occurs.

use super::*;
use crate::stripe::{USED_TYPES, is_folded};

fn assert_reached<T: Ord + std::fmt::Debug + ?Sized>(reached: &BTreeSet<&T>, expected: &[&T]) {
    let missing: Vec<_> = expected.iter().filter(|item| !reached.contains(*item)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}

#[test]
fn every_type_of_event_is_sent() {
    let simulation = big();
    let types = simulation.events.iter().map(|event| event.event_type.as_str()).collect();
    assert_reached(
        &types,
        &[
            "charge.dispute.closed",
            "charge.dispute.created",
            "charge.failed",
            "charge.refunded",
            "charge.succeeded",
            "checkout.session.async_payment_failed",
            "checkout.session.async_payment_succeeded",
            "checkout.session.completed",
            "checkout.session.expired",
            "credit_note.created",
            "customer.created",
            "customer.deleted",
            "customer.discount.created",
            "customer.discount.deleted",
            "customer.loyalty_tier.reached",
            "customer.subscription.created",
            "customer.subscription.deleted",
            "customer.subscription.paused",
            "customer.subscription.pending_update_applied",
            "customer.subscription.pending_update_expired",
            "customer.subscription.resumed",
            "customer.subscription.trial_will_end",
            "customer.subscription.updated",
            "customer.updated",
            "entitlements.active_entitlement_summary.updated",
            "invoice.created",
            "invoice.deleted",
            "invoice.finalized",
            "invoice.marked_uncollectible",
            "invoice.overdue",
            "invoice.paid",
            "invoice.payment_action_required",
            "invoice.payment_failed",
            "invoice.payment_succeeded",
            "invoice.sent",
            "invoice.upcoming",
            "invoice.updated",
            "invoice.voided",
            "invoice_payment.paid",
            "payment_intent.payment_failed",
            "payment_intent.succeeded",
            "payment_method.attached",
            "plan.created",
            "plan.deleted",
            "price.created",
            "price.updated",
            "product.created",
            "product.deleted",
            "product.updated",
            "refund.created",
            "refund.updated",
            "subscription_schedule.canceled",
            "subscription_schedule.completed",
            "subscription_schedule.created",
            "subscription_schedule.released",
            "subscription_schedule.updated",
            "v1.billing.meter.error_report_triggered",
        ],
    );
}

#[test]
fn an_endpoint_is_given_every_type_that_is_folded() {
    for event in &big().events {
        let event_type = event.event_type.as_str();
        assert!(!is_folded(event_type) || USED_TYPES.contains(&event_type), "{event_type}");
    }
}

#[test]
fn every_status_and_every_way_from_one_to_another_is_taken() {
    let mut statuses: BTreeMap<String, String> = BTreeMap::new();
    let mut ways = BTreeSet::new();
    for event in &big().events {
        if !event.event_type.starts_with("customer.subscription.")
            || event.event_type.ends_with("pending_update_expired")
        {
            continue;
        }
        let object = read(event)["data"]["object"].take();
        let status = object["status"].as_str().unwrap().to_owned();
        let id = object["id"].as_str().unwrap().to_owned();
        let before = statuses.insert(id, status.clone()).unwrap_or_default();
        if before != status {
            ways.insert(format!("{before} -> {status}"));
        }
    }
    let ways: BTreeSet<&str> = ways.iter().map(String::as_str).collect();
    assert_reached(
        &ways,
        &[
            " -> incomplete",
            " -> active",
            " -> trialing",
            "incomplete -> active",
            "incomplete -> incomplete_expired",
            "trialing -> active",
            "trialing -> past_due",
            "trialing -> paused",
            "trialing -> canceled",
            "active -> trialing",
            "active -> past_due",
            "active -> paused",
            "active -> canceled",
            "past_due -> active",
            "past_due -> unpaid",
            "past_due -> paused",
            "past_due -> canceled",
            "unpaid -> active",
            "unpaid -> canceled",
            "paused -> active",
            "paused -> past_due",
            "paused -> canceled",
        ],
    );
    assert!(
        ways.iter().all(|way| !way.starts_with("canceled") && !way.starts_with("incomplete_e")),
        "what has ended stays ended: {ways:?}"
    );
}

#[test]
fn truths_are_of_every_kind() {
    let plan = Plan { subscriptions: 1_500, months: 5, format: Format::Compact, ..Plan::default() };
    let rows: Vec<TruthRow> = lives(&plan).flat_map(|life| life.truth).collect();
    assert_reached(
        &rows.iter().map(|row| row.status).collect(),
        &[
            "active",
            "canceled",
            "incomplete",
            "incomplete_expired",
            "past_due",
            "paused",
            "trialing",
            "unpaid",
        ],
    );
    assert_reached(
        &rows.iter().filter_map(|row| row.user_id_source).collect(),
        &[
            "checkout.client_reference_id",
            "checkout.metadata",
            "customer.checkout",
            "customer.metadata",
            "subscription.metadata",
        ],
    );
    assert_reached(
        &rows.iter().filter_map(|row| row.latest_invoice_status).collect(),
        &["draft", "open", "paid", "uncollectible", "void"],
    );
    assert_reached(
        &rows.iter().filter_map(|row| Some(row.pause_collection.as_ref()?.behavior)).collect(),
        &["keep_as_draft", "mark_uncollectible", "void"],
    );
    let any = |what: &str, is: fn(&TruthRow) -> bool| {
        assert!(rows.iter().any(is), "{what} never happens");
    };
    any("no user", |row| row.user_id.is_none());
    any("a conflict of users", |row| row.user_id_conflict);
    any("a connected account", |row| !row.account.is_empty());
    any("test mode", |row| !row.livemode);
    any("a test clock", |row| row.test_clock_id.is_some());
    any("an invoiced customer", |row| row.collection_method == Some("send_invoice"));
    any("a debt", |row| row.past_due_since.is_some());
    any("a next attempt", |row| row.next_payment_attempt.is_some() && row.status == "past_due");
    any("the flag to cancel", |row| row.cancel_at_period_end && row.status == "active");
    any("a date to cancel alone", |row| {
        row.cancel_at.is_some() && !row.cancel_at_period_end && row.status == "active"
    });
    any("an end that only the customer's deletion tells", |row| {
        row.status == "canceled" && row.ended_at.is_some() && row.canceled_at.is_none()
    });
    any("a debt paid after the end", |row| row.ended_at.is_some() && row.paid_at > row.ended_at);
    any("items of different periods", |row| {
        row.ends_at < row.current_period_end && row.cancel_at_period_end
    });
    assert_reached(
        &rows.iter().filter_map(|row| Some(row.scheduled_change.as_ref()?.action)).collect(),
        &["cancel", "update"],
    );
    assert_reached(
        &rows.iter().filter_map(|row| row.paused_reason).collect(),
        &["final_payment_failure", "pause_requested"],
    );
    any("an end that only a schedule tells", |row| {
        row.ends_at.is_some()
            && row.ended_at.or(row.cancel_at).is_none()
            && !row.cancel_at_period_end
    });
    any("a plan that its subscription did not outlive", |row| {
        row.ended_at.is_some() && row.scheduled_change.is_none()
    });
    any("a discount", |row| row.discounts.len() == 1);
    any("two discounts", |row| row.discounts.len() == 2);
    any("features", |row| !row.features.is_empty() && !row.features_truncated);
    any("more features than a summary holds", |row| {
        row.features.len() == 10 && row.features_truncated
    });
    any("usage, which has no quantity", |row| row.quantity.is_none());
    any("a quantity of nothing", |row| row.quantity == Some(0));
    for version in ApiVersion::MIXED {
        assert!(rows.iter().any(|row| row.api_version == Some(version.as_str())));
    }
}

#[test]
fn a_card_fails_in_the_second_of_its_renewal() {
    let mut shared = BTreeSet::new();
    let mut renewed = BTreeSet::new();
    for event in &big().events {
        if event.event_type != "customer.subscription.updated" {
            continue;
        }
        let body = read(event);
        let object = &body["data"]["object"];
        let second = (object["id"].as_str().unwrap().to_owned(), event.created);
        match object["status"].as_str() {
            Some("active") => {
                renewed.insert(second);
            }
            Some("past_due")
                if body["data"]["previous_attributes"]["status"] == "active"
                    && renewed.contains(&second) =>
            {
                shared.insert(second);
            }
            _ => {}
        }
    }
    assert!(!shared.is_empty());
    let rows = &big().truth;
    assert!(
        rows.iter().any(|row| row.past_due_since.is_some_and(
            |StripeTime(since)| shared.contains(&(row.subscription_id.clone(), since))
        )),
        "and is past due since then"
    );
}

#[test]
fn a_schedule_may_be_there_before_its_subscription() {
    let schedules: Vec<Value> = big()
        .events
        .iter()
        .filter(|event| event.event_type.starts_with("subscription_schedule."))
        .map(|event| read(event)["data"]["object"].take())
        .collect();
    let any = |is: fn(&Value) -> bool| schedules.iter().any(is);
    assert!(any(|it| it["status"] == "not_started" && it["subscription"].is_null()));
    assert!(any(|it| it["subscription"].is_null() && it["released_subscription"].is_string()));
    assert!(any(|it| it["phases"].as_array().unwrap().len() == 3));
}

#[test]
fn the_catalogue_names_all_that_is_sold_and_what_was_deleted() {
    let simulation = big();
    let names: BTreeMap<_, _> = simulation
        .catalogue
        .iter()
        .map(|known| ((&known.account, known.livemode, known.id.as_str()), &known.name))
        .collect();
    assert_eq!(names.len(), simulation.catalogue.len(), "each is named once");
    for row in &simulation.truth {
        for id in [row.product_id.unwrap(), row.price_id.unwrap()] {
            assert!(names.contains_key(&(&row.account, row.livemode, id)), "{id}");
        }
    }
    let empty = String::new();
    let name = |id| names[&(&empty, true, id)].as_deref();
    assert_eq!(name("prod_R1xTeam0000002"), Some("Team Plus"));
    assert_eq!(name("prod_R1xClassic0005"), Some("Classic (no longer sold)"));
    assert_eq!(name("price_1Q4mTeamMonthlyOldUsd12"), Some("Team, not for sale"));
    let mut updates = BTreeSet::new();
    for event in simulation.events.iter().filter(|event| event.event_type == "product.updated") {
        let id = read(event)["data"]["object"]["id"].as_str().unwrap().to_owned();
        assert!(updates.insert((event.account.clone(), event.livemode, id, event.created)));
    }
}

#[test]
fn a_user_may_have_several_customers_and_a_customer_several_subscriptions() {
    let rows = &big().truth;
    let mut customers: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let mut subscriptions: BTreeMap<_, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.account.is_empty()) {
        if let Some(user) = &row.user_id {
            customers.entry(user).or_default().insert(&row.customer_id);
        }
        *subscriptions.entry(&row.customer_id).or_default() += 1;
    }
    assert!(customers.values().any(|customers| customers.len() > 1));
    assert!(subscriptions.values().any(|count| *count > 1));
}

#[test]
fn purchases_and_leaps_of_a_test_clock_share_a_second() {
    let mut seconds: BTreeMap<(String, i64), usize> = BTreeMap::new();
    let mut months_in_a_second = 0;
    for event in &big().events {
        let object = read(event)["data"]["object"].take();
        let Some(id) = object["id"].as_str() else { continue };
        let count = seconds.entry((id.to_owned(), event.created)).or_default();
        *count += 1;
        if *count > 1 && event.event_type == "customer.subscription.updated" {
            months_in_a_second += usize::from(!object["test_clock"].is_null());
        }
    }
    let shared = seconds.values().filter(|count| **count > 1).count();
    assert!(shared > 2_000, "{shared} seconds hold several events of one object");
    assert!(months_in_a_second > 5, "{months_in_a_second}");
}

#[test]
fn some_accounts_have_a_second_endpoint_at_a_newer_version() {
    let mut pairs = BTreeSet::new();
    for event in &big().events {
        let Some(second) = &event.second_body else { continue };
        let (body, second): (Value, Value) = (read(event), second.parse().unwrap());
        for field in ["id", "type", "created", "request", "livemode"] {
            assert_eq!(body[field], second[field]);
        }
        assert_eq!(body["data"]["object"]["id"], second["data"]["object"]["id"]);
        let both = [&body, &second].map(|it| it["api_version"].as_str().unwrap().to_owned());
        assert!(both[0] < both[1], "{both:?}");
        pairs.insert(both);
    }
    // Each of acacia, basil and clover with each newer one up to dahlia.
    assert_eq!(pairs.len(), 6, "{pairs:?}");
    let rows = &big().truth;
    assert!(rows.iter().any(|row| row.api_version.is_none()));
    let one = serde_json::to_value(rows.iter().find(|row| row.api_version.is_none())).unwrap();
    assert!(!one.as_object().unwrap().contains_key("api_version"));
}

#[test]
fn what_no_later_event_repeats_is_never_lost() {
    let losable: BTreeSet<&str> = big()
        .events
        .iter()
        .filter(|event| event.losable)
        .map(|event| event.event_type.as_str())
        .collect();
    assert_reached(
        &losable,
        &[
            "customer.created",
            "customer.subscription.created",
            "customer.subscription.updated",
            "customer.subscription.trial_will_end",
            "entitlements.active_entitlement_summary.updated",
            "invoice.created",
            "invoice.finalized",
            "product.created",
            "subscription_schedule.created",
        ],
    );
    for kept in ["checkout.session.completed", "invoice.payment_failed", "customer.deleted"] {
        assert!(!losable.contains(kept), "{kept}");
    }
    // The last snapshot of each row is there.
    let last: BTreeSet<&str> = big().truth.iter().map(|row| row.last_event_id.as_str()).collect();
    assert!(big().events.iter().all(|event| !(event.losable && last.contains(&*event.id))));
}

#[test]
fn an_era_has_only_what_stripe_had() {
    let types = |era| {
        let format = Format::Compact;
        let plan = Plan { subscriptions: 200, era: Some(era), format, ..Plan::default() };
        let events = simulate(&plan).events;
        events.into_iter().map(|event| event.event_type).collect::<BTreeSet<String>>()
    };
    let of_2014 = types(ApiVersion::V2014);
    for later in ["checkout.", "payment_intent.", "price.", "subscription_schedule.", "invoice_p"] {
        assert!(!of_2014.iter().any(|it| it.starts_with(later)), "{later} in {of_2014:?}");
    }
    for then in ["customer.subscription.deleted", "invoice.payment_failed", "charge.succeeded"] {
        assert!(of_2014.contains(then), "{then} not in {of_2014:?}");
    }
    assert!(!types(ApiVersion::Acacia).contains("invoice_payment.paid"));
    assert!(types(ApiVersion::Basil).contains("invoice_payment.paid"));
}
