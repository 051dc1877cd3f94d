//! Access of a user or a customer, computed over all of their subscriptions.

use subledger::projection::column::Value;
use subledger::projection::row::{ItemRow, SubscriptionRow};
use subledger::store::{
    AccessAnswer, AccessHolder, AccessKey, AccessQuestion, FoldBatch, Grant, ItemFilter, Store,
    SubscriptionFilter, SubscriptionKey,
};
use subledger::time::StripeTime;

use super::read_model::{fold, live, made, row, scope, text};

const NOW: StripeTime = StripeTime(1_700_000_000);

fn item(price: &str, product: &str, lookup_key: Option<&str>) -> ItemRow {
    ItemRow {
        price_id: Some(price.to_owned()),
        product_id: Some(product.to_owned()),
        lookup_key: lookup_key.map(str::to_owned),
        ..ItemRow::default()
    }
}

fn items(items: &[ItemRow]) -> Value {
    Value::Json(serde_json::to_string(items).unwrap())
}

fn until(seconds: i64) -> Value {
    Value::Instant(StripeTime(NOW.0 + seconds))
}

/// A row of the user `user_1`.
fn of_user(id: &str, entitled: bool, until: Value, given: &[(&str, Value)]) -> Vec<Value> {
    let own = [
        ("user_id", text("user_1")),
        ("entitled", Value::Bool(entitled)),
        ("entitled_until", until),
        ("items_truncated", Value::Bool(false)),
    ];
    row(id, &[given, &own[..]].concat())
}

fn of(item: ItemFilter) -> AccessQuestion {
    AccessQuestion { scope: scope(), holder: AccessHolder::User("user_1".to_owned()), item }
}

async fn ask(store: &Store, question: &AccessQuestion) -> AccessAnswer {
    store.read_model.access(question, None, 100).await.unwrap().1
}

/// Every filter by none, one, two or three of these properties.
fn filters() -> Vec<ItemFilter> {
    let some = |values: &[&str]| -> Vec<Option<String>> {
        std::iter::once(None).chain(values.iter().map(|it| Some((*it).to_owned()))).collect()
    };
    let mut filters = Vec::new();
    for price_id in some(&["price_1", "price_2", "price_9"]) {
        for product_id in some(&["prod_1", "prod_2"]) {
            for lookup_key in some(&["pro", "it's \"Zoë\"\\"]) {
                let (price_id, product_id) = (price_id.clone(), product_id.clone());
                filters.push(ItemFilter { price_id, product_id, lookup_key });
            }
        }
    }
    filters
}

#[tokio::test]
async fn the_answer_about_access_is_what_the_rows_say_one_by_one_at_every_instant() {
    let one = item("price_1", "prod_1", Some("pro"));
    let two = item("price_2", "prod_2", Some("it's \"Zoë\"\\"));
    let batch = FoldBatch {
        rows: made(vec![
            of_user("sub_1", true, until(0), &[("items", items(&[one.clone(), two.clone()]))]),
            of_user("sub_2", true, until(60), &[("items", items(&[two.clone(), one.clone()]))]),
            of_user("sub_3", false, Value::Null, &[("items", items(std::slice::from_ref(&two)))]),
            of_user("sub_4", false, until(3_600), &[("items", items(std::slice::from_ref(&one)))]),
            of_user("sub_5", true, until(-60), &[("items", items(&[]))]),
            of_user(
                "sub_6",
                true,
                Value::Null,
                &[("items", items(&[item("price_1", "prod_2", None)]))],
            ),
            row("sub_7", &[("user_id", text("user_2")), ("items", items(&[one]))]),
        ]),
        ..FoldBatch::default()
    };
    let (ledger, _) = live(&batch).await;
    let everything = SubscriptionFilter::default();
    let (_, rows) = ledger.store.read_model.subscriptions(&everything, None, 100).await.unwrap();
    let of_this_user: Vec<_> =
        rows.into_iter().filter(|row| row.user_id.as_deref() == Some("user_1")).collect();
    assert_eq!(of_this_user.len(), 6);
    let mut active = 0;
    for filter in filters() {
        let answer = ask(&ledger.store, &of(filter.clone())).await;
        let matching: Vec<&SubscriptionRow> =
            of_this_user.iter().filter(|row| filter.matches(row)).collect();
        for seconds in [-3_600, -61, -60, -1, 0, 1, 59, 60, 61, 3_600, 1 << 32] {
            let now = StripeTime(NOW.0 + seconds);
            let expected = matching.iter().any(|row| row.active_at(now));
            assert_eq!(answer.grant.is_active_at(now), expected, "{filter:?} at {seconds}");
            active += usize::from(expected);
        }
        let mut listed: Vec<_> = matching.iter().map(|row| (!row.entitled, *row)).collect();
        listed.sort_by(|a, b| (a.0, &a.1.subscription_id).cmp(&(b.0, &b.1.subscription_id)));
        let listed: Vec<_> = listed.into_iter().map(|(_, row)| row.clone()).collect();
        assert_eq!(answer.rows, listed, "{filter:?}");
        // The list by the same filter finds the same ones.
        let user_id = Some("user_1".to_owned());
        let by_list = SubscriptionFilter { user_id, item: filter, ..everything.clone() };
        let (_, found) = ledger.store.read_model.subscriptions(&by_list, None, 100).await.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), matching);
    }
    assert!(active > 20, "the cases are not all alike: {active}");
}

