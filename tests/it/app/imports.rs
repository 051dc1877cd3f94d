//! Imports into a log that has events: nothing that only a line says is believed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use subledger::simulate::sign;
use subledger::store::payload_hash;

use super::commands::{Ran, ran, run, subledger};
use super::server::{Event, SECRET};

/// Runs an import with the endpoint's secret.
fn import(folder: &Path, file: &str) -> Ran {
    let mut command = subledger(folder, &["import", file]);
    ran(&command.env("STRIPE_WEBHOOK_SECRET", SECRET).output().unwrap())
}

fn verified(folder: &Path) {
    let mut command = subledger(folder, &["verify", "--signatures"]);
    let ran = ran(&command.env("STRIPE_WEBHOOK_SECRET", SECRET).output().unwrap());
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
}

fn body(id: &'static str) -> String {
    Event { id, subscription: id, ..Event::default() }.body()
}

/// The line of an export for this body, with these fields changed.
fn line(body: &str, changes: &Value) -> String {
    let event: Value = serde_json::from_str(body).unwrap_or_default();
    let salt = [7; 16];
    let mut record = json!({
        "position": 1,
        "event_id": event["id"],
        "account": "",
        "livemode": true,
        "type": event["type"],
        "api_version": event["api_version"],
        "created": "2026-02-28T23:00:00Z",
        "received_at": "2026-03-01T00:00:00Z",
        "source": "webhook",
        "signature": null,
        "salt": hex::encode(salt),
        "payload_hash": hex::encode(payload_hash(&salt, body)),
        "payload": body,
    });
    for (key, value) in changes.as_object().unwrap() {
        record[key] = value.clone();
    }
    record.to_string()
}

/// A genuine erasure record, as a line.
fn erasure_of(event: &str) -> String {
    let body = json!({
        "id": format!("erasure_of_{event}"), "object": "event", "created": 1_772_319_600, "livemode": true,
        "type": "subledger.erasure",
        "data": { "object": { "by": "Mallory", "events": [{ "event_id": event, "subjects": [] }] } },
    });
    line(&body.to_string(), &json!({ "source": "subledger" }))
}

/// An erased event, as a line.
fn erased(id: &'static str, changes: &Value) -> String {
    let mut record: Value = serde_json::from_str(&line(&body(id), changes)).unwrap();
    for key in ["salt", "payload"] {
        record.as_object_mut().unwrap().remove(key);
    }
    record["erased"] = true.into();
    record.to_string()
}

fn write(folder: &Path, file: &str, lines: &[String]) {
    std::fs::write(folder.join(file), lines.join("\n") + "\n").unwrap();
}

