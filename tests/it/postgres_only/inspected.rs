//! Verification on a server: triggers that are switched off or written otherwise, and checks that a role may
//! not make.

use subledger::audit::{self, VerifyReport};
use subledger::clock::Clock;
use subledger::store::{DatabaseUrl, OpenMode, Store};

use crate::audit::inspected::{execute, with_a_damaged_index};
use crate::raw;
use crate::store::Ledger;

const COUNTED: &str = "the extension amcheck is not available to this role: the rows of each index were \
                       counted instead";
const BY_NAME: &str = "this role may not create temporary tables: the triggers were compared by name only, not by \
     condition";

async fn report(store: &Store) -> VerifyReport {
    audit::verify(store, None, |_| {}).await.unwrap()
}

async fn messages(store: &Store) -> Vec<String> {
    report(store).await.findings.into_iter().map(|it| it.message).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_was_weakened_in_any_way_is_named() {
    let ledger = Ledger::on_postgres().await;
    let mut sql = raw::log(&ledger.url).await;
    let other = |trigger: &str| {
        format!("the log: the trigger {trigger} is not the one that the migrations create")
    };
    for (weaken, mend, said) in [
        (
            "ALTER TABLE events DISABLE TRIGGER events_are_kept",
            "ALTER TABLE events ENABLE TRIGGER events_are_kept",
            "the log: the trigger events_are_kept on events is disabled".to_owned(),
        ),
        (
            "CREATE OR REPLACE TRIGGER nodes_are_unchanged BEFORE UPDATE ON nodes FOR EACH ROW WHEN (OLD.level > 99)
                EXECUTE FUNCTION refuse('the hash of a complete subtree never changes')",
            "CREATE OR REPLACE TRIGGER nodes_are_unchanged BEFORE UPDATE ON nodes FOR EACH ROW
                EXECUTE FUNCTION refuse('the hash of a complete subtree never changes')",
            other("nodes_are_unchanged on nodes"),
        ),
        (
            "CREATE OR REPLACE TRIGGER events_are_kept BEFORE DELETE ON events FOR EACH STATEMENT
                EXECUTE FUNCTION refuse('events are never deleted')",
            "CREATE OR REPLACE TRIGGER events_are_kept BEFORE DELETE ON events FOR EACH ROW
                EXECUTE FUNCTION refuse('events are never deleted')",
            other("events_are_kept on events"),
        ),
        (
            "CREATE RULE quiet AS ON DELETE TO events DO INSTEAD NOTHING",
            "DROP RULE quiet ON events",
            "the log: the rule quiet on events is foreign: no migration creates it".to_owned(),
        ),
        (
            "ALTER FUNCTION refuse RENAME TO refuse_all;
             CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
             CREATE OR REPLACE TRIGGER events_are_kept BEFORE DELETE ON events FOR EACH ROW
                EXECUTE FUNCTION refuse('events are never deleted');
             DROP FUNCTION IF EXISTS nothing",
            "DROP TRIGGER events_are_kept ON events; DROP FUNCTION refuse;
             ALTER FUNCTION refuse_all RENAME TO refuse;
             CREATE TRIGGER events_are_kept BEFORE DELETE ON events FOR EACH ROW
                EXECUTE FUNCTION refuse('events are never deleted')",
            "the function refuse is not the one that the migrations create".to_owned(),
        ),
    ] {
        execute(&mut sql, weaken).await;
        let found = messages(&ledger.store).await;
        assert!(found.contains(&said), "{said}: {found:?}");
        execute(&mut sql, mend).await;
        assert_eq!(messages(&ledger.store).await, Vec::<String>::new(), "{mend}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn amcheck_is_used_where_it_may_be_and_said_to_be_missing_where_not() {
    let ledger = with_a_damaged_index(Ledger::on_postgres().await).await;
    let counted = report(&ledger.store).await;
    assert_eq!(counted.notes, [COUNTED]);
    assert!(counted.findings[0].message.contains("it leads to 9 of 10 rows"), "{counted:?}");

    let mut sql = raw::log(&ledger.url).await;
    execute(&mut sql, "CREATE EXTENSION amcheck SCHEMA public").await;
    let checked = report(&ledger.store).await;
    assert_eq!(checked.notes, Vec::<String>::new());
    let found: Vec<_> = checked.findings.into_iter().map(|it| it.message).collect();
    assert_eq!(found, ["the log: the index events_event_id_account_livemode_key is damaged"]);

    execute(&mut sql, "REINDEX INDEX events_event_id_account_livemode_key").await;
    assert!(report(&ledger.store).await.is_clean());
    sql.run("UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'events_event_id_account_livemode_key'::regclass").await;
    let off = "the log: the index events_event_id_account_livemode_key is disabled";
    assert_eq!(messages(&ledger.store).await, [off]);
}

/// A role that may only read is told which checks were not made, and finds the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_only_reads_is_told_what_it_cannot_compare() {
    let ledger = Ledger::on_postgres().await;
    let mut sql = raw::log(&ledger.url).await;
    let role = format!("reader_of_{}", std::process::id());
    execute(
        &mut sql,
        &format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA subledger, subledger_read TO {role};
             GRANT SELECT ON ALL TABLES IN SCHEMA subledger, subledger_read TO {role};
             DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$"
        ),
    )
    .await;
    let address = crate::address(ledger.directory.path()).unwrap();
    let url = DatabaseUrl::parse(&address.replace("postgres@", &format!("{role}@"))).unwrap();
    let store = Store::open(&url, OpenMode::Existing, Clock::System).await.unwrap();
    let clean = report(&store).await;
    assert!(clean.is_clean(), "{:?}", clean.findings);
    assert_eq!(clean.notes, [COUNTED, BY_NAME]);
    execute(&mut sql, "DROP TRIGGER events_are_kept ON events").await;
    let missing = ["the log: the trigger events_are_kept on events is missing"];
    assert_eq!(messages(&store).await, missing);
}
