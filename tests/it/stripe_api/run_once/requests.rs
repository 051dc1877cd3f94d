//! Requests as they arrive, and answers as they are returned.

use subledger::ids::AccountId;
use subledger::stripe_api::{API_VERSION, ApiError, NewEndpoint};

use super::super::fake::{Answer, FakeStripe, KEY};

#[tokio::test]
async fn a_request_pins_the_version_and_its_answer_is_returned_byte_by_byte() {
    let body = "{ \"object\":\"list\",\n\"data\":[ ] ,\"ä\":1.50}";
    let fake = FakeStripe::start([Answer::new(200, body)]).await;
    let query = [("created[gte]", "5"), ("type", "customer.*")];
    let account = AccountId::new("acct_1");
    let answer = fake.client().get("/v1/events", &query, Some(&account)).await.unwrap();
    assert_eq!(answer.body, body);
    let [arrived] = &*fake.arrived() else { panic!("one request") };
    assert_eq!(arrived.uri.to_string(), "/v1/events?created%5Bgte%5D=5&type=customer.*");
    assert_eq!(arrived.header("authorization"), Some(&*format!("Bearer {KEY}")));
    assert_eq!(arrived.header("stripe-version"), Some(API_VERSION));
    assert_eq!(arrived.header("stripe-account"), Some("acct_1"));
    let request = answer.request;
    assert_eq!((&*request.method, request.url), ("GET", arrived.uri.to_string()));
    assert_eq!(request.request_id.as_deref(), Some("req_1"));
    assert_eq!(request.stripe_version.as_deref(), Some(API_VERSION));
    assert_eq!(request.date.0, 1_790_812_810);
    assert!(request.seconds > 0.0);
}

#[tokio::test]
async fn the_own_account_is_not_named() {
    let fake = FakeStripe::start([Answer::new(200, "{}"), Answer::new(200, "{}")]).await;
    let client = fake.client();
    client.get("/v1/events", &[], None).await.unwrap();
    client.get("/v1/events", &[], Some(&AccountId::default())).await.unwrap();
    assert!(fake.arrived().iter().all(|it| it.header("stripe-account").is_none()));
    assert_eq!(fake.urls(), ["/v1/events"; 2]);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = FakeStripe::start([]).await;
    let fake = FakeStripe::start([Answer::new(307, "").with("location", &elsewhere.url)]).await;
    let error = fake.client().get("/v1/events", &[], None).await.unwrap_err();
    assert_eq!(error, ApiError::Redirected { path: "/v1/events".to_owned(), status: 307 });
    assert!(elsewhere.arrived().is_empty());
}

#[tokio::test]
async fn an_endpoint_is_created_with_one_idempotency_key_for_all_attempts() {
    let created = r#"{"id":"we_1","secret":"whsec_1"}"#;
    let fake = FakeStripe::start([Answer::new(500, ""), Answer::new(200, created)]).await;
    let new = NewEndpoint {
        url: "https://example.com/hook?a=b",
        event_types: &["customer.created", "invoice.paid"],
        is_connect: true,
        description: Some("Subledger"),
        metadata: &[("subledger", "1")],
    };
    let endpoint = fake.client().create_endpoint(&new, "key_1").await.unwrap();
    assert_eq!(endpoint.id, "we_1");
    assert!(!format!("{endpoint:?}").contains("whsec_1"));
    let arrived = fake.arrived();
    assert_eq!(arrived.len(), 2);
    for request in arrived {
        assert_eq!(
            (request.method.as_str(), request.uri.path()),
            ("POST", "/v1/webhook_endpoints")
        );
        assert_eq!(request.header("idempotency-key"), Some("key_1"));
        assert_eq!(
            request.body,
            "url=https%3A%2F%2Fexample.com%2Fhook%3Fa%3Db&api_version=2026-09-30.endive&connect=true\
             &description=Subledger&enabled_events%5B%5D=customer.created&enabled_events%5B%5D=invoice.paid\
             &metadata%5Bsubledger%5D=1"
        );
    }
}

#[tokio::test]
async fn debugging_a_client_shows_no_key() {
    let client = FakeStripe::start([]).await.client();
    assert!(!format!("{client:?}").contains(KEY));
}
