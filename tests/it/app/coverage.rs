//! Coverage as people and applications see it: unknown users, the gaps, health and metrics.

use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use subledger::config::UnknownUser;
use subledger::coverage::{CoveredBy, MissedDeliveries, Span};
use subledger::ids::Scope;
use subledger::store::Store;
use subledger::time::{ReceivedAt, StripeTime};

use super::commands::{import, run};
use super::server::{Event, NOW, TestServer, json_of, options};
use super::snapshots;
use crate::ledger::open;

fn at(text: &str) -> StripeTime {
    StripeTime::parse(text).unwrap()
}

pub(super) fn own(livemode: bool) -> Scope {
    Scope { livemode, ..Scope::default() }
}

async fn record(store: &Store, scope: &Scope, from: StripeTime, to: &str, by: CoveredBy) {
    let span = Span { from, to: at(to), by };
    store.log.record_coverage(scope, span, None).await.unwrap();
}

pub(super) async fn backfilled(store: &Store, scope: &Scope, to: &str) {
    record(store, scope, Span::BEGINNING, to, CoveredBy::Backfill).await;
}

/// Reads until the answer is as expected. The server may have read the coverage a second ago.
pub(super) async fn until(
    server: &TestServer,
    path: &str,
    is_expected: impl Fn(&Value) -> bool,
) -> Value {
    let reading = async {
        loop {
            let answer = json_of(server.get(path).await).await;
            if is_expected(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), reading).await.expect(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_subscriptions_is_unknown_until_a_backfill_has_read_the_account() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    for path in
        ["/v1/users/user_1", "/v1/users/user_1?price_id=other", "/v1/customers/cus_of_user_1"]
    {
        assert_eq!(server.read(path).await["known"], true, "{path}");
    }
    let path = "/v1/users/nobody";
    for path in [path, "/v1/users/nobody?price_id=price_1", "/v1/users/user_1?livemode=false"] {
        let answer = server.read(path).await;
        assert_eq!((&answer["known"], &answer["active"]), (&false.into(), &false.into()), "{path}");
    }
    // Neither another mode nor another account tells anything about the own one in live mode.
    backfilled(server.store(), &own(false), NOW).await;
    let connected = Scope { account: "acct_1".into(), livemode: true };
    backfilled(server.store(), &connected, NOW).await;
    // A sync reads only what has changed since.
    record(server.store(), &own(true), at("2026-02-01T00:00:00Z"), NOW, CoveredBy::Sync).await;
    until(&server, "/v1/users/nobody?livemode=false", |it| it["known"] == true).await;
    assert_eq!(server.read("/v1/users/nobody?account=acct_1").await["known"], true);
    assert_eq!(server.read(path).await["known"], false);
    backfilled(server.store(), &own(true), NOW).await;
    let answer = until(&server, path, |it| it["known"] == true).await;
    assert_eq!(answer["active"], false);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn if_so_configured_an_unknown_user_is_no_answer_but_a_problem() {
    let server = TestServer::with(|options| options.unknown = UnknownUser::Unavailable).await;
    server.receive(Event::default().body()).await;
    assert_eq!(server.read("/v1/users/user_1").await["active"], true);
    for path in ["/v1/users/nobody", "/v1/customers/cus_nobody", "/v1/users/user_1?livemode=false"]
    {
        let response = server.get(path).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        let problem = json_of(response).await;
        assert_eq!(problem["type"], "not-covered", "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("`subledger backfill"), "{detail}");
        assert_eq!(detail.contains("--mode test"), path.contains("livemode"), "{detail}");
    }
    backfilled(server.store(), &own(true), NOW).await;
    let answer = until(&server, "/v1/users/nobody", |it| it["known"] == true).await;
    assert_eq!(answer["active"], false);
    assert_eq!(server.get("/v1/customers/cus_nobody").await.status(), StatusCode::NOT_FOUND);
    let other = server.get("/v1/users/nobody?livemode=false").await;
    assert_eq!(other.status(), StatusCode::SERVICE_UNAVAILABLE);
    server.stop().await;
}

/// Records a backfill, an outage of two months, missed deliveries, an error and two endpoints. Nothing depends on the
/// current date.
async fn record_all(store: &Store) {
    let live = own(true);
    backfilled(store, &live, "2025-10-01T08:00:00Z").await;
    let to = "2025-11-03T12:00:00Z";
    record(store, &live, at("2025-10-01T08:00:00Z"), to, CoveredBy::Sync).await;
    let last = Span {
        from: at("2026-01-05T10:30:00Z"),
        to: at("2099-01-01T00:00:00Z"),
        by: CoveredBy::Sync,
    };
    for days in 0..12 {
        let from = at("2026-01-06T09:00:00Z").plus_days(days);
        let run = MissedDeliveries { from, to: StripeTime(from.0 + 3_600), events: 1_200 };
        store.log.record_coverage(&live, last, Some(run)).await.unwrap();
    }
    let synced = ReceivedAt::parse("2026-02-28T23:55:00Z").unwrap();
    store.log.record_sync(&live, synced).await.unwrap();
    store.log.record_sync_error(&live, "Stripe's API does not answer").await.unwrap();
    let endpoints = r#"[{"id":"we_1","url":"https://ledger.example/api/stripe/webhook/","status":"enabled"},
        {"id":"we_2","url":"https://old.example/","status":"disabled"},
        {"id":"we_3","url":"https://few.example/","status":"enabled","enabled_events_missing":["invoice.paid"]}]"#;
    store.log.record_endpoints(&live, endpoints).await.unwrap();
    let connected = Scope { account: "acct_1".into(), livemode: true };
    record(store, &connected, at("2026-02-01T00:00:00Z"), "2099-01-01T00:00:00Z", CoveredBy::Sync)
        .await;
}

/// Ledger in a folder with these records.
async fn prepare(folder: &Path) {
    let store = open(folder).await;
    record_all(&store).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_lists_what_is_complete_what_is_not_and_what_was_missed() {
    let directory = tempfile::tempdir().unwrap();
    prepare(directory.path()).await;
    let options = options(directory.path());
    let server = TestServer::run(directory, options).await;
    let answer = server.read("/v1/coverage").await;
    let own = &answer["data"][0];
    let (begun, ended) = ("2025-11-03T12:00:00Z", "2026-01-05T10:30:00Z");
    assert_eq!((&own["account"], &own["mode"]), (&json!(""), &json!("live")));
    assert_eq!(
        own["complete"],
        json!([
            { "from": null, "to": "2025-10-01T08:00:00Z", "by": "backfill" },
            { "from": "2025-10-01T08:00:00Z", "to": begun, "by": "sync" },
            { "from": ended, "to": "2099-01-01T00:00:00Z", "by": "sync" },
        ])
    );
    let gap = json!({ "from": begun, "to": ended, "reason": "older_than_listed" });
    assert_eq!(own["gaps"], json!([gap]));
    assert_eq!(own["missed"]["events"], 14_400);
    assert_eq!(own["missed"]["runs"].as_array().unwrap().len(), 12);
    let run =
        json!({ "from": "2026-01-06T09:00:00Z", "to": "2026-01-06T10:00:00Z", "events": 1_200 });
    assert_eq!(own["missed"]["runs"][0], run);
    assert_eq!(own["synced_at"], "2026-02-28T23:55:00.000000Z");
    assert_eq!(own["error"], "Stripe's API does not answer");
    assert_eq!(own["endpoints"][1]["status"], "disabled");
    let connected = &answer["data"][1];
    let gap = json!({ "from": null, "to": "2026-02-01T00:00:00Z", "reason": "never_backfilled" });
    assert_eq!((&connected["account"], &connected["gaps"]), (&json!("acct_1"), &json!([gap])));
    let without = server.client.get(format!("{}/v1/coverage", server.url)).send().await.unwrap();
    assert_eq!(without.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(server.get("/v1/coverage?livemode=x").await.status(), StatusCode::BAD_REQUEST);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_a_reason_of_health_and_takes_no_instance_out_of_service() {
    let directory = tempfile::tempdir().unwrap();
    prepare(directory.path()).await;
    let options = options(directory.path());
    let server = TestServer::run(directory, options).await;
    let health = until(&server, "/healthz", |it| it["status"] == "degraded").await;
    let reason = "the ledger is not known to be complete: 2 gaps, the first from the beginning on; a backfill is \
                  needed, and `subledger coverage` lists what is missing";
    assert_eq!(health["reasons"], json!([reason]));
    server.caught_up().await;
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status(), StatusCode::OK);
    assert_eq!(json_of(ready).await["notes"], json!([reason]));
    for (series, expected) in [
        (r#"subledger_coverage_gaps{account="own",mode="live"}"#, 1.0),
        (r#"subledger_coverage_gaps{account="all",mode="live"}"#, 2.0),
        (r#"subledger_coverage_gaps{account="all",mode="test"}"#, 0.0),
        (r#"subledger_coverage_complete_to_seconds{account="own",mode="live"}"#, 4_070_908_800.0),
        (r#"subledger_events_never_delivered{account="own",mode="live"}"#, 14_400.0),
    ] {
        assert!((server.metric(series).await - expected).abs() < 0.1, "{series}");
    }
    let series = r#"subledger_coverage_complete_to_seconds{account="own",mode="test"}"#;
    assert!(server.metric(series).await.is_nan());
    assert!(server.metric("subledger_seconds_since_last_event").await >= 0.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_was_never_backfilled_says_so_and_is_healthy() {
    let server = TestServer::start().await;
    let has_note = |it: &Value| it["notes"].to_string().contains("backfilled");
    until(&server, "/readyz", has_note).await;
    server.caught_up().await;
    let ready = server.read("/readyz").await;
    let note = "never backfilled: the ledger may not know every user; run `subledger backfill`";
    assert_eq!(ready["notes"], json!([note]));
    assert_eq!(server.read("/healthz").await["status"], "ok");
    // After a sync, the time before it is a gap, which is named once.
    record(server.store(), &own(true), at("2026-02-01T00:00:00Z"), NOW, CoveredBy::Sync).await;
    let synced = async {
        loop {
            // A question about an unknown user reads the coverage.
            server.read("/v1/users/nobody").await;
            let health = server.read("/healthz").await;
            if health["status"] == "degraded" {
                return health;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let health = tokio::time::timeout(Duration::from_mins(1), synced).await.unwrap();
    assert_eq!(server.read("/readyz").await["notes"], health["reasons"]);
    server.stop().await;
}

/// Output with the current time left out.
fn without_now(text: &str) -> String {
    let year = |line: &str| line.find(" 20").filter(|_| line.starts_with("gap"));
    let lines = text.lines().map(|line| match year(line) {
        Some(start) => {
            format!("{} <now>{}\n", &line[..start], &line[start + " 2026-03-01 00:00".len()..])
        }
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn the_command_says_what_to_do_and_its_status_is_the_answer() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    import(folder, &[Event { status: "canceled", ..Event::default() }.body()]);
    let coverage = |arguments: &[&str]| run(folder, &[&["coverage"], arguments].concat());
    let never = coverage(&[]);
    assert_eq!(never.status, 1, "{}", never.err);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(prepare(folder));
    let holed = coverage(&[]);
    assert_eq!(holed.status, 1, "{}", holed.err);
    let test = coverage(&["--mode", "test"]);
    assert_eq!(test.status, 1, "{}", test.err);
    let json = coverage(&["--format", "json"]);
    assert_eq!(json.status, 1);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["data"][0]["gaps"][0]["reason"], "older_than_listed");
    runtime.block_on(async {
        let store = open(folder).await;
        backfilled(&store, &own(true), "2026-02-01T00:00:00Z").await;
        store.close().await;
    });
    let complete = coverage(&[]);
    assert_eq!(complete.status, 0, "{}", complete.err);
    for shown in [&never, &holed, &test, &complete] {
        assert!(shown.out.lines().all(|line| line.chars().count() <= 100), "{}", shown.out);
    }
    snapshots().bind(|| {
        insta::assert_snapshot!(
            "coverage_never",
            without_now(&format!("{}{}", never.out, never.err))
        );
        insta::assert_snapshot!("coverage_gaps", format!("{}{}", holed.out, holed.err));
        insta::assert_snapshot!("coverage_complete", format!("{}{}", complete.out, complete.err));
    });
}

#[test]
fn a_command_that_finds_nobody_says_that_the_account_was_never_backfilled() {
    let directory = super::commands::imported(&[Event::default().body()]);
    let folder = directory.path();
    std::fs::write(folder.join("old.csv"), "user_id,active\nnobody,true\n").unwrap();
    let commands: [(&[&str], i32); 3] = [
        (&["current", "--user", "nobody"], 0),
        (&["history", "nobody"], 1),
        (&["compare", "old.csv"], 1),
    ];
    let note = "no backfill has read this account";
    for (arguments, status) in commands {
        let ran = run(folder, arguments);
        assert_eq!((ran.status, ran.err.contains(note)), (status, true), "{}", ran.err);
    }
    assert!(!run(folder, &["current", "--user", "user_1"]).err.contains(note));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(folder).await;
        backfilled(&store, &own(true), NOW).await;
        store.close().await;
    });
    for (arguments, _) in commands {
        assert!(!run(folder, arguments).err.contains(note), "{arguments:?}");
    }
}
