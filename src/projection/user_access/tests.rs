//! Laws of joining, and answers about cases by hand.

use proptest::prelude::*;

use super::*;
use crate::projection::column::Json;
use crate::projection::row::PauseCollection;

const DAY: i64 = 86_400;

fn row(subscription: &str, customer: &str, status: &str) -> SubscriptionRow {
    let item = ItemRow {
        price_id: Some("price_1".to_owned()),
        product_id: Some("prod_1".to_owned()),
        lookup_key: Some("pro".to_owned()),
        ..ItemRow::default()
    };
    SubscriptionRow {
        subscription_id: subscription.into(),
        customer_id: customer.into(),
        user_id: Some("7".to_owned()),
        status: status.to_owned(),
        items: Json(vec![item]),
        last_event_at: StripeTime(DAY),
        ..SubscriptionRow::default()
    }
}

fn live(subscription: &str, until: Option<i64>) -> SubscriptionRow {
    SubscriptionRow {
        entitled: true,
        entitled_until: until.map(StripeTime),
        ..row(subscription, "cus_1", "active")
    }
}

fn dead(subscription: &str, ended: i64) -> SubscriptionRow {
    SubscriptionRow { ended_at: Some(StripeTime(ended)), ..row(subscription, "cus_1", "canceled") }
}

fn answer(rows: &[SubscriptionRow], now: i64) -> Answer {
    UserAccess::of(rows).answer(&Asked::default(), StripeTime(now))
}

fn some_row() -> impl Strategy<Value = SubscriptionRow> {
    let times = || prop::option::of((0_i64..4).prop_map(StripeTime));
    let entitled = (any::<bool>(), times(), times(), times());
    let items = prop::collection::vec((0_u8..3, 0_u8..3), 0..3);
    let features = prop::collection::vec(0_u8..3, 0..3);
    (entitled, items, features, any::<[bool; 2]>(), 0_i64..4, 0_usize..4).prop_map(
        |(access, items, features, truncated, changed, status)| {
            let (entitled, until, paid, period_end) = access;
            let items = items.into_iter().map(|(price, product)| ItemRow {
                price_id: Some(format!("price_{price}")),
                product_id: Some(format!("prod_{product}")),
                ..ItemRow::default()
            });
            SubscriptionRow {
                entitled,
                entitled_until: until,
                paid_through: paid,
                current_period_end: period_end,
                items: Json(items.collect()),
                features: Json(features.into_iter().map(|it| format!("f{it}")).collect()),
                items_truncated: truncated[0],
                features_truncated: truncated[1],
                last_event_at: StripeTime(changed),
                ..row("", "", ["active", "trialing", "canceled", "new"][status])
            }
        },
    )
}

/// Rows of distinct subscriptions of few customers.
fn some_rows() -> impl Strategy<Value = Vec<SubscriptionRow>> {
    prop::collection::vec((some_row(), 0_u8..3), 0..8).prop_map(|rows| {
        let numbered = rows.into_iter().enumerate().map(|(number, (row, customer))| {
            let (subscription_id, customer_id) = (
                format!("sub_{number}").as_str().into(),
                format!("cus_{customer}").as_str().into(),
            );
            SubscriptionRow { subscription_id, customer_id, ..row }
        });
        numbered.collect()
    })
}

/// Rows without the number of subscriptions, which alone counts a row twice.
fn uncounted(mut access: UserAccess) -> UserAccess {
    access.subscriptions = 0;
    access
}

