//! Limits and faults.

use std::time::Duration;

use super::*;

fn with(faults: Faults, passage: Passage) -> SimulatedStripe {
    let plan = Plan { subscriptions: 20, ..plan() };
    SimulatedStripe::new(&plan, Options { passage, faults, ..Options::default() })
}

#[tokio::test]
async fn one_request_too_many_in_a_second_is_429_with_its_reason() {
    let faults = Faults { requests_per_second: Some(3), ..Faults::default() };
    let stripe = with(faults, Passage::PerRequest(200_000));
    let client = live(&stripe);
    let mut statuses = Vec::new();
    let mut reasons = Vec::new();
    for _ in 0..10 {
        let answer = client.get("/v1/customers?limit=1").await;
        statuses.push(answer.status);
        reasons.push(answer.header("stripe-rate-limited-reason").to_owned());
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429, 200, 200, 200, 429, 429]);
    assert!(reasons.iter().all(|it| it.is_empty() || it == "global-rate"));
    let other_mode = test(&stripe).get("/v1/customers").await;
    assert_eq!(other_mode.status, 200, "each mode has its own limit");
}

#[tokio::test]
async fn an_endpoint_has_a_limit_of_its_own() {
    let faults = Faults { endpoint_requests_per_second: Some(1), ..Faults::default() };
    let stripe = with(faults, Passage::Still);
    let client = live(&stripe);
    assert_eq!(client.get("/v1/customers").await.status, 200);
    assert_eq!(client.get("/v1/invoices").await.status, 200);
    let refused = client.get("/v1/customers").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("stripe-rate-limited-reason"), "endpoint-rate");
    stripe.set_now(StripeTime(stripe.now().0 + 1));
    assert_eq!(client.get("/v1/customers").await.status, 200);
}

#[tokio::test]
async fn one_request_too_many_at_a_time_is_429_with_its_reason() {
    let faults = Faults { concurrent_requests: Some(1), ..Faults::default() };
    let stripe = with(faults.clone(), Passage::Still);
    let client = live(&stripe);
    let entered = stripe.0.limits.enter(&faults, &mut faults.dice(0)).unwrap();
    let refused = client.get("/v1/customers").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("stripe-rate-limited-reason"), "global-concurrency");
    drop(entered);
    assert_eq!(client.get("/v1/customers").await.status, 200);
}

#[tokio::test]
async fn faults_follow_from_the_seed_and_the_number_of_the_request() {
    let faults = Faults {
        refusals: 0.1,
        server_errors: 0.2,
        conflicts: 0.1,
        cuts: 0.2,
        delays: 0.5,
        delay: Duration::ZERO,
        ..Faults::default()
    };
    let run = async |seed| {
        let stripe = with(Faults { seed, ..faults.clone() }, Passage::Still);
        let client = live(&stripe);
        let mut answers = Vec::new();
        for _ in 0..200 {
            let request = client.request("GET", "/v1/prices").body(Body::empty()).unwrap();
            let answer = client.send(request).await;
            answers.push(answer.map(|it| (it.status, format!("{:?}", it.headers), it.body)));
        }
        (answers, stripe.take_requests())
    };
    let (first, seen) = run(1).await;
    let (again, seen_again) = run(1).await;
    assert!(first == again && seen == seen_again);
    assert_ne!(run(2).await.1, seen);
    let statuses: std::collections::BTreeSet<u16> = seen.iter().map(|it| it.status).collect();
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [200, 409, 429, 500, 502, 503]);
    let cut = first.iter().filter(|it| it.is_none()).count();
    assert!((20..60).contains(&cut), "{cut}");
    assert_eq!(cut, seen.iter().filter(|it| it.is_cut).count());
    let headers = |text: &str| first.iter().flatten().filter(|it| it.1.contains(text)).count();
    assert!(headers("stripe-should-retry") > 10 && headers("retry-after") > 1);
}

#[tokio::test]
async fn every_answer_has_the_headers_of_stripe() {
    let client = live(world());
    for url in ["/v1/customers", "/v1/customers/cus_1", "/v1/nothing"] {
        let answer = client.get(url).await;
        assert!(answer.header("request-id").starts_with("req_"));
        assert_eq!(answer.header("stripe-version"), "2026-09-30.endive");
        let date = chrono::DateTime::parse_from_rfc2822(answer.header("date")).unwrap();
        assert_eq!(date.timestamp(), world().now().0);
    }
}
