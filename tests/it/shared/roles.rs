//! Who may do what: the roles that the README tells to make.

use std::path::Path;

use sqlx::Executor as _;
use subledger::clock::Clock;
use subledger::projection::Logic;
use subledger::store::{DatabaseUrl, NewEvent, Opening, Store};

use crate::app::commands::{ran, subledger};
use crate::ledger::{follow_to_the_end, new_event};
use crate::raw;
use crate::store::{Ledger, event, refused};

/// The statements of the README, in the order in which they stand there.
fn of_the_readme() -> String {
    let readme = include_str!("../../../README.md");
    let blocks = readme.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.contains("CREATE ROLE")).collect()
}

/// Small events with these numbers.
fn numbered(numbers: std::ops::Range<usize>) -> Vec<NewEvent> {
    numbers.map(|number| event(&format!("evt_no_{number}"), "{}")).collect()
}

fn address(folder: &Path, role: &str) -> String {
    crate::address(folder).unwrap().replace("postgres@", &format!("{role}@"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_only_adds_to_the_log_and_an_auditor_only_reads() {
    let ledger = Ledger::with_clock(Clock::System).await;
    let folder = ledger.directory.path();
    let mut owner = raw::log(&ledger.url).await;
    owner.execute("DROP ROLE IF EXISTS subledger_service, subledger_auditor").await.unwrap();
    owner.execute(sqlx::AssertSqlSafe(of_the_readme())).await.unwrap();

    let service = DatabaseUrl::parse(&address(folder, "subledger_service")).unwrap();
    let store = Store::open(&service, Opening::Existing, Clock::System).await.unwrap();
    let stripe = crate::app::server::Event::default();
    store.log.append(&[new_event(&stripe.body()), new_event(&stripe.body())]).await.unwrap();
    store.log.append(&[new_event(&stripe.body())]).await.unwrap();
    follow_to_the_end(&store, &Logic::default()).await;
    let mut sql = raw::log(&service).await;
    for statement in
        ["DELETE FROM events", "UPDATE events SET payload = NULL, salt = NULL", "TRUNCATE events"]
    {
        assert!(refused(&mut sql, statement).await.contains("permission denied"), "{statement}");
    }

    // What an append keeps for proofs is granted, too, also where the table came after the roles.
    store.log.append(&numbered(0..300)).await.unwrap();
    store.close().await;
    owner
        .execute("DROP TABLE nodes; DELETE FROM _sqlx_migrations WHERE version = 2")
        .await
        .unwrap();
    ledger.open_again().await.close().await;
    let store = Store::open(&service, Opening::Existing, Clock::System).await.unwrap();
    store.log.append(&numbered(300..600)).await.unwrap();
    assert_eq!(store.log.fill_nodes().await.unwrap(), 1);
    follow_to_the_end(&store, &Logic::default()).await;

    let auditor = address(folder, "subledger_auditor");
    let of_auditor = |arguments: &[&str]| {
        let mut command = subledger(folder, arguments);
        ran(&command.env("DATABASE_URL", &auditor).output().unwrap())
    };
    for arguments in [&["verify"][..], &["export"], &["history", "user_1"], &["current"]] {
        let ran = of_auditor(arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
    }
    std::fs::write(folder.join("event.json"), stripe.body().replace("evt_1", "evt_2")).unwrap();
    assert_eq!(of_auditor(&["import", "event.json"]).status, 3);
    assert_eq!(store.log.head().await.unwrap().size.0, 601);
    assert_eq!(of_auditor(&["log", "keygen"]).status, 0);
    let mut prove =
        subledger(folder, &["log", "prove", "evt_1", "--signing-key-file", "subledger.key"]);
    let proven = ran(&prove.env("DATABASE_URL", &auditor).output().unwrap());
    assert_eq!(proven.status, 0, "{}", proven.err);
}