proptest! {
    #[test]
    fn neither_the_order_nor_the_grouping_of_parts_matters(
        (rows, shuffled) in some_rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        cuts in any::<[usize; 2]>(),
    ) {
        let whole = UserAccess::of(&rows);
        prop_assert_eq!(&UserAccess::of(&shuffled), &whole);
        let mut cuts = cuts.map(|cut| cut % (shuffled.len() + 1));
        cuts.sort_unstable();
        let parts = [&shuffled[..cuts[0]], &shuffled[cuts[0]..cuts[1]], &shuffled[cuts[1]..]];
        let [a, b, c] = parts.map(UserAccess::of);
        let left = a.clone().join(b.clone()).join(c.clone());
        let right = a.clone().join(b.clone().join(c.clone()));
        let backwards = c.join(b).join(a);
        prop_assert_eq!(&left, &whole);
        prop_assert_eq!(&right, &whole);
        prop_assert_eq!(&backwards, &whole);
    }

    #[test]
    fn a_part_that_is_joined_again_changes_only_the_number(rows in some_rows(), cut in any::<usize>()) {
        let whole = UserAccess::of(&rows);
        let part = UserAccess::of(&rows[..cut % (rows.len() + 1)]);
        prop_assert_eq!(uncounted(whole.clone().join(part)), uncounted(whole));
    }

    #[test]
    fn the_stored_form_comes_back_and_is_one_for_equal_accesses(
        (rows, shuffled) in some_rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        let access = UserAccess::of(&rows);
        let stored = serde_json::to_string(&access).unwrap();
        prop_assert_eq!(&serde_json::from_str::<UserAccess>(&stored).unwrap(), &access);
        let binary = postcard::to_allocvec(&access).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<UserAccess>(&binary).unwrap(), &access);
        prop_assert_eq!(serde_json::to_string(&UserAccess::of(&shuffled)).unwrap(), stored);
    }

    /// Answer of the rows one by one, without joining.
    #[test]
    fn an_answer_is_what_the_rows_say(rows in some_rows(), price in 0_u8..3, now in 0_i64..5) {
        let now = StripeTime(now);
        let asked = Asked { price_id: Some(format!("price_{price}")), ..Asked::default() };
        let has = |row: &&SubscriptionRow| {
            row.items.0.iter().any(|item| item.price_id == asked.price_id)
        };
        let active = |row: &SubscriptionRow| row.active_at(now);
        let access = UserAccess::of(&rows);
        prop_assert_eq!(access.answer(&Asked::default(), now).active, rows.iter().any(active));
        let answer = access.answer(&asked, now);
        prop_assert_eq!(answer.active, rows.iter().filter(has).any(active));
        let ends = rows.iter().filter(has).filter(|row| row.entitled).map(|row| row.entitled_until);
        let ends: Vec<_> = ends.collect();
        let latest = if ends.contains(&None) { None } else { ends.into_iter().max().flatten() };
        prop_assert_eq!(answer.until, latest);
        let is_covered = answer.covers.prices.iter().any(|it| Some(&it.id) == asked.price_id.as_ref());
        prop_assert_eq!(is_covered, answer.active);
        prop_assert!(answer.until.is_none_or(|until| answer.paid_until.is_none_or(|paid| paid <= until)));
        let users = UserAccess::by_user(&rows);
        prop_assert_eq!(users.get("7").cloned().unwrap_or_default(), access);
    }
}

#[test]
fn a_grant_decides_before_a_denial_and_of_grants_the_latest_end() {
    let rows = [dead("sub_0", 9), live("sub_1", Some(5)), live("sub_2", None), live("sub_3", None)];
    let access = UserAccess::of(&rows);
    assert_eq!(access.decision().unwrap().subscription_id.as_str(), "sub_2");
    assert_eq!(access.subscriptions(), 4);
    assert_eq!(UserAccess::of(&rows[..2]).decision().unwrap().subscription_id.as_str(), "sub_1");
}

#[test]
fn without_a_grant_the_last_that_ended_or_changed_gives_the_reason() {
    let unpaid =
        SubscriptionRow { last_event_at: StripeTime(8), ..row("sub_2", "cus_1", "unpaid") };
    // Its last event came long after its end.
    let ended = SubscriptionRow { last_event_at: StripeTime(99), ..dead("sub_1", 7) };
    let found = answer(&[ended, unpaid], 10);
    assert_eq!((found.active, found.reason), (false, Reason::Unpaid));
    let found = UserAccess::of(&[dead("sub_1", 7), dead("sub_2", 6)]);
    assert_eq!(found.decision().unwrap().since, Some(StripeTime(7)));
    assert_eq!(answer(&[], 10).reason, Reason::NoSubscription);
}

#[test]
fn a_trial_says_its_own_end_beside_that_of_the_policy() {
    let trial = SubscriptionRow {
        status: "trialing".to_owned(),
        trial_end: Some(StripeTime(14 * DAY)),
        current_period_end: Some(StripeTime(14 * DAY)),
        ..live("sub_1", Some(44 * DAY))
    };
    let found = answer(std::slice::from_ref(&trial), DAY);
    assert_eq!((found.active, found.reason), (true, Reason::Trial));
    assert_eq!(found.until, Some(StripeTime(44 * DAY)));
    assert_eq!(found.paid_until, Some(StripeTime(14 * DAY)));
    assert_eq!(found.renews_at, Some(StripeTime(14 * DAY)));
    let ending = SubscriptionRow {
        cancel_at_period_end: true,
        ends_at: Some(StripeTime(14 * DAY)),
        entitled_until: Some(StripeTime(14 * DAY)),
        ..trial
    };
    let found = answer(std::slice::from_ref(&ending), DAY);
    assert_eq!((found.until, found.renews_at), (Some(StripeTime(14 * DAY)), None));
    assert_eq!(answer(&[ending], 14 * DAY).reason, Reason::Expired);
}

#[test]
fn what_is_paid_is_the_latest_over_all_and_never_after_the_end() {
    let patient = SubscriptionRow { paid_through: Some(StripeTime(10)), ..live("sub_1", Some(40)) };
    let ending = SubscriptionRow { paid_through: Some(StripeTime(30)), ..live("sub_2", Some(20)) };
    let found = answer(&[patient, ending], 1);
    assert_eq!((found.until, found.paid_until), (Some(StripeTime(40)), Some(StripeTime(20))));
    let cut = SubscriptionRow {
        paid_through_unknown: true,
        current_period_end: Some(StripeTime(15)),
        ..live("sub_1", Some(40))
    };
    assert_eq!(answer(&[cut], 1).paid_until, Some(StripeTime(15)));
    assert_eq!(answer(&[live("sub_1", None)], 1).paid_until, None);
}

