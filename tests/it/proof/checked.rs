//! `log check`: what holds, and what does not hold any more once a byte is another.

use std::path::Path;

use super::commands::Office;
use crate::app::commands::run;

const IDS: [&str; 7] = ["evt_1", "evt_2", "evt_3", "evt_4", "evt_5", "evt_6", "evt_7"];

fn replace(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn every_event_is_proven_by_its_record_alone() {
    let office = Office::with(&IDS);
    let export = office.write("export.jsonl", &["export"]);
    for (number, (id, line)) in (1..).zip(IDS.into_iter().zip(export.lines())) {
        office.write("proof", &["log", "prove", id]);
        std::fs::write(office.path().join("record"), line).unwrap();
        let checked = office.check(&["proof", "record"]);
        assert_eq!((checked.status, &*checked.err), (0, ""), "{id}");
        assert_eq!(checked.out, format!("proof: {id} is event {number} of a log of 7 events\n"));
        // What the command shows of it does as well; it has no payload, which would repeat the API version.
        office.write("shown", &["event", id]);
        let checked = office.check(&["shown", "proof"]);
        assert_eq!((checked.status, &*checked.err), (0, ""), "{id}");
        assert_eq!(
            checked.out,
            format!(
                "proof: {id} is event {number} of a log of 7 events\n\
                 shown:1: no proof covers api_version\n"
            )
        );
    }
    // With all of the proofs the whole export is proven, and with all but one it is not.
    let proofs: Vec<String> = IDS.iter().map(|id| format!("proof_of_{id}")).collect();
    for (id, proof) in IDS.iter().zip(&proofs) {
        office.write(proof, &["log", "prove", id]);
    }
    let mut files: Vec<&str> = proofs.iter().map(String::as_str).chain(["export.jsonl"]).collect();
    assert_eq!(office.check(&files).status, 0);
    files.remove(4);
    let checked = office.check(&files);
    assert_eq!((checked.status, &*checked.out), (1, ""));
    assert!(checked.err.contains("no proof for the record at export.jsonl:5"), "{}", checked.err);
}

/// A true record lends nothing to what is beside it.
#[test]
fn a_forged_record_behind_a_true_one_is_refused() {
    let office = Office::with(&IDS);
    let proof = office.write("proof", &["log", "prove", "evt_3"]);
    assert!(proof.contains("index 2"), "{proof}");
    let shown = office.write("shown", &["event", "evt_3"]);
    let export = office.write("export", &["export", "--after", "2"]);
    let line = export.lines().next().unwrap();
    let other = export.lines().nth(1).unwrap();
    std::fs::write(office.path().join("line"), line).unwrap();
    for (forged, said) in [
        (shown.replace("\"evt_3\"", "\"evt_9\""), "the record at file:"),
        (line.replace("\\\"active\\\"", "\\\"paused\\\""), "does not match its hash"),
        (line.replace("\"received_at\":\"2", "\"received_at\":\"1"), "the record at file:"),
        // About an event that no proof is about, be it a true one or not.
        (other.to_owned(), "no proof for the record at file:"),
        (shown.replace("\"position\": 3", "\"position\": 30"), "no proof for the record at file:"),
        ("{}".to_owned(), "not a record of an event"),
        ("nonsense".to_owned(), "file does not hold"),
    ] {
        assert!(forged != shown && forged != line, "nothing was forged");
        for (first, second) in [(&*shown, &*forged), (line, &forged), (&forged, line)] {
            if !first.starts_with('{') {
                continue;
            }
            std::fs::write(office.path().join("file"), format!("{first}\n{second}")).unwrap();
            let checked = office.check(&["proof", "file"]);
            assert_eq!((checked.status, &*checked.out), (1, ""), "{forged}: {}", checked.err);
            assert!(checked.err.contains(said), "{said}: {}", checked.err);
        }
        // Nor does a true record in a file of its own.
        std::fs::write(office.path().join("file"), &forged).unwrap();
        assert_ne!(office.check(&["proof", "line", "file"]).status, 0, "{forged}");
    }
}

#[test]
fn fields_that_no_proof_covers_are_named() {
    let office = Office::with(&IDS);
    office.import(&["evt_3"]);
    office.write("proof", &["log", "prove", "evt_3"]);
    let export = office.write("export", &["export", "--after", "2"]);
    let line = export.lines().next().unwrap();
    assert!(line.contains("\"redeliveries\":[{"), "{line}");
    let checked_with = |record: &str| {
        std::fs::write(office.path().join("record"), record).unwrap();
        let checked = office.check(&["proof", "record"]);
        assert_eq!(checked.status, 0, "{}", checked.err);
        checked.out.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(checked_with(line), ["record:1: no proof covers redeliveries"]);
    let more = format!("\n{}", line.replacen('{', "{\"comment\":\"true\",\"erased\":true,", 1));
    assert_eq!(checked_with(&more), ["record:2: no proof covers comment, erased, redeliveries"]);
}

#[test]
fn a_record_or_a_proof_that_was_edited_is_refused() {
    let office = Office::with(&IDS);
    let record = office.write("export", &["export", "--after", "2"]);
    let record = record.lines().next().unwrap();
    std::fs::write(office.path().join("export"), record).unwrap();
    let proof = office.write("proof", &["log", "prove", "evt_3"]);
    let refused = |record: &str, proof: &str| {
        std::fs::write(office.path().join("record"), record).unwrap();
        std::fs::write(office.path().join("edited"), proof).unwrap();
        let checked = office.check(&["edited", "record"]);
        assert_eq!(checked.out, "", "nothing is said to hold");
        (checked.status, checked.err)
    };
    assert_eq!(office.check(&["proof", "export"]).status, 0);

    for (from, to) in [
        ("\"received_at\":\"2", "\"received_at\":\"1"),
        ("\"source\":\"import\"", "\"source\":\"webhook\""),
        ("\"signature\":null", "\"signature\":\"t=1\""),
        ("\\\"status\\\":\\\"active\\\"", "\\\"status\\\":\\\"paused\\\""),
        ("\"account\":\"\"", "\"account\":\"acct_1\""),
        ("\"payload_hash\":\"", "\"payload_hash\":\"0"),
        ("{", "{{"),
    ] {
        let edited = record.replacen(from, to, 1);
        assert_ne!(edited, record, "{from} is not in {record}");
        let (status, said) = refused(&edited, &proof);
        assert_eq!(status, 1, "{to}: {said}");
    }
    let hash = proof.lines().nth(2).unwrap();
    let root = proof.lines().nth(8).unwrap();
    for (from, to) in [
        ("index 2", "index 02"),
        (hash, root),
        (hash, ""),
        (root, hash),
        ("example.com/ledger", "example.com/other"),
        ("\n7\n", "\n8\n"),
        ("tlog-proof@v1", "tlog-proof@v2"),
    ] {
        let edited = proof.replacen(from, to, 1);
        assert_ne!(edited, proof, "{from} is not in {proof}");
        let (status, said) = refused(record, &edited);
        assert_eq!(status, 1, "{to}: {said}");
    }
    // About an event that is not there: what is missing is asked for.
    let (status, said) = refused(record, &proof.replace("index 2", "index 3"));
    assert!(status == 2 && said.contains("add its record"), "{said}");

    // Another key's signature is worth nothing.
    let other = run(office.path(), &["log", "keygen", "--out", "other.key"]).out;
    let arguments = ["log", "check", "--key", other.trim(), "proof", "export"];
    let checked = run(office.path(), &arguments);
    assert_eq!(checked.status, 1);
    assert!(checked.err.contains("not signed with this key"), "{}", checked.err);
    assert_eq!(run(office.path(), &["log", "check", "--key", "nonsense", "proof"]).status, 2);
    assert_eq!(run(office.path(), &["log", "check", "proof", "export"]).status, 2);
}

#[test]
fn a_file_that_shows_nothing_does_not_look_as_if_it_did() {
    let office = Office::with(&IDS);
    office.write("proof", &["log", "prove", "evt_3"]);
    office.write("checkpoint", &["log", "checkpoint"]);
    for id in ["evt_3", "evt_4"] {
        office.write(id, &["event", id]);
    }
    let refused = |files: &[&str], said: &str| {
        let checked = office.check(files);
        assert_eq!((checked.status, &*checked.out), (2, ""), "{files:?}");
        assert!(checked.err.contains(said), "{files:?}: {}", checked.err);
    };
    refused(&["proof"], "add its record");
    refused(&["evt_3"], "no proof for the record");
    refused(&["evt_3", "checkpoint"], "no proof for the record");
    refused(&["evt_3", "evt_4", "proof"], "log prove evt_4");
    refused(&["missing"], "cannot read missing");
    assert_eq!(office.check(&["evt_3", "proof", "checkpoint"]).status, 0);
    replace(&office.path().join("checkpoint"), "7", "6");
    assert_eq!(office.check(&["evt_3", "proof", "checkpoint"]).status, 1);
}

/// An erased payload leaves its proof: the record has the salted hash alone.
#[test]
fn an_erased_event_is_still_proven() {
    let office = Office::with(&IDS);
    office.write("before", &["log", "prove", "evt_3"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut log = crate::raw::log(&crate::database(office.path())).await;
        log.run("UPDATE events SET payload = NULL, salt = NULL WHERE position = 3").await;
    });
    let record = office.write("record", &["export", "--after", "2"]);
    let record = record.lines().next().unwrap();
    assert!(record.contains("\"erased\":true"), "{record}");
    std::fs::write(office.path().join("record"), record).unwrap();
    office.write("after", &["log", "prove", "evt_3"]);
    for proof in ["before", "after"] {
        assert_eq!(office.check(&[proof, "record"]).status, 0, "{proof}");
    }
}
