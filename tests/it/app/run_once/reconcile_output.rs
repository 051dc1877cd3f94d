//! Output of `reconcile`: what differs, what healing changes, and the exit status.

use serde_json::Value;
use subledger::simulate::serve::{LIVE_KEY, Options, SimulatedStripe};
use subledger::simulate::{Plan, simulate};
use subledger::time::StripeTime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::commands::{Ran, ran, subledger};
use crate::ledger::{append, open};

/// Beginning of the simulation: 1 January 2024, so that nothing of it is in the future.
const START: StripeTime = StripeTime(1_704_067_200);

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_differs_and_why_and_heals_it() {
    let plan = Plan { seed: 5, subscriptions: 40, start: START, ..Plan::default() };
    let stripe = SimulatedStripe::new(&plan, Options::default());
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", socket.local_addr().unwrap());
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move { stripe.serve(socket, stopped).await });
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let events = simulate(&plan).events;
    append(&store, &events[..events.len() / 2]).await;
    store.close().await;
    let folder = directory.path();
    let reconcile = async |arguments: &'static [&'static str]| -> Ran {
        let all = ["reconcile", "--rate", "0", "--settle", "0"];
        let mut command = subledger(folder, &[&all, arguments].concat());
        command.envs([("STRIPE_API_BASE", &*base), ("STRIPE_API_KEY", LIVE_KEY)]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        ran(&output)
    };
    let shown = reconcile(&["--limit", "1000"]).await;
    assert_eq!(shown.status, 1, "{}{}", shown.out, shown.err);
    assert!(shown.out.starts_with("own account, live mode: "), "{}", shown.out);
    for part in ["\nDIFFERENCE ", "\nunknown_here ", " in the ledger, "] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    assert!(shown.out.lines().all(|line| line.chars().count() <= 100), "{}", shown.out);
    assert!(shown.err.contains("hint: `subledger reconcile --apply`"), "{}", shown.err);
    assert!(!shown.out.contains('@'), "{}", shown.out);

    let json = reconcile(&["--format", "json"]).await;
    let json: Value = json.out.parse().unwrap();
    let report = &json["data"][0];
    let differences = report["differences"].as_array().unwrap();
    assert_eq!(report["differing"], differences.len());
    let csv = reconcile(&["--format", "csv"]).await;
    assert!(csv.out.starts_with("account,livemode,subscription_id,customer_id,user_id,class,"));
    let fields: usize = differences.iter().map(|it| it["fields"].as_array().unwrap().len()).sum();
    assert_eq!(csv.out.lines().count(), fields + 1);

    let healed = reconcile(&["--apply"]).await;
    assert_eq!(healed.status, 0, "{}{}", healed.out, healed.err);
    assert!(healed.out.contains("none stays."), "{}", healed.out);
    let again = reconcile(&["--apply"]).await;
    assert_eq!(again.status, 0, "{}{}", again.out, again.err);
    assert!(again.out.contains(" agree with Stripe."), "{}", again.out);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_a_ledger_and_a_missing_key_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let output = subledger(directory.path(), &["reconcile"]).output().unwrap();
    assert_eq!(ran(&output).status, 2, "{}", ran(&output).err);
}
