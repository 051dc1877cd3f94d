//! The client and the simulated API together.

use std::time::Duration;

use subledger::ids::AccountId;
use subledger::simulate::Plan;
use subledger::simulate::serve::{Faults, LIVE_KEY, Options, SimulatedStripe};
use subledger::stripe_api::{ApiClient, ApiKey, ClientOptions, RetryPolicy};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Lists that are read, with their filters.
const LISTS: [(&str, &[(&str, &str)]); 4] = [
    ("/v1/subscriptions", &[("status", "all")]),
    ("/v1/invoices", &[]),
    ("/v1/customers", &[]),
    ("/v1/events", &[]),
];

/// All objects of the lists, each with the whole of the lists inside it.
async fn read_all(client: &ApiClient, account: Option<&AccountId>) -> Vec<String> {
    let mut all = Vec::new();
    for (path, query) in LISTS {
        let mut after = None;
        loop {
            let page = client.list_page(path, query, after.as_deref(), account).await.unwrap();
            for object in &page.objects {
                all.push(client.complete(object.get(), account).await.unwrap().into_owned());
            }
            if !page.has_more {
                break;
            }
            after = page.last_id;
        }
    }
    all
}

#[tokio::test]
async fn the_client_reads_the_same_objects_through_faults_and_without() {
    let plan = Plan { subscriptions: 60, months: 4, wide_percent: 30, ..Plan::default() };
    let stripe = SimulatedStripe::new(&plan, Options::default());
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", socket.local_addr().unwrap()).parse().unwrap();
    let stop = CancellationToken::new();
    let (server, token) = (stripe.clone(), stop.clone());
    let served = tokio::spawn(async move { server.serve(socket, token).await });
    let retry = RetryPolicy {
        attempts_max: 30,
        delay_min: Duration::from_micros(1),
        delay_max: Duration::from_micros(1),
        retry_after_max: Duration::from_micros(1),
    };
    let options =
        ClientOptions { base, requests_per_second: None, retry, ..ClientOptions::default() };
    let client = ApiClient::new(ApiKey::parse(LIVE_KEY).unwrap(), options).unwrap();
    let account = AccountId::from(stripe.connected_accounts().next().unwrap());
    for account in [None, Some(&account)] {
        stripe.set_faults(Faults::default());
        let calm = read_all(&client, account).await;
        let counts = stripe.counts(account.map_or("", AccountId::as_str), true);
        assert!(counts.subscriptions > 0 && counts.invoices > 0 && calm.len() > counts.invoices);
        let faults = Faults {
            refusals: 0.2,
            server_errors: 0.2,
            conflicts: 0.1,
            cuts: 0.2,
            ..Faults::default()
        };
        stripe.set_faults(faults);
        assert!(read_all(&client, account).await == calm, "the same bytes");
    }
    let seen = stripe.take_requests();
    assert!(seen.iter().any(|it| it.is_cut) && seen.iter().any(|it| it.status == 429));
    assert!(seen.iter().any(|it| it.url.starts_with("/v1/subscription_items?subscription=")));
    assert!(seen.iter().any(|it| it.url.contains("/lines?")));
    stop.cancel();
    served.await.unwrap().unwrap();
}
