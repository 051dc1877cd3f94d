//! Exports: the log, a history and the read model, one line a row, continued after any row.

mod history;
mod log;
mod read_model;

use std::path::Path;

use serde_json::Value;

use crate::app::commands::run;

/// Output of a command that succeeds.
fn written(folder: &Path, arguments: &[&str]) -> String {
    let ran = run(folder, arguments);
    assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
    ran.out
}

/// The same as JSON, a value a line.
fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Holds CSV against the objects that it is to say: every key has its column, and what is absent or null an
/// empty cell.
fn assert_says(csv: &str, objects: &[Value]) {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let columns: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), objects.len());
    for (record, object) in records.iter().zip(objects) {
        assert!(object.as_object().unwrap().keys().all(|key| columns.contains(key)), "{object}");
        for (column, cell) in columns.iter().zip(record) {
            match object.get(column) {
                None | Some(Value::Null) => assert_eq!(cell, "", "{column}"),
                Some(Value::String(text)) => assert_eq!(cell, text, "{column}"),
                Some(value) => {
                    assert_eq!(serde_json::from_str::<Value>(cell).unwrap(), *value, "{column}");
                }
            }
        }
    }
}
