//! A ledger that version 0.1.0 left: opened, brought up to date, and as provable as it was.
//!
//! The folder `0.1.0` holds what that version wrote, on either database. None of it is ever edited: what was
//! signed then must hold with every later version.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use subledger::audit;
use subledger::projection::FOLD_VERSION;
use subledger::proof::{Checkpoint, VerifierKey};

use crate::app::commands::{Ran, ran, run, subledger};
use crate::app::server::{Event, SECRET, TestServer, options};
use crate::raw;

/// Secret of the endpoint of that ledger.
const SECRET_THEN: &str = "whsec_upgrade_fixture_0123456789";

/// A file that version 0.1.0 left.
pub(crate) fn left(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/upgrade/0.1.0").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(left(name)).unwrap()
}

fn values(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The checkpoints that were signed before and after an erasure.
fn checkpoints() -> [Checkpoint; 2] {
    let key: VerifierKey = text("verifier.txt").trim().parse().unwrap();
    ["checkpoint-before.txt", "checkpoint-after.txt"]
        .map(|name| Checkpoint::open(&text(name), &key).unwrap())
}

fn verify(folder: &Path) -> Ran {
    let [before, after] = ["checkpoint-before.txt", "checkpoint-after.txt"].map(left);
    let mut command = subledger(folder, &["verify", "--signatures", "--format", "json"]);
    command.arg("--checkpoint").arg(before).arg("--checkpoint").arg(after);
    command.args(["--key", text("verifier.txt").trim()]);
    let secrets = format!("{SECRET_THEN},{SECRET}");
    ran(&command.env("STRIPE_WEBHOOK_SECRET", secrets).output().unwrap())
}

/// Every key of an old line, with the value that it had.
fn assert_kept(old: &[Value], new: &[Value]) {
    assert!(new.len() >= old.len(), "{} lines of {}", new.len(), old.len());
    for (old, new) in old.iter().zip(new) {
        for (key, value) in old.as_object().unwrap() {
            assert_eq!(&new[key], value, "{key} of {}", old["event_id"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_0_1_0_opens_is_folded_by_itself_and_keeps_its_proofs() {
    let directory = tempfile::tempdir().unwrap();
    raw::lay_out_0_1_0(directory.path());
    let options = options(directory.path());
    let server = TestServer::run(directory, options).await;
    server.caught_up().await;

    let live = server.store().read_model.live().await.unwrap().unwrap();
    assert_eq!((live.logic.fold_version, live.position.0), (FOLD_VERSION, 215));
    let id = |row: &Value| row["subscription_id"].as_str().unwrap().to_owned();
    let ids: BTreeSet<String> = values(&text("current.jsonl")).iter().map(id).collect();
    let rows = crate::ledger::rows(server.store()).await;
    // The rows that were written are those of the platform's own account.
    let own = rows.iter().filter(|row| row.account.as_str().is_empty());
    assert_eq!(own.map(|row| row.subscription_id.to_string()).collect::<BTreeSet<_>>(), ids);

    let log = &server.store().log;
    for checkpoint in checkpoints() {
        let now = audit::checkpoint_at(log, checkpoint.size).await.unwrap();
        assert_eq!(now, Some(checkpoint), "at {} events", checkpoint.size);
    }
    // It is a ledger like any other: it takes events, and what was signed stays its beginning.
    assert_eq!(server.receive(Event::default().body()).await["position"], 216);
    let directory = server.stop().await;
    let folder = directory.path();

    let verified = verify(folder);
    assert_eq!(verified.status, 0, "{}{}", verified.out, verified.err);
    let report: Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!((&report["events"], &report["ids"]), (&216.into(), &216.into()));
    assert_eq!(report["checkpoints"], 2);
    assert_eq!(report["rows"], rows.len() + 1);

    assert_kept(&values(&text("export.jsonl")), &values(&run(folder, &["export"]).out));
    let old: Value = serde_json::from_str(&text("record.json")).unwrap();
    let new = run(folder, &["event", old["event_id"].as_str().unwrap()]).out;
    assert_kept(&[old], &[serde_json::from_str(&new).unwrap()]);
}

mod run_once {
    use super::*;

    #[test]
    fn a_proof_of_0_1_0_checks() {
        let folder = tempfile::tempdir().unwrap();
        let check = |files: &[&str]| {
            let mut command = subledger(folder.path(), &["log", "check"]);
            command
                .args(["--key", text("verifier.txt").trim()])
                .args(files.iter().map(|it| left(it)));
            ran(&command.output().unwrap())
        };
        let checked = check(&["proof.txt", "record.json"]);
        assert_eq!((checked.status, &*checked.err), (0, ""));
        let proven = "evt_1vpu8FK2SimLedgrt4cTc4ba is event 41 of a log of 214 events";
        assert!(checked.out.contains(proven), "{}", checked.out);
        // The checkpoint in the proof is the one that was signed before the erasure.
        assert_eq!(check(&["proof.txt", "record.json", "checkpoint-before.txt"]).status, 0);
    }
}

/// The export of 0.1.0 is restored to the log that was signed.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_0_1_0_is_restored_to_the_same_root() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let imported = run(folder, &["import", left("export.jsonl").to_str().unwrap()]);
    assert_eq!(imported.status, 0, "{}", imported.err);
    assert!(imported.err.contains("imported 215 events"), "{}", imported.err);
    let store = crate::ledger::open(folder).await;
    let head = store.log.head().await.unwrap();
    store.close().await;
    assert_eq!(head.root, checkpoints()[1].root);
    let verified = verify(folder);
    assert_eq!(verified.status, 0, "{}{}", verified.out, verified.err);
    assert_kept(&values(&text("export.jsonl")), &values(&run(folder, &["export"]).out));
}
