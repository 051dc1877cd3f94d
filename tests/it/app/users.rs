//! Users from the application's own table: `users import`, and where the links show.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::commands::{Ran, imported, run};
use super::server::Event;

/// Ledger of two subscriptions, of which Stripe names a user of the first only.
fn ledger() -> TempDir {
    let event = |id, subscription, customer: &str, user| {
        let event = Event { id, subscription, user, ..Event::default() }.body();
        let mut event: Value = serde_json::from_str(&event).unwrap();
        event["data"]["object"]["customer"] = Value::from(customer);
        event.to_string()
    };
    imported(&[event("evt_1", "sub_1", "cus_1", "user_1"), event("evt_2", "sub_2", "cus_2", "")])
}

fn import(folder: &Path, csv: &str, more: &[&str]) -> Ran {
    std::fs::write(folder.join("users.csv"), csv).unwrap();
    run(folder, &[&["users", "import", "users.csv", "--by", "Ann"], more].concat())
}

#[track_caller]
fn ok(folder: &Path, arguments: &[&str]) -> Ran {
    let ran = run(folder, arguments);
    assert_eq!(ran.status, 0, "{arguments:?}: {}{}", ran.out, ran.err);
    ran
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&ok(folder, &[arguments, &["--format", "json"]].concat()).out).unwrap()
}

/// User of a subscription, its source, and whether another source disagrees.
fn owner(folder: &Path, subscription: &str) -> (Value, Value, Value) {
    let row = json(folder, &["current", "--subscription", subscription])["data"][0].clone();
    (row["user_id"].clone(), row["user_id_source"].clone(), row["user_id_conflict"].clone())
}

#[test]
fn a_table_of_users_links_what_stripe_does_not_and_shows_everywhere() {
    let directory = ledger();
    let folder = directory.path();
    let without = || json(folder, &["current", "--no-user"])["data"].as_array().unwrap().len();
    assert_eq!(without(), 1);
    let table = "plan,customer_id,user_id\nx,cus_1,41\nx,cus_2,42\n";
    let ran = import(folder, table, &["--reason", "ticket 7"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("linked 2 customers to users, unlinked 0, skipped 0"), "{}", ran.err);
    ok(folder, &["rebuild"]);
    assert_eq!(without(), 0);
    let of_stripe = owner(folder, "sub_1");
    assert_eq!(of_stripe, ("user_1".into(), "subscription.metadata".into(), true.into()));
    assert_eq!(owner(folder, "sub_2"), ("42".into(), "operator".into(), false.into()));

    let told = ok(folder, &["history", "42"]).out;
    let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("linked to user 42 by Ann"), "{told}");
    let told = json(folder, &["history", "cus_2"]);
    let event = told["events"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(event["note"], "linked to user 42 by Ann (import of users, ticket 7)");
    let explained = json(folder, &["explain", "sub_2"]);
    let fields = explained["fields"].as_array().unwrap();
    let user = fields.iter().find(|it| it["field"] == "user_id").unwrap();
    assert_eq!(user["set_by"]["type"], "subledger.user_link");
    assert_eq!(user["set_by"]["path"], "/data/object/user_id");

    // The same once more appends nothing; another user replaces, and an empty one removes.
    let again = import(folder, table, &[]);
    assert!(
        again.err.contains("linked 0 customers to users, unlinked 0, skipped 2"),
        "{}",
        again.err
    );
    let other = import(folder, "user_id,customer_id\n43,cus_2\n", &[]);
    assert!(other.err.contains("linked 1 customers"), "{}", other.err);
    ok(folder, &["rebuild"]);
    assert_eq!(owner(folder, "sub_2").0, "43");
    let removed = import(folder, "user_id,customer_id\n,cus_2\n", &[]);
    assert!(removed.err.contains("linked 0 customers to users, unlinked 1"), "{}", removed.err);
    ok(folder, &["rebuild"]);
    assert_eq!(owner(folder, "sub_2"), (Value::Null, Value::Null, false.into()));
    ok(folder, &["verify"]);
}

#[test]
fn a_link_is_erased_with_its_customer_and_restored_with_its_log() {
    let directory = ledger();
    let folder = directory.path();
    assert_eq!(import(folder, "user_id,customer_id\n42,cus_2\n7,cus_7\n", &[]).status, 0);
    ok(folder, &["rebuild"]);
    let export = ok(folder, &["export"]).out;

    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("export.jsonl"), &export).unwrap();
    ok(other.path(), &["import", "export.jsonl"]);
    ok(other.path(), &["rebuild"]);
    assert_eq!(owner(other.path(), "sub_2").0, "42");
    // Into a ledger that has events, a line proves no link.
    let third = ledger();
    std::fs::write(third.path().join("export.jsonl"), &export).unwrap();
    let ran = run(third.path(), &["import", "export.jsonl"]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    assert!(ran.err.contains("a record of Subledger itself can only be restored"), "{}", ran.err);

    ok(folder, &["erase", "--customer", "cus_2", "--by", "Ann", "--yes"]);
    let left = ok(folder, &["export"]).out;
    assert!(!left.contains(r#"\"user_id\":\"42\""#), "{left}");
    assert!(left.contains(r#"\"user_id\":\"7\""#), "the link of another customer stays: {left}");
    ok(folder, &["verify"]);
}

#[test]
fn a_wrong_table_is_refused_with_its_line_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    for (csv, said) in [
        ("7,cus_1\n", "users.csv: the first line names no column `user_id`"),
        ("user_id;customer_id\n7;cus_1\n", "names no column `user_id`"),
        ("user_id,email\n7,x\n", "names no column `customer_id`"),
        ("user_id,customer_id\n7,cus_1\n8,\n", "users.csv:3: `customer_id` is empty"),
        ("user_id,customer_id\n7,cus_1\n8,cus_1\n", "users.csv:3: the customer has another user"),
        ("user_id,customer_id\ncus_1,7\n", "users.csv:2: `user_id` is the id of a customer"),
        ("user_id,customer_id\n7\n", "users.csv:2: the row has 1 cells, and the header has 2"),
    ] {
        let ran = import(folder, csv, &[]);
        assert_eq!(ran.status, 2, "{csv}: {}", ran.err);
        assert!(ran.err.contains(said), "{csv}: {}", ran.err);
        assert!(ran.err.contains("hint: "), "{csv}: {}", ran.err);
    }
    let ran = run(folder, &["users", "import", "none.csv", "--by", "Ann"]);
    assert_eq!(ran.status, 2, "{}", ran.err);
    assert!(!folder.join("subledger.db").exists());
}
