//! `compare`: the answers of another program beside those of the ledger.

use std::path::Path;

use serde_json::{Value, json};

use super::commands::{Ran, imported, run};
use super::server::Event;

fn compare(folder: &Path, csv: &str, more: &[&str]) -> Ran {
    std::fs::write(folder.join("old.csv"), csv).unwrap();
    run(folder, &[&["compare", "old.csv"], more].concat())
}

/// Ledger of a user with access, for a hundred years, and of one without.
fn ledger() -> tempfile::TempDir {
    let event = |id, subscription, customer: &str, user, status| {
        let event = Event { id, subscription, user, status, ..Event::default() }.body();
        let mut event: Value = serde_json::from_str(&event).unwrap();
        let object = &mut event["data"]["object"];
        object["customer"] = Value::from(customer);
        object["items"]["data"][0]["current_period_end"] = json!(4_900_000_000_i64);
        event.to_string()
    };
    imported(&[
        event("evt_1", "sub_1", "cus_1", "paying", "active"),
        event("evt_2", "sub_2", "cus_2", "former", "canceled"),
    ])
}

#[test]
fn users_whose_answers_differ_are_listed_with_our_reason() {
    let directory = ledger();
    let folder = directory.path();
    let equal = compare(folder, "active,user_id\nyes,paying\n0,former\nf,stranger\n", &[]);
    assert_eq!((equal.status, &*equal.out), (0, ""), "{}", equal.err);
    let sum = "compared 3 users: 0 differ, 3 agree; 1 are unknown to the ledger";
    assert!(equal.err.contains(sum), "{}", equal.err);

    let file = "user_id,active,plan\npaying,false,x\nformer,TRUE,x\nstranger,t,x\n";
    let ran = compare(folder, file, &["--format", "json"]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&found["compared"], &found["different"], &found["unknown"]),
        (&3.into(), &3.into(), &1.into())
    );
    let of = |user: &str| {
        let rows = found["data"].as_array().unwrap();
        rows.iter().find(|it| it["user_id"] == user).unwrap().clone()
    };
    let paying = of("paying");
    assert_eq!((&paying["active"], &paying["status"]), (&true.into(), &"active".into()));
    assert_eq!(paying["subscription_id"], "sub_1");
    assert!(paying["reason"].as_str().unwrap().starts_with("the policy grants access until 2"));
    let former = of("former");
    assert_eq!((&former["active_in_file"], &former["active"]), (&true.into(), &false.into()));
    assert_eq!(former["status"], "canceled");
    assert_eq!(of("stranger")["status"], "unknown");

    let table = compare(folder, file, &[]);
    assert_eq!(table.out.lines().filter(|it| it.contains("active")).count(), 3, "{}", table.out);
    let csv = compare(folder, file, &["--format", "csv"]);
    assert!(
        csv.out.starts_with("user_id,customer_id,active_in_file,active,status,"),
        "{}",
        csv.out
    );
    assert_eq!((csv.status, csv.out.lines().count()), (1, 4));
}

#[test]
fn customers_may_stand_in_place_of_users() {
    let directory = ledger();
    let ran =
        compare(directory.path(), "customer_id,active\ncus_1,1\ncus_2,1\n", &["--format", "jsonl"]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    let row: Value = serde_json::from_str(ran.out.trim()).unwrap();
    assert_eq!((&row["customer_id"], &row["active"]), (&"cus_2".into(), &false.into()));
    assert!(ran.err.contains("compared 2 customers: 1 differ, 1 agree"), "{}", ran.err);
}

#[test]
fn a_wrong_file_has_a_status_of_its_own() {
    let directory = ledger();
    for (csv, said) in [
        ("id,active\n1,true\n", "names no column `user_id`"),
        ("user_id\n1\n", "names no column `active`"),
        ("user_id,active\n1,maybe\n", "old.csv:2: `active` is neither true nor false"),
        ("user_id,active\n,true\n", "old.csv:2: `user_id` is empty"),
        ("user_id,active\n1,true\n1,false\n", "old.csv:3: this `user_id` has another answer"),
    ] {
        let ran = compare(directory.path(), csv, &[]);
        assert_eq!(ran.status, 2, "{csv}: {}", ran.err);
        assert!(ran.err.contains(said), "{csv}: {}", ran.err);
    }
}
