//! Rights of the roles that the guide describes.

use std::path::Path;

use subledger::clock::Clock;
use subledger::projection::Logic;
use subledger::store::{DatabaseUrl, NewEvent, OpenMode, Store};

use crate::app::commands::{Ran, ran, subledger};
use crate::app::server::Event;
use crate::cluster::Cluster;
use crate::ledger::{follow_to_the_end, new_event};
use crate::raw;
use crate::readme::{blocks, section};
use crate::store::{event, refused};

/// Statements of the guide, in its order: the administrator's, and the owner's.
fn of_the_guide() -> [&'static str; 2] {
    let guide = include_str!("../../../src/guide/postgresql.md");
    let mut blocks = blocks(section(guide, "Roles"), "sql").into_iter();
    std::array::from_fn(|_| blocks.next().unwrap())
}

/// Small events with these numbers.
fn numbered(numbers: std::ops::Range<usize>) -> Vec<NewEvent> {
    numbers.map(|number| event(&format!("evt_no_{number}"), "{}")).collect()
}

/// Server with the guide's roles.
struct Roles {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

impl Roles {
    fn url(&self, role: &str) -> String {
        self.cluster.url_of(role, "ledger")
    }

    fn ran(&self, role: &str, arguments: &[&str]) -> Ran {
        let mut command = subledger(self.folder(), arguments);
        ran(&command.env("DATABASE_URL", self.url(role)).output().unwrap())
    }

    fn run(&self, role: &str, arguments: &[&str]) -> String {
        let ran = self.ran(role, arguments);
        assert_eq!(ran.status, 0, "{role}, {arguments:?}: {}{}", ran.out, ran.err);
        ran.out
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn store(&self, role: &str) -> Store {
        let url = DatabaseUrl::parse(&self.url(role)).unwrap();
        Store::open(&url, OpenMode::Create, Clock::System).await.unwrap()
    }

    /// Rows of the live read model that a role reads with its own SQL.
    fn rows(&self, role: &str) -> String {
        let sql = "SELECT count(*) FROM subledger_read.current_subscriptions";
        self.cluster.psql_of(role, "ledger", sql)
    }
}

const OWNER: &str = "subledger_owner";
const SERVICE: &str = "subledger_service";
const AUDITOR: &str = "subledger_auditor";

#[tokio::test(flavor = "multi_thread")]
async fn the_service_only_adds_to_the_log_and_an_auditor_only_reads() {
    let [of_admin, of_owner] = of_the_guide();
    let roles = Roles { cluster: Cluster::start(), folder: tempfile::tempdir().unwrap() };
    for statement in of_admin.split(";\n").filter(|it| !it.trim().is_empty()) {
        roles.cluster.psql("postgres", statement);
    }
    // From an empty database on, by an owner who may do nothing else; and once more, which changes nothing.
    roles.run(OWNER, &["rebuild"]);
    roles.cluster.psql_of(OWNER, "ledger", of_owner);
    roles.cluster.psql_of(OWNER, "ledger", of_owner);

    let store = roles.store(SERVICE).await;
    let body = |id, subscription, user| Event { id, subscription, user, ..Event::default() }.body();
    let first = new_event(&body("evt_1", "sub_1", "user_1"));
    let again = new_event(&body("evt_1", "sub_1", "user_1"));
    store.log.append(&[first, again]).await.unwrap();
    store.log.append(&[new_event(&body("evt_1", "sub_1", "user_1"))]).await.unwrap();
    follow_to_the_end(&store, &Logic::default()).await;
    let service = DatabaseUrl::parse(&roles.url(SERVICE)).unwrap();
    let mut sql = raw::log(&service).await;
    for statement in
        ["DELETE FROM events", "UPDATE events SET payload = NULL, salt = NULL", "TRUNCATE events"]
    {
        assert!(refused(&mut sql, statement).await.contains("permission denied"), "{statement}");
    }

    // What an append keeps for proofs is granted, too, also where the table came after the roles.
    store.log.append(&numbered(0..300)).await.unwrap();
    store.close().await;
    let owner = DatabaseUrl::parse(&roles.url(OWNER)).unwrap();
    let without = "DROP TABLE nodes; DELETE FROM _sqlx_migrations WHERE version = 2";
    raw::log(&owner).await.run(without).await;
    let older = roles.ran(SERVICE, &["verify"]);
    assert_eq!(older.status, 3, "{}", older.err);
    assert!(older.err.contains("`subledger rebuild`"), "{}", older.err);
    roles.store(OWNER).await.close().await;
    let store = roles.store(SERVICE).await;
    store.log.append(&numbered(300..600)).await.unwrap();
    assert_eq!(store.log.fill_nodes().await.unwrap(), 1);
    follow_to_the_end(&store, &Logic::default()).await;

    // Whoever makes a generation, everybody reads it and the service goes on with it.
    for (number, (role, arguments)) in [
        (SERVICE, &["rebuild"][..]),
        (OWNER, &["rebuild"]),
        (SERVICE, &["rebuild"]),
        ("postgres", &["rebuild"]),
        (OWNER, &["projections", "activate", "4"]),
        (OWNER, &["rebuild"]),
    ]
    .into_iter()
    .enumerate()
    {
        roles.run(role, arguments);
        let id = format!("evt_by_{number}");
        let event = new_event(&body("evt_1", "sub_1", "user_1").replace("evt_1", &id));
        store.log.append(&[event]).await.unwrap();
        follow_to_the_end(&store, &Logic::default()).await;
        assert_eq!(roles.rows(AUDITOR), "1", "after {arguments:?} of {role}");
        for arguments in [&["verify"][..], &["export"], &["history", "user_1"], &["current"]] {
            roles.run(AUDITOR, arguments);
        }
    }

    let size = store.log.head().await.unwrap().size.0;
    std::fs::write(roles.folder().join("event.json"), body("evt_9", "sub_9", "user_9")).unwrap();
    let refused = roles.ran(AUDITOR, &["import", "event.json"]);
    assert_eq!(refused.status, 3);
    assert!(refused.err.contains("SQLSTATE 42501"), "{}", refused.err);
    assert_eq!(store.log.head().await.unwrap().size.0, size);
    roles.run(AUDITOR, &["log", "keygen"]);
    roles.run(AUDITOR, &["log", "prove", "evt_1", "--signing-key-file", "subledger.key"]);

    // The owner erases, beside the service, which goes on.
    let erase = ["erase", "--customer", "cus_of_user_1", "--by", "Ann", "--yes"];
    assert_ne!(roles.ran(SERVICE, &erase).status, 0, "the service only adds");
    roles.run(OWNER, &erase);
    assert_eq!(roles.rows(AUDITOR), "0");
    store.log.append(&[new_event(&body("evt_8", "sub_8", "user_8"))]).await.unwrap();
    follow_to_the_end(&store, &Logic::default()).await;
    assert_eq!(roles.rows(AUDITOR), "1");
    roles.run(AUDITOR, &["verify"]);
}