/// The export's lines as values.
fn export(folder: &Path) -> Vec<Value> {
    let ran = run(folder, &["export"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Signatures of a stranger and of the endpoint, both of long ago.
fn signed(secret: &str, body: &str) -> Value {
    json!({ "signature": sign(secret, 1_700_000_000, body.as_bytes()) })
}

#[test]
fn a_log_that_has_events_believes_a_signature_and_no_line() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    write(folder, "first.json", &[body("evt_0")]);
    assert_eq!(run(folder, &["import", "first.json"]).status, 0);
    let genuine = body("evt_genuine");
    let lines = [
        line(&body("evt_forged"), &signed("whsec_mallory", &body("evt_forged"))),
        line(&genuine, &signed(SECRET, &genuine)),
        line(&body("evt_unsigned"), &json!({})),
        line(&body("evt_api"), &json!({ "source": "api" })),
        erasure_of("evt_0"),
        erased("evt_gone", &json!({})),
        line("not an event", &json!({ "event_id": "evt_odd", "type": "x" })),
        line(&body("evt_last"), &json!({ "source": "import" })),
    ];
    write(folder, "export.jsonl", &lines);
    let ran = import(folder, "export.jsonl");
    assert_eq!(ran.status, 1, "{}", ran.err);
    for said in [
        "export.jsonl:5: a record of Subledger itself can only be restored",
        "export.jsonl:6: an event without payload can only be restored",
        "export.jsonl:7: the body is not JSON",
        "imported 3 events with the source `import`",
        "imported 5 events, skipped 0 that the log already has, 3 invalid records",
    ] {
        assert_eq!(ran.err.matches(said).count(), 1, "{said}: {}", ran.err);
    }
    let logged = export(folder);
    let of = |key: &str| logged.iter().map(|it| it[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("source"), ["import", "import", "webhook", "import", "import", "import"]);
    let signatures: Vec<bool> = of("signature").iter().map(Value::is_null).collect();
    assert_eq!(signatures, [true, true, false, true, true, true], "no bogus header is kept");
    assert!(of("received_at").iter().all(|it| !it.as_str().unwrap().starts_with("2026-03-01")));
    assert!(of("erased").iter().all(Value::is_null), "nothing was erased by a file");
    verified(folder);

    // Once more: all that the log took is known, and what it refused is refused.
    let again = import(folder, "export.jsonl");
    assert!(again.err.contains("imported 0 events, skipped 5 "), "{}", again.err);
    assert!(!again.err.contains("with the source"), "nothing new was imported: {}", again.err);
    assert_eq!(again.status, 1);
    verified(folder);
}

#[test]
fn without_a_secret_no_signature_counts_and_that_is_said_once() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    write(folder, "first.json", &[body("evt_0")]);
    assert_eq!(run(folder, &["import", "first.json"]).status, 0);
    let lines = ["evt_1", "evt_2"].map(|id| line(&body(id), &signed(SECRET, &body(id))));
    write(folder, "export.jsonl", &lines);
    let ran = run(folder, &["import", "export.jsonl"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let said = "imported 2 events with the source `import` instead of that of their line: set \
                STRIPE_WEBHOOK_SECRET to verify their signatures";
    assert_eq!(ran.err.matches(said).count(), 1, "{}", ran.err);
    assert!(export(folder).iter().all(|it| it["source"] == "import"));
    verified(folder);
}

/// A ledger with a redelivery and an erasure, and its export as lines.
fn whole_export() -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    for (file, id) in [("1", "evt_1"), ("2", "evt_2"), ("3", "evt_3"), ("3", "evt_3")] {
        write(folder, file, &[body(id)]);
        assert_eq!(run(folder, &["import", file]).status, 0);
    }
    let erased = run(folder, &["erase", "evt_2", "--by", "Ann", "--yes"]);
    assert_eq!(erased.status, 0, "{}", erased.err);
    run(folder, &["export"]).out.lines().map(str::to_owned).collect()
}

#[test]
fn an_interrupted_restore_goes_on_from_every_line() {
    let lines = whole_export();
    assert_eq!(lines.len(), 4);
    for interrupted in 0..=lines.len() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path();
        write(folder, "part.jsonl", &lines[..interrupted]);
        assert_eq!(run(folder, &["import", "part.jsonl"]).status, 0);
        write(folder, "export.jsonl", &lines);
        let ran = run(folder, &["import", "export.jsonl"]);
        assert_eq!(ran.status, 0, "{interrupted}: {}", ran.err);
        assert_eq!(run(folder, &["export"]).out.lines().collect::<Vec<_>>(), lines);
        verified(folder);
        // And once more there is nothing to do.
        let ran = run(folder, &["import", "export.jsonl"]);
        assert_eq!(ran.status, 0, "{interrupted}: {}", ran.err);
        assert!(ran.err.contains("imported 0 events, skipped 4 "), "{}", ran.err);
        assert_eq!(run(folder, &["export"]).out.lines().collect::<Vec<_>>(), lines);
    }
}

#[test]
fn a_restored_log_takes_nothing_but_the_rest_of_its_own_export_for_a_restore() {
    let lines = whole_export();
    let forged = line(&body("evt_9"), &json!({ "received_at": "2099-01-01T00:00:00Z" }));
    for file in [
        // Lines alone; after some other beginning; and after a beginning that was edited.
        vec![forged.clone(), erasure_of("evt_1")],
        vec![lines[1].clone(), forged.clone(), erasure_of("evt_1")],
        vec![lines[0].replace("import", "webhook"), forged.clone(), erasure_of("evt_1")],
    ] {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path();
        write(folder, "export.jsonl", &lines);
        assert_eq!(run(folder, &["import", "export.jsonl"]).status, 0);
        write(folder, "other.jsonl", &file);
        let ran = run(folder, &["import", "other.jsonl"]);
        assert_eq!(ran.status, 1, "{}", ran.err);
        assert!(ran.err.contains("a record of Subledger itself"), "{}", ran.err);
        let logged = export(folder);
        assert_eq!(logged.len(), 5, "{}", ran.err);
        assert_eq!(logged[4]["source"], "import");
        assert!(!logged[4]["received_at"].as_str().unwrap().starts_with("2099"));
        verified(folder);
    }
}

#[test]
fn an_export_in_parts_is_restored_by_one_command_and_not_by_two() {
    let lines = whole_export();
    for commands in [&[&["a.jsonl", "b.jsonl"][..]][..], &[&["a.jsonl"], &["b.jsonl"]]] {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path();
        write(folder, "a.jsonl", &lines[..1]);
        write(folder, "b.jsonl", &lines[1..]);
        let ran = commands.iter().map(|files| run(folder, &[&["import"], *files].concat()));
        let ran: Vec<Ran> = ran.collect();
        let restored = run(folder, &["export"]).out.lines().eq(lines.iter());
        assert_eq!(
            (restored, ran.last().unwrap().status),
            if ran.len() == 1 { (true, 0) } else { (false, 1) }
        );
        verified(folder);
    }
}

#[test]
fn a_restore_ends_where_another_event_has_come() {
    let lines = whole_export();
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    write(folder, "part.jsonl", &lines[..1]);
    write(folder, "own.json", &[body("evt_own")]);
    for file in ["part.jsonl", "own.json"] {
        assert_eq!(run(folder, &["import", file]).status, 0);
    }
    write(folder, "export.jsonl", &lines);
    let ran = run(folder, &["import", "export.jsonl"]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    assert!(ran.err.contains("export.jsonl:2: an event without payload"), "{}", ran.err);
    assert!(ran.err.contains("export.jsonl:4: a record of Subledger itself"), "{}", ran.err);
    assert_eq!(export(folder).len(), 3);
    verified(folder);
}

/// The first batch of a restore is in the log when another process appends.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_ends_where_another_process_appends_meanwhile() {
    const BATCH: usize = 500;
    let lines: Vec<String> = (0..BATCH + 2)
        .map(|number| {
            let id = format!("evt_{number}");
            let body = body("evt_x").replace("evt_x", &id);
            let at = format!("2026-03-01T00:00:00.{number:06}Z");
            line(&body, &json!({ "received_at": at })) + "\n"
        })
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let store = crate::ledger::open(folder).await;
    let mut command = subledger(folder, &["import", "-"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines[..BATCH].concat().as_bytes()).unwrap();
    input.flush().unwrap();
    while store.log.head().await.unwrap().size.0 < 500 {
        assert!(child.try_wait().unwrap().is_none(), "the import has ended");
        tokio::task::yield_now().await;
    }
    store.log.append(&[crate::ledger::new_event(&body("evt_own"))]).await.unwrap();
    input.write_all(lines[BATCH..].concat().as_bytes()).unwrap();
    drop(input);
    let ran = ran(&child.wait_with_output().unwrap());
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("-:501: the log has other events"), "{}", ran.err);
    assert!(ran.err.contains("imported 2 events with the source `import`"), "{}", ran.err);
    store.close().await;
    let logged = export(folder);
    assert_eq!(logged.len(), BATCH + 3);
    assert_eq!(
        (&logged[499]["source"], &logged[499]["received_at"]),
        (&"webhook".into(), &"2026-03-01T00:00:00.000499Z".into())
    );
    assert!(logged[501..].iter().all(|it| it["source"] == "import"));
}

#[test]
fn an_export_that_is_out_of_order_is_named_where_it_is_and_ends_the_restore() {
    let mut lines = whole_export();
    lines.swap(0, 2);
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    write(folder, "export.jsonl", &lines);
    let ran = run(folder, &["import", "export.jsonl"]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    let said = "export.jsonl:2: the log has other events, or the export is not in order";
    assert_eq!(ran.err.matches("not in order").count(), 1, "{}", ran.err);
    assert!(ran.err.contains(said), "{}", ran.err);
    verified(folder);
}

#[test]
fn one_bad_record_names_its_line_whatever_the_database() {
    let long = "e".repeat(5_000);
    let redelivery = |payload: &str, version: &str| {
        json!({ "redeliveries": [{
            "payload_hash": hex::encode([0; 32]), "api_version": version, "count": 1, "payload": payload,
            "first_received_at": "2026-03-01T00:00:00Z", "last_received_at": "2026-03-01T00:00:00Z",
        }] })
    };
    let cases = [
        (line(&body("evt_1"), &json!({ "signature": "t=1,\0" })), "the signature holds"),
        (erased("evt_1", &json!({ "api_version": "\0" })), "the API version holds"),
        (line("a\0b", &json!({ "event_id": "evt_1", "type": "x" })), "the payload holds"),
        (line(&body("evt_1"), &redelivery("\0", "1")), "the payload of a redelivery holds"),
        (line(&body("evt_1"), &redelivery("{}", "\0")), "the API version of a redelivery holds"),
        (erased("evt_1", &json!({ "event_id": long })), "the event id is longer than"),
        (erased("evt_1", &json!({ "account": long })), "the account is longer than"),
        (erased("evt_1", &json!({ "type": "x\ny" })), "the event type holds a control character"),
        (line(&body("evt_1"), &json!({ "payload_hash": "00" })), "`payload_hash` is not"),
        ("{\"payload_hash\":1}".to_owned(), "not a record of an export"),
    ];
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let mut lines = vec![line(&body("evt_first"), &json!({}))];
    let last = line(&body("evt_last"), &json!({ "received_at": "2026-03-02T00:00:00Z" }));
    lines.extend(cases.iter().map(|(line, _)| line.clone()).chain([last]));
    write(folder, "export.jsonl", &lines);
    let ran = run(folder, &["import", "export.jsonl"]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    for (number, (_, reason)) in (2..).zip(&cases) {
        let said = format!("export.jsonl:{number}: {reason}");
        assert!(ran.err.contains(&said), "{said}\n{}", ran.err);
    }
    assert!(ran.err.contains("imported 2 events, skipped 0 "), "{}", ran.err);
    assert_eq!(export(folder).len(), 2);
}

#[test]
fn a_page_of_other_objects_is_refused_with_one_line() {
    let mut elements = String::new();
    for number in 0..100 {
        let separator = if number == 0 { "" } else { "," };
        write!(elements, "{separator}{{\"id\":\"sub_{number}\",\"object\":\"subscription\"}}")
            .unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let page = format!("{{\"object\":\"list\",\"data\":[{elements}],\"has_more\":false}}");
    std::fs::write(folder.join("page.json"), page).unwrap();
    let ran = run(folder, &["import", "page.json"]);
    assert_eq!(ran.status, 1);
    assert_eq!(ran.err.lines().count(), 2, "the refusal and the sum: {}", ran.err);
    assert!(ran.err.contains("page.json:1: 100 objects such as `subscription` do not say when"));
    assert!(ran.err.contains("1 invalid records"), "{}", ran.err);
}

#[test]
fn objects_of_a_page_are_imported_as_seen_at_a_stated_time_and_never_twice() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let subscription = |id: &str, has_more: bool| {
        json!({
            "id": id, "object": "subscription", "livemode": true, "customer": "cus_1", "status": "active",
            "items": { "object": "list", "data": [], "has_more": has_more },
        })
    };
    let page = json!({
        "object": "list", "has_more": false,
        "data": [subscription("sub_1", true), subscription("sub_2", false)],
    });
    std::fs::write(folder.join("page.json"), page.to_string()).unwrap();
    let import = |seen_at: &str| run(folder, &["import", "page.json", "--seen-at", seen_at]);
    let ran = import("2026-03-01");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("1 subscriptions have more than ten items"), "{}", ran.err);
    assert!(ran.err.contains("imported 2 events, skipped 0 "), "{}", ran.err);
    let again = import("2026-03-01T01:00:00+01:00");
    assert!(again.err.contains("imported 0 events, skipped 2 "), "{}", again.err);
    let later = import("2026-03-02");
    assert!(later.err.contains("imported 2 events, skipped 0 "), "{}", later.err);
    let future = import("2999-01-01");
    assert_eq!(future.status, 2);
    assert!(
        future.err.contains("--seen-at 2999-01-01T00:00:00Z is in the future"),
        "{}",
        future.err
    );
    let logged = export(folder);
    assert_eq!(logged.len(), 4);
    for event in &logged {
        assert_eq!(
            (&event["source"], &event["type"]),
            (&"import".into(), &"subledger.observation.subscription".into())
        );
    }
    assert_eq!(logged[0]["created"], "2026-03-01T00:00:00Z");
    verified(folder);
}