#[test]
fn each_row_has_its_reason() {
    let paused = Some(Json(PauseCollection { behavior: "void".to_owned(), resumes_at: None }));
    for (status, entitled, is_paused, reason) in [
        ("active", true, false, Reason::Active),
        ("active", true, true, Reason::CollectionPaused),
        ("active", false, true, Reason::CollectionPaused),
        ("active", false, false, Reason::NotGranted),
        ("trialing", true, false, Reason::Trial),
        ("trialing", false, false, Reason::NotGranted),
        ("past_due", true, false, Reason::Grace),
        ("past_due", false, false, Reason::PastDue),
        ("unpaid", false, false, Reason::Unpaid),
        ("unpaid", true, false, Reason::Unpaid),
        ("incomplete", false, false, Reason::Incomplete),
        ("incomplete_expired", false, false, Reason::Ended),
        ("canceled", false, true, Reason::Ended),
        ("paused", false, false, Reason::Paused),
        ("hibernating", false, false, Reason::UnknownStatus),
    ] {
        let row = SubscriptionRow {
            entitled,
            pause_collection: paused.clone().filter(|_| is_paused),
            ..row("sub_1", "cus_1", status)
        };
        let found = answer(&[row], 1);
        assert_eq!((found.active, found.reason), (entitled, reason), "{status}");
    }
}

#[test]
fn an_item_and_a_feature_are_asked_for_by_one_item_and_together() {
    let mut both = live("sub_1", Some(40));
    both.items.0.push(ItemRow {
        price_id: Some("price_2".to_owned()),
        product_id: Some("prod_2".to_owned()),
        ..ItemRow::default()
    });
    let mut featured = live("sub_2", Some(20));
    featured.items.0.clear();
    featured.features = Json(vec!["export".to_owned()]);
    let access = UserAccess::of(&[both, featured, dead("sub_3", 1)]);
    let text = |text: &str| Some(text.to_owned());
    let ask = |asked: Asked, now| {
        let found = access.answer(&asked, StripeTime(now));
        (found.active, found.until.map(|it| it.0), found.reason)
    };
    let item = |product: &str, price: &str| Asked {
        product_id: text(product),
        price_id: text(price),
        ..Asked::default()
    };
    assert_eq!(ask(item("prod_2", "price_2"), 1), (true, Some(40), Reason::Active));
    assert_eq!(ask(item("prod_1", "price_2"), 1), (false, None, Reason::NotIncluded));
    let feature = Asked { feature: text("export"), ..Asked::default() };
    assert_eq!(ask(feature.clone(), 1), (true, Some(20), Reason::Active));
    assert_eq!(ask(feature.clone(), 20), (false, Some(20), Reason::Expired));
    let together = Asked { lookup_key: text("pro"), ..feature };
    assert_eq!(ask(together, 1), (true, Some(20), Reason::Active));
    let other = Asked { feature: text("import"), ..Asked::default() };
    assert_eq!(ask(other.clone(), 1), (false, None, Reason::NotIncluded));
    assert_eq!(ask(other, 40), (false, None, Reason::Expired));
}

#[test]
fn many_dead_subscriptions_take_no_space_and_many_live_items_are_limited() {
    let mut access = UserAccess::of(&[live("sub_live", None)]);
    let size = serde_json::to_string(&access).unwrap().len();
    for number in 0..100_000 {
        access.add(&dead(&format!("sub_{number}"), number));
    }
    assert_eq!(access.subscriptions(), 100_001);
    assert!(serde_json::to_string(&access).unwrap().len() <= size + 5);
    assert!(access.answer(&Asked::default(), StripeTime(1)).active);

    let priced = |number: usize| {
        let mut row = live(&format!("sub_{number:04}"), None);
        row.items.0[0].price_id = Some(format!("price_{number:04}"));
        row
    };
    let rows: Vec<_> = (0..2 * COVERED_MAX).map(priced).collect();
    let (first, last) = rows.split_at(700);
    let access = UserAccess::of(last).join(UserAccess::of(first));
    assert_eq!(access, UserAccess::of(&rows));
    assert_eq!(access.covered(), COVERED_MAX);
    let ask = |price: &str| {
        let asked = Asked { price_id: Some(price.to_owned()), ..Asked::default() };
        let found = access.answer(&asked, StripeTime(1));
        (found.active, found.incomplete)
    };
    assert_eq!(ask("price_0000"), (true, true));
    assert_eq!(ask("price_1999"), (false, true));
}

#[test]
fn a_damaged_stored_form_is_refused() {
    let stored = serde_json::to_string(&UserAccess::of(&[live("sub_1", None)])).unwrap();
    let damaged = stored.replace("\"whole\":[0,", "\"whole\":[7,");
    assert_ne!(damaged, stored);
    let error = serde_json::from_str::<UserAccess>(&damaged).unwrap_err();
    assert!(error.to_string().contains("refers to a decision"), "{error}");
}
