//! The read model.

use serde_json::Value;
use subledger::projection::Logic;
use subledger::simulate::{self, Plan};
use subledger::store::SubscriptionFilter;

use super::{assert_says, json_lines, written};
use crate::app::commands::run;
use crate::ledger::{append, folded, follow_to_the_end, open, rebuild, rows, strict};

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_of_one_generation_and_position_whatever_happens_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let made = simulate::simulate(&Plan { seed: 7, subscriptions: 30, ..Plan::default() });
    let (before, meanwhile) = made.events.split_at(made.events.len() / 2);
    append(&store, before).await;
    follow_to_the_end(&store, &Logic::default()).await;
    let expected = rows(&store).await;
    let end = store.log.head().await.unwrap().size;

    let filter = SubscriptionFilter::default();
    let mut pages = store.read_model.subscription_pages(filter, None, 4).await.unwrap();
    let stamp = pages.stamp;
    assert_eq!(stamp.position, end);
    let mut read = pages.next().await.unwrap();
    assert_eq!(read.len(), 4);

    // More is folded, and another generation by other rules takes its place.
    append(&store, meanwhile).await;
    follow_to_the_end(&store, &Logic::default()).await;
    let rebuilt = rebuild(&store, &strict()).await;
    assert_ne!(rebuilt.generation, stamp.generation);
    assert_ne!(rows(&store).await, expected);

    loop {
        let page = pages.next().await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 4);
        read.extend(page);
    }
    pages.end().await.unwrap();
    assert_eq!(read, expected);
    store.close().await;
}

#[test]
fn the_read_model_is_exported_line_by_line_and_goes_on_after_any_subscription() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    written(folder, &["simulate", "--subscriptions", "20", "--months", "6", "--out", "made.jsonl"]);
    written(folder, &["import", "made.jsonl"]);
    written(folder, &["rebuild"]);
    let current = |arguments: &[&str]| written(folder, &[&["current"], arguments].concat());
    let json: Value = serde_json::from_str(&current(&["--format", "json"])).unwrap();
    let lines = current(&["--format", "jsonl"]);
    let rows = json_lines(&lines);
    assert!(rows.len() > 5);
    assert_eq!(rows, *json["data"].as_array().unwrap());
    let csv = current(&["--format", "csv"]);
    assert_says(&csv, &rows);
    for (at, row) in rows.iter().enumerate() {
        let after = row["subscription_id"].as_str().unwrap();
        let rest = current(&["--format", "jsonl", "--after", after]);
        assert_eq!(json_lines(&rest), rows[at + 1..]);
        assert!(csv.ends_with(&current(&["--format", "csv", "--after", after])));
    }
    let active = json_lines(&current(&["--format", "jsonl", "--active"]));
    assert!(active.iter().all(|row| row["active"] == true) && active.len() < rows.len());
}

/// Every row of a read model, by the description of its table.
#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_each_read_model_are_those_of_the_view() {
    let simulation = simulate::simulate(&Plan { seed: 5, subscriptions: 30, ..Plan::default() });
    let folder = folded(&simulation.events.iter().map(|it| &it.body).collect::<Vec<_>>()).await;
    let folder = folder.path();
    let users = json_lines(&written(folder, &["projections", "export", "user_access"]));
    assert!(users.len() > 5 && users.iter().all(|it| it["user_id"].is_string()));
    let by_key =
        |it: &Value| (it["account"].to_string(), it["livemode"] == true, it["user_id"].to_string());
    assert!(users.is_sorted_by_key(by_key), "in the order of the key");
    let csv =
        written(folder, &["projections", "export", "user_access", "--format", "csv", "--raw"]);
    assert_says(&csv, &users);
    let subscriptions =
        json_lines(&written(folder, &["projections", "export", "current_subscriptions"]));
    let live: Vec<&Value> = subscriptions.iter().filter(|it| it["livemode"] == true).collect();
    let shown = json_lines(&written(folder, &["current", "--format", "jsonl"]));
    let status = |all: &[&Value]| -> std::collections::BTreeMap<String, String> {
        let pair = |it: &&Value| (it["subscription_id"].to_string(), it["status"].to_string());
        all.iter().filter(|it| it["account"] == "").map(pair).collect()
    };
    assert_eq!(status(&live), status(&shown.iter().collect::<Vec<_>>()));
    let unknown = run(folder, &["projections", "export", "nothing"]);
    assert_eq!(unknown.status, 2);
    assert!(unknown.err.contains("user_access"), "{}", unknown.err);
}
