//! Pages of lists, and lists inside objects.

use std::borrow::Cow;

use serde_json::json;
use subledger::ids::AccountId;
use subledger::stripe_api::ApiError;

use super::super::fake::{Answer, FakeStripe};

fn page(ids: &[&str], has_more: bool) -> Answer {
    let data: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
    Answer::new(200, json!({ "object": "list", "data": data, "has_more": has_more }).to_string())
}

#[tokio::test]
async fn pages_are_read_by_the_id_of_the_last_object() {
    let fake = FakeStripe::start([page(&["a", "b"], true), page(&["c"], false)]).await;
    let client = fake.client();
    let first = client.list_page("/v1/events", &[("type", "x")], None, None).await.unwrap();
    assert_eq!((first.has_more, first.last_id.as_deref()), (true, Some("b")));
    let second =
        client.list_page("/v1/events", &[("type", "x")], first.last_id.as_deref(), None).await;
    let second = second.unwrap();
    assert_eq!((second.has_more, second.objects[0].get()), (false, r#"{"id":"c"}"#));
    let urls = ["/v1/events?type=x&limit=100", "/v1/events?type=x&limit=100&starting_after=b"];
    assert_eq!(fake.urls(), urls);
    assert_eq!(second.request.url, urls[1]);
}

#[tokio::test]
async fn what_is_no_list_is_an_error() {
    let fake = FakeStripe::start([Answer::new(200, "{}"), page(&["a"], true)]).await;
    let client = fake.client();
    for after in [None, Some("a")] {
        let error = client.list_page("/v1/events", &[], after, None).await.unwrap_err();
        assert!(matches!(error, ApiError::NotAList { .. }), "{error}");
    }
}

#[tokio::test]
async fn lists_inside_objects_are_completed_and_the_other_bytes_stay() {
    let subscription = r#"{ "object":"subscription","id":"sub_1","items":{"data":[{"id":"si_1"}],"has_more":true}}"#;
    let invoice = r#"{"id":"in_1","object":"invoice","lines":{"has_more":true,"data":[]},"x":1.0}"#;
    let fake = FakeStripe::start([
        page(&["si_2"], true),
        page(&["si_3"], false),
        page(&["il_1", "il_2"], false),
    ])
    .await;
    let (client, account) = (fake.client(), AccountId::new("acct_1"));
    assert_eq!(
        client.complete(subscription, Some(&account)).await.unwrap(),
        r#"{ "object":"subscription","id":"sub_1","items":{"data":[{"id":"si_1"},{"id":"si_2"},{"id":"si_3"}],"has_more":false}}"#
    );
    assert_eq!(
        client.complete(invoice, None).await.unwrap(),
        r#"{"id":"in_1","object":"invoice","lines":{"has_more":false,"data":[{"id":"il_1"},{"id":"il_2"}]},"x":1.0}"#
    );
    assert_eq!(
        fake.urls(),
        [
            "/v1/subscription_items?subscription=sub_1&limit=100&starting_after=si_1",
            "/v1/subscription_items?subscription=sub_1&limit=100&starting_after=si_2",
            "/v1/invoices/in_1/lines?limit=100",
        ]
    );
    let accounts: Vec<_> =
        fake.arrived().iter().map(|it| it.header("stripe-account").map(str::to_owned)).collect();
    assert_eq!(accounts, [Some("acct_1".to_owned()), Some("acct_1".to_owned()), None]);
}

#[tokio::test]
async fn a_whole_object_is_returned_without_a_request() {
    let client = FakeStripe::start([]).await.client();
    for object in [
        r#"{"id":"sub_1","object":"subscription","items":{"data":[],"has_more":false}}"#,
        r#"{"id":"sub_1","object":"subscription"}"#,
        r#"{"id":"cus_1","object":"customer","items":{"data":[],"has_more":true}}"#,
        "no JSON",
    ] {
        assert!(matches!(client.complete(object, None).await.unwrap(), Cow::Borrowed(_)));
    }
}
