//! Output of `backfill`: what it plans, what it found, and what it says of a key that does not do.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use subledger::simulate::Plan;
use subledger::simulate::serve::{Key, Options, SimulatedStripe};
use subledger::stripe_api::Permission;
use subledger::time::{DAY_SECONDS, StripeTime};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::app::commands::{Ran, ran, subledger};
use crate::app::snapshots;

/// Key that may read everything.
const READER: &str = "rk_live_reader";
/// Key that may read neither invoices nor prices.
const LACKING: &str = "rk_live_lacking";
/// Days between the end of the simulation and the time of the server, after which no event is listed. So the output
/// does not depend on the current date.
const DAYS_AFTER: i64 = 100;

/// Simulated Stripe on a socket.
struct Served {
    base: String,
    _stop: DropGuard,
}

impl Served {
    async fn start() -> Self {
        let plan = Plan { seed: 5, subscriptions: 14, ..Plan::default() };
        let permissions = || Permission::READ.into_iter().map(|it| it.name);
        let is_lacking = |name: &&str| ["rak_invoice_read", "rak_plan_read"].contains(name);
        let keys = vec![
            Key::restricted(READER, permissions()),
            Key::restricted(LACKING, permissions().filter(|name| !is_lacking(name))),
            Key::full("sk_live_full"),
        ];
        let days = i64::from(plan.months) * 30 + DAYS_AFTER;
        let now = Some(StripeTime(plan.start.0 + days * DAY_SECONDS));
        let stripe = SimulatedStripe::new(&plan, Options { keys, now, ..Options::default() });
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", socket.local_addr().unwrap());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move { stripe.serve(socket, stopped).await });
        Self { base, _stop: stop.drop_guard() }
    }

    async fn backfill(&self, folder: &Path, key: &str, arguments: &[&str]) -> Ran {
        // Invoices of all ages.
        let all = ["backfill", "--rate", "0", "--since", "2020-01-01T00:00:00Z"];
        let mut command = subledger(folder, &[&all, arguments].concat());
        command.envs([("STRIPE_API_BASE", &*self.base), ("STRIPE_API_KEY", key)]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        ran(&output)
    }
}

/// Text without durations and ids of requests.
fn without_chance(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.split(" (request req_").next().unwrap();
        match line.rsplit_once(", ") {
            Some((rest, seconds)) if seconds.ends_with(" s") => format!("{rest}, … s\n"),
            _ => format!("{line}\n"),
        }
    });
    lines.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_it_would_read_what_it_read_and_what_was_new() {
    let served = Served::start().await;
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let backfill = async |arguments: &'static [&'static str]| {
        let ran = served.backfill(folder, READER, arguments).await;
        assert_eq!(ran.status, 0, "{}", ran.err);
        format!("{}\n{}", ran.out, without_chance(&ran.err))
    };
    let planned = backfill(&["--dry-run"]).await;
    assert!(std::fs::read_dir(folder).unwrap().next().is_none(), "a dry run opens no ledger");
    let first = backfill(&[]).await;
    let second = backfill(&["--format", "csv"]).await;
    snapshots().bind(|| {
        insta::assert_snapshot!("backfill_dry_run", planned);
        insta::assert_snapshot!("backfill", first);
        insta::assert_snapshot!("backfill_again", second);
    });
    for shown in [planned, first] {
        assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    }
    let json = served.backfill(folder, READER, &["--format", "json"]).await.out;
    let rows: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert!(rows.iter().all(|row| row["seen"] == row["confirmed"] && row["appended"] == 0));
    let planned = served.backfill(folder, READER, &["--dry-run", "--format", "json"]).await.out;
    let planned: Vec<Value> = serde_json::from_str(&planned).unwrap();
    assert_eq!(planned[0]["step"], "events");
}

#[tokio::test(flavor = "multi_thread")]
async fn connected_accounts_have_a_column_of_their_own() {
    let served = Served::start().await;
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--dry-run", "--account", "all"];
    let ran = served.backfill(directory.path(), "sk_live_full", &arguments).await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.starts_with("ACCOUNT "), "{}", ran.out);
    assert!(ran.out.contains("\nown ") && ran.out.contains("\nacct_1Sim"), "{}", ran.out);
    assert!(ran.err.starts_with("warning: the API key may do everything"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_that_ends_early_says_why_and_what_stays() {
    let served = Served::start().await;
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--account", "acct_unknown"];
    let ran = served.backfill(directory.path(), "sk_live_full", &arguments).await;
    let told: Vec<_> = ran.err.lines().skip(1).collect();
    let [stays, error, hint] = told.as_slice() else { panic!("{}", ran.err) };
    assert_eq!((ran.status, &*ran.out), (2, ""));
    assert!(stays.contains("`subledger backfill` goes on from here"), "{stays}");
    assert!(error.contains("no access to the account acct_unknown"), "{error}");
    assert!(hint.starts_with("hint: connect the account"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_do_is_refused_with_a_reason_before_anything_is_read() {
    let served = Served::start().await;
    let directory = tempfile::tempdir().unwrap();
    let mut told = String::new();
    for key in ["", "pk_live_1", "rk_test_1", "rk_live_unknown", LACKING] {
        let ran = served.backfill(directory.path(), key, &[]).await;
        assert_eq!((ran.status, &*ran.out), (2, ""), "{}", ran.err);
        writeln!(told, "{}", without_chance(&ran.err)).unwrap();
    }
    assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none());
    snapshots().bind(|| insta::assert_snapshot!("backfill_refused_keys", told));
}
