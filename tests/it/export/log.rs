//! The log.

use super::{assert_says, json_lines, written};

#[test]
fn the_log_as_csv_says_what_its_lines_say_and_goes_on_after_any_event() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    written(folder, &["simulate", "--subscriptions", "3", "--shuffle", "--out", "made.jsonl"]);
    written(folder, &["import", "made.jsonl"]);
    // One comes again in another rendering, one is erased.
    let lines = written(folder, &["export"]);
    let first = &json_lines(&lines)[0];
    let mut again: serde_json::Value =
        serde_json::from_str(first["payload"].as_str().unwrap()).unwrap();
    again["api_version"] = "2099-01-01".into();
    std::fs::write(folder.join("again.json"), again.to_string()).unwrap();
    written(folder, &["import", "again.json"]);
    let live = json_lines(&lines).into_iter().find(|it| it["livemode"] == true).unwrap();
    let id = live["event_id"].as_str().unwrap();
    written(folder, &["rebuild"]);
    written(folder, &["--mode", "live", "erase", "--by", "Ann", "--yes", id]);

    let lines = written(folder, &["export"]);
    assert_eq!(written(folder, &["export", "--format", "jsonl"]), lines);
    let records = json_lines(&lines);
    assert!(records.iter().any(|it| it["erased"] == true));
    assert!(records.iter().any(|it| it["redeliveries"].is_array()));
    let csv = written(folder, &["export", "--format", "csv"]);
    assert_says(&csv, &records);

    for after in [1, records.len() / 2, records.len()] {
        let rest = written(folder, &["export", "--after", &after.to_string()]);
        assert!(lines.ends_with(&rest) && rest.lines().count() == records.len() - after);
        let rest = written(folder, &["export", "--format", "csv", "--after", &after.to_string()]);
        assert!(csv.ends_with(&rest), "CSV goes on without a header");
        let mut reader = csv::ReaderBuilder::new();
        let mut reader = reader.has_headers(false).from_reader(rest.as_bytes());
        assert_eq!(reader.records().count(), records.len() - after);
    }
}
