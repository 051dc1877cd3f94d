//! The bytes that an erasure leaves in the files of a server, and the commands that end them.

use std::path::{Path, PathBuf};

use subledger::clock::Clock;
use subledger::store::{DatabaseUrl, OpenMode, Store};

use crate::app::commands::{ran, subledger};
use crate::cluster::Cluster;
use crate::ledger::new_event;

/// Letters that no compression makes shorter, and that stand nowhere else.
fn letters(seed: u64) -> String {
    let mut state = seed;
    let mut letter = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        char::from(alphabet[usize::try_from(state >> 33).unwrap() % alphabet.len()])
    };
    (0..40).map(|_| letter()).collect()
}

/// The files below a folder that hold one of these texts.
fn files_with(folder: &Path, texts: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, texts));
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let bytes = String::from_utf8_lossy(&bytes);
            if texts.iter().any(|text| bytes.contains(text.as_str())) {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_that_it_names_end_what_a_server_still_holds() {
    let cluster = Cluster::start();
    let directory = tempfile::tempdir().unwrap();
    let address = cluster.url("postgres");
    let run = |arguments: &[&str]| {
        let mut command = subledger(directory.path(), arguments);
        ran(&command.env("DATABASE_URL", &address).output().unwrap())
    };
    let url = DatabaseUrl::parse(&address).unwrap();
    let store = Store::open(&url, OpenMode::Create, Clock::System).await.unwrap();
    let mut texts = Vec::new();
    for number in 0..60 {
        for version in ["2020-08-27", "2025-03-31"] {
            let text = letters(texts.len() as u64 + 1);
            let body = format!(
                r#"{{"id":"evt_{number}","object":"event","api_version":"{version}","type":"customer.updated","created":{},"livemode":true,"data":{{"object":{{"id":"cus_{}","object":"customer","email":"{text}@example.com"}}}}}}"#,
                1_700_000_000 + number,
                number % 2
            );
            store.log.append(&[new_event(&body)]).await.unwrap();
            texts.push((number % 2, text));
        }
    }
    store.close().await;
    assert_eq!(run(&["rebuild"]).status, 0);
    let of = |customer: usize| -> Vec<String> {
        texts.iter().filter(|it| it.0 == customer).map(|it| it.1.clone()).collect()
    };
    // Samples of bodies are in the planner's statistics as well.
    cluster.psql("postgres", "ANALYZE");

    let erase = ["--mode", "live", "erase", "--customer", "cus_1", "--by", "Ann", "--yes"];
    let erased = run(&erase);
    assert_eq!(erased.status, 0, "{}", erased.err);
    assert!(erased.err.contains("PostgreSQL still contain old versions"), "{}", erased.err);
    // What is in memory yet is written to the files.
    cluster.psql("postgres", "CHECKPOINT");
    let tables = cluster.data().join("base");
    assert_ne!(files_with(&tables, &of(1)), Vec::<PathBuf>::new(), "it says so because it is so");
    let commands: Vec<_> =
        erased.err.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(';')).collect();
    assert_eq!(commands, subledger::store::SERVER_CLEANUP_COMMANDS);
    let guide = include_str!("../../../src/guide/erasure.md");
    for command in commands {
        assert!(guide.contains(&format!("  {command};\n")), "{command}");
        cluster.psql("postgres", command);
    }
    assert_eq!(files_with(&tables, &of(1)), Vec::<PathBuf>::new());
    assert_ne!(files_with(&tables, &of(0)), Vec::<PathBuf>::new(), "others are still there");
    let verified = run(&["verify"]);
    assert_eq!(verified.status, 0, "{}{}", verified.out, verified.err);
}