#[tokio::test]
async fn a_list_by_an_item_goes_by_what_the_rows_have_now_and_comes_in_pages() {
    let of_price = |number: usize, price: &str| {
        let first = item("price_metered", "prod_1", None);
        let given = [("items", items(&[first, item(price, "prod_2", None)]))];
        of_user(&format!("sub_{number:02}"), number.is_multiple_of(2), Value::Null, &given)
    };
    let rows = (0..17).map(|number| of_price(number, "price_base")).collect();
    let (ledger, lease) = live(&FoldBatch { rows: made(rows), ..FoldBatch::default() }).await;
    // Three have another price since then.
    let rows = [2, 3, 16].map(|number| of_price(number, "price_new")).to_vec();
    assert!(
        fold(&ledger.store, &lease, 6, &FoldBatch { rows: made(rows), ..FoldBatch::default() })
            .await
    );
    let ids = async |price: &str, active: Option<bool>| {
        let item = ItemFilter { price_id: Some(price.to_owned()), ..ItemFilter::default() };
        let filter = SubscriptionFilter {
            account: Some(scope().account),
            livemode: Some(true),
            active: active.map(|active| (active, NOW)),
            item,
            ..SubscriptionFilter::default()
        };
        let mut after = None;
        let mut seen = Vec::new();
        loop {
            let read = &ledger.store.read_model;
            let (_, rows) = read.subscriptions(&filter, after.as_ref(), 4).await.unwrap();
            let Some(last) = rows.last() else { break };
            after = Some(SubscriptionKey::from_row(last));
            seen.extend(
                rows.iter().map(|row| row.subscription_id.as_str()[4..].parse::<usize>().unwrap()),
            );
        }
        let mut pages =
            ledger.store.read_model.subscription_pages(filter, None, usize::MAX).await.unwrap();
        assert_eq!(pages.next().await.unwrap().len(), seen.len());
        seen
    };
    let old: Vec<usize> = (0..16).filter(|number| ![2, 3].contains(number)).collect();
    let even: Vec<_> = old.iter().copied().filter(|number| number.is_multiple_of(2)).collect();
    assert_eq!(ids("price_base", None).await, old);
    assert_eq!(ids("price_base", Some(true)).await, even);
    assert_eq!(ids("price_new", None).await, [2, 3, 16]);
    assert_eq!(ids("price_metered", None).await, (0..17).collect::<Vec<_>>());
    assert_eq!(ids("price_of_nobody", None).await, [0; 0]);
}

#[tokio::test]
async fn items_that_were_cut_short_make_the_answer_incomplete_only_where_they_may_decide() {
    let cut = |id, given: &[(&str, Value)]| {
        let cut = [("items_truncated", Value::Bool(true))];
        of_user(id, true, Value::Null, &[&cut[..], given].concat())
    };
    let known = items(&[item("price_1", "prod_1", None)]);
    let batch =
        FoldBatch { rows: made(vec![cut("sub_1", &[("items", known)])]), ..FoldBatch::default() };
    let (ledger, _) = live(&batch).await;
    for (price, grant, incomplete) in [
        (None, Grant::Endless, false),
        (Some("price_1"), Grant::Endless, false),
        (Some("price_2"), Grant::None, true),
    ] {
        let item = ItemFilter { price_id: price.map(str::to_owned), ..ItemFilter::default() };
        let answer = ask(&ledger.store, &of(item)).await;
        assert_eq!((answer.grant, answer.incomplete), (grant, incomplete), "{price:?}");
        assert_eq!(answer.rows.len(), 1, "{price:?}");
    }
}

#[tokio::test]
async fn pages_of_a_holder_follow_one_another_without_gap_or_overlap() {
    let rows = (0..23).map(|number| {
        let entitled = number % 3 == 0;
        of_user(&format!("sub_{number:02}"), entitled, Value::Null, &[])
    });
    let (ledger, _) = live(&FoldBatch { rows: made(rows.collect()), ..FoldBatch::default() }).await;
    let customer = AccessHolder::Customer("cus_1".into());
    for holder in [AccessHolder::User("user_1".to_owned()), customer] {
        let question = AccessQuestion { holder, ..of(ItemFilter::default()) };
        let mut after = None;
        let mut seen = Vec::new();
        loop {
            let (_, answer) =
                ledger.store.read_model.access(&question, after.as_ref(), 4).await.unwrap();
            assert_eq!(answer.grant, Grant::Endless, "every page has the whole answer");
            let Some(last) = answer.rows.last() else { break };
            after = Some(AccessKey::from_row(last));
            seen.extend(answer.rows.iter().map(|row| row.subscription_id.to_string()));
        }
        let id = |number| format!("sub_{number:02}");
        let (first, then): (Vec<_>, Vec<_>) = (0..23).partition(|number| number % 3 == 0);
        assert_eq!(seen, first.into_iter().chain(then).map(id).collect::<Vec<_>>());
    }
}
