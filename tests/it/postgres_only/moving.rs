//! From files to a server and back: the same log, to the byte and the root.

use std::path::Path;

use crate::app::commands::{ran, run, subledger};

/// Runs a command on the ledger in files that is in this folder.
fn in_files(folder: &Path, arguments: &[&str]) -> String {
    let ran = ran(&subledger(folder, arguments).env_remove("DATABASE_URL").output().unwrap());
    assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
    ran.out
}

/// Runs a command on the ledger that a server keeps for this folder.
fn on_the_server(folder: &Path, arguments: &[&str]) -> String {
    let ran = run(folder, arguments);
    assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
    ran.out
}

#[test]
fn a_log_that_moves_is_the_same_log_there_and_back_again() {
    let (here, back) = (crate::folder_on_postgres(), tempfile::tempdir().unwrap());
    let path = here.path();
    let simulate = ["simulate", "--subscriptions", "20", "--shuffle", "--duplicates", "0.2"];
    in_files(path, &[&simulate[..], &["--out", "made.jsonl"]].concat());
    in_files(path, &["import", "made.jsonl"]);
    // What no text of PostgreSQL's can hold stands in a body as an escape.
    let odd = r#"{"id":"evt_odd","object":"event","type":"customer.updated","created":7,"livemode":true,
        "data":{"object":{"id":"cus_odd","object":"customer","name":"a\u0000b","metadata":{"k":"\u0000"}}}}"#;
    std::fs::write(path.join("odd.json"), odd).unwrap();
    in_files(path, &["import", "odd.json"]);
    in_files(path, &["import", "odd.json"]);
    let export = in_files(path, &["export"]);
    assert!(export.contains("\\\\u0000"), "the escape is kept as it came");
    std::fs::write(path.join("export.jsonl"), &export).unwrap();

    on_the_server(path, &["import", "export.jsonl"]);
    assert_eq!(on_the_server(path, &["export"]), export);
    std::fs::write(back.path().join("export.jsonl"), on_the_server(path, &["export"])).unwrap();
    in_files(back.path(), &["import", "export.jsonl"]);
    assert_eq!(in_files(back.path(), &["export"]), export);

    for command in [in_files, on_the_server] {
        command(path, &["rebuild"]);
    }
    let verified = |told: String| {
        let report: serde_json::Value = serde_json::from_str(&told).unwrap();
        (report["events"].clone(), report["root"].clone(), report["rows"].clone())
    };
    let verify = ["verify", "--format", "json"];
    assert_eq!(verified(in_files(path, &verify)), verified(on_the_server(path, &verify)));
    let rows = ["current", "--format", "json"];
    assert_eq!(in_files(path, &rows), on_the_server(path, &rows), "and the rows are the same");
    let history = ["history", "cus_odd", "--format", "json"];
    assert_eq!(in_files(path, &history), on_the_server(path, &history));
}
