//! Webhook endpoints.

use super::*;

const FORM: &str = "url=https%3A%2F%2Fshop.example%2Fwebhook&enabled_events[]=invoice.paid&\
                    enabled_events[]=customer.deleted&api_version=2026-09-30.endive&\
                    metadata[made_by]=test&description=Ledger";

fn stripe() -> SimulatedStripe {
    SimulatedStripe::new(&Plan { subscriptions: 1, ..plan() }, Options::default())
}

#[tokio::test]
async fn the_secret_of_an_endpoint_is_only_in_the_answer_to_its_creation() {
    let stripe = stripe();
    let client = live(&stripe);
    let created = client.post("/v1/webhook_endpoints", FORM).await;
    assert_eq!(created.status, 200);
    assert!(created.body["secret"].as_str().unwrap().starts_with("whsec_"));
    let listed = client.walk("/v1/webhook_endpoints", 10).await;
    let mut expected = created.body.clone();
    expected.as_object_mut().unwrap().remove("secret");
    assert_eq!(listed, [expected]);
    assert_eq!(listed[0]["metadata"]["made_by"], "test");
    assert_eq!(
        listed[0]["enabled_events"],
        serde_json::json!(["invoice.paid", "customer.deleted"])
    );
    assert!(test(&stripe).walk("/v1/webhook_endpoints", 10).await.is_empty());
    let id = listed[0]["id"].as_str().unwrap();
    stripe.set_endpoint_enabled(id, false);
    let one = client.get(&format!("/v1/webhook_endpoints/{id}")).await;
    assert_eq!(one.body["status"], "disabled");
}

#[tokio::test]
async fn a_repeated_idempotency_key_creates_nothing() {
    let stripe = stripe();
    let client = live(&stripe);
    let post = async || {
        let request = client.request("POST", "/v1/webhook_endpoints");
        let request = request.header("idempotency-key", "key-1").body(Body::from(FORM)).unwrap();
        client.send(request).await.unwrap().body
    };
    assert_eq!(post().await, post().await);
    assert_eq!(client.walk("/v1/webhook_endpoints", 10).await.len(), 1);
}

#[tokio::test]
async fn a_wrong_form_is_refused() {
    let stripe = stripe();
    for (form, code) in [
        ("", "parameter_missing"),
        ("url=https%3A%2F%2Fshop.example", "parameter_missing"),
        ("url=http%3A%2F%2Fshop.example&enabled_events[]=*", "url_invalid"),
        ("url=https%3A%2F%2Fshop.example&enabled_events[]=*&colour=red", "parameter_unknown"),
    ] {
        let refused = live(&stripe).post("/v1/webhook_endpoints", form).await;
        assert_eq!((refused.status, refused.error("code")), (400, code));
    }
}
