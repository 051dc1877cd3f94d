//! Keys, modes, accounts and permissions.

use super::*;

const NARROW: &str = "rk_test_narrow000000000001";
const PUBLIC: &str = "pk_test_public000000000001";

fn stripe() -> SimulatedStripe {
    let mut options = Options::default();
    options.keys.push(Key::restricted(NARROW, ["rak_event_read", "rak_webhook_write"]));
    options.keys.push(Key::full(PUBLIC));
    SimulatedStripe::new(&Plan { subscriptions: 40, ..plan() }, options)
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_401() {
    let stripe = stripe();
    let wrong = Client { key: "sk_test_unknown12345678", ..test(&stripe) };
    let refused = wrong.get("/v1/events").await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.error("message"), "Invalid API Key provided: sk_test_***********5678");
    let bare = Request::builder().uri("/v1/events").body(Body::empty()).unwrap();
    let refused = wrong.send(bare).await.unwrap();
    assert_eq!(refused.status, 401);
    assert!(refused.error("message").starts_with("You did not provide an API key."));
    let basic = Request::builder()
        .uri("/v1/events")
        .header("authorization", "Basic c2tfdGVzdF9zaW11bGF0ZWQ6")
        .body(Body::empty());
    assert_eq!(wrong.send(basic.unwrap()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_missing_permission_is_403_and_named() {
    let stripe = stripe();
    let narrow = Client { key: NARROW, ..test(&stripe) };
    assert_eq!(narrow.get("/v1/events").await.status, 200);
    assert_eq!(narrow.get("/v1/webhook_endpoints").await.status, 200, "to write is to read");
    for (url, permission) in [
        ("/v1/subscriptions", "rak_subscription_read"),
        ("/v1/subscription_items?subscription=sub_1", "rak_subscription_read"),
        ("/v1/customers/cus_1", "rak_customer_read"),
        ("/v1/invoices", "rak_invoice_read"),
        ("/v1/checkout/sessions", "rak_checkout_session_read"),
        ("/v1/products", "rak_product_read"),
        ("/v1/prices", "rak_plan_read"),
        ("/v1/entitlements/active_entitlements", "rak_entitlement_read"),
        ("/v1/accounts", CONNECT_PERMISSION),
    ] {
        let refused = narrow.get(url).await;
        assert_eq!(refused.status, 403);
        assert_eq!(
            refused.error("message"),
            format!(
                "The provided key 'rk_test_**************0001' does not have the required permissions for this \
                 endpoint on account '{PLATFORM_ACCOUNT}'. Having the '{permission}' permission would allow this \
                 request to continue."
            )
        );
    }
    let public = Client { key: PUBLIC, ..test(&stripe) };
    let refused = public.get("/v1/events").await;
    assert_eq!((refused.status, refused.error("code")), (403, "secret_key_required"));
}

#[tokio::test]
async fn a_key_sees_the_objects_of_its_mode_and_of_the_account_named() {
    for client in Client::all(world()) {
        let livemode = client.key == LIVE_KEY;
        let counts = world().counts(client.account, livemode);
        let customers = client.walk("/v1/customers", 100).await;
        assert!(customers.iter().all(|it| it["livemode"] == livemode));
        assert!(customers.len() <= counts.customers);
        for event in client.walk("/v1/events", 100).await {
            assert_eq!(event["livemode"], livemode);
            assert_eq!(event["account"].as_str().unwrap_or_default(), client.account);
        }
    }
    let accounts = live(world()).walk("/v1/accounts", 1).await;
    let mut known: Vec<&str> = world().connected_accounts().collect();
    known.reverse();
    assert_eq!(ids(&accounts), known);
    let unknown = Client { account: "acct_unknown", ..live(world()) };
    let refused = unknown.get("/v1/customers").await;
    assert_eq!((refused.status, refused.error("code")), (403, "account_invalid"));
}

#[tokio::test]
async fn what_does_not_exist_is_404() {
    let client = live(world());
    let unknown = client.get("/v1/unicorns").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.error("message").starts_with("Unrecognized request URL (GET: /v1/unicorns)."));
    for noun in ["subscriptions", "customers", "invoices", "events", "products", "prices"] {
        let missing = client.get(&format!("/v1/{noun}/x_1")).await;
        assert_eq!((missing.status, missing.error("code")), (404, "resource_missing"));
    }
}
