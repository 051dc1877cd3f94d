//! Damage that no hash of the log shows: an index that lost a row, a trigger that is gone or is somebody else's.

use subledger::audit;
use subledger::store::Store;

use crate::raw;
use crate::store::{Ledger, event};

mod sqlite_only;

async fn messages(store: &Store) -> Vec<String> {
    let report = audit::verify(store, None, |_| {}).await.unwrap();
    let said = report.findings.into_iter().map(|it| match it.position {
        Some(position) => format!("at {position}: {}", it.message),
        None => it.message,
    });
    said.collect()
}

pub(crate) async fn execute(connection: &mut raw::Connection, sql: &str) {
    connection.run(sql).await;
}

/// Ten events, of which the fifth is in no index of ids.
pub(crate) async fn with_a_damaged_index(ledger: Ledger) -> Ledger {
    let mut sql = raw::log(&ledger.url).await;
    for number in 1..=10 {
        if number == 5 {
            let unindex = sql.dialect().unindex_before;
            execute(&mut sql, unindex).await;
        }
        ledger.store.log.append(&[event(&format!("evt_{number}"), "{}")]).await.unwrap();
        if number == 5 {
            let unindex = sql.dialect().unindex_evt_5_after;
            execute(&mut sql, unindex).await;
        }
    }
    ledger
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_a_damaged_index_let_in_twice_is_named_and_so_is_the_index() {
    let ledger = with_a_damaged_index(Ledger::new().await).await;
    // As another process does, which remembers nothing.
    let store = ledger.open_again().await;
    let again = store.log.append(&[event("evt_5", "{}")]).await.unwrap();
    assert!(!again[0].duplicate, "the index does not know it");
    let report = audit::verify(&store, None, |_| {}).await.unwrap();
    assert_eq!((report.events, report.ids), (11, 10));
    let twice = "at 11: the log has evt_5 at position 5 already";
    assert_eq!(messages(&store).await, [&[twice], raw::dialect().index_is_damaged].concat());
}

/// The same id in another account or mode is another event.
#[tokio::test(flavor = "multi_thread")]
async fn ids_are_counted_within_an_account_and_mode() {
    let ledger = Ledger::new().await;
    let event = |livemode: bool, account: &str| {
        let mut facts = crate::store::facts("evt_1");
        facts.scope = subledger::ids::Scope { account: account.into(), livemode };
        let source = subledger::store::EventSource::Webhook;
        subledger::store::NewEvent::new(facts, source, None, "{}".to_owned()).unwrap()
    };
    let events = [event(true, ""), event(false, ""), event(true, "acct_1"), event(true, "")];
    ledger.store.log.append(&events).await.unwrap();
    let report = audit::verify(&ledger.store, None, |_| {}).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!((report.events, report.ids), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_trigger_that_is_dropped_is_named_until_it_is_back() {
    let ledger = Ledger::new().await;
    ledger.store.log.append(&[event("evt_1", "{}")]).await.unwrap();
    let mut sql = raw::log(&ledger.url).await;
    let guards = sql.guards().await;
    assert!(guards.len() > 9, "{guards:?}");
    for [table, name, make, drop] in &guards {
        execute(&mut sql, drop).await;
        let missing = format!("the log: the trigger {name} on {table} is missing");
        assert_eq!(messages(&ledger.store).await, [missing]);
        execute(&mut sql, make).await;
    }
    assert_eq!(messages(&ledger.store).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_trigger_is_named_in_either_database() {
    let ledger = Ledger::new().await;
    let mut log = raw::log(&ledger.url).await;
    execute(&mut log, raw::dialect().fault_at_evt_20).await;
    let foreign = |what, table| {
        [format!("{what}: the trigger fault on {table} is foreign: no migration creates it")]
    };
    assert_eq!(messages(&ledger.store).await, foreign("the log", "events"));
    execute(&mut log, raw::dialect().no_fault).await;

    let mut read = raw::read(&ledger.url).await;
    let of_read = |sql: &str| {
        sql.replace("ON events", "ON generations").replace("NEW.event_id", "NEW.policy")
    };
    execute(&mut read, &of_read(raw::dialect().fault_at_evt_20)).await;
    assert_eq!(messages(&ledger.store).await, foreign("the read model", "generations"));
    execute(&mut read, &of_read(raw::dialect().no_fault)).await;
    assert_eq!(messages(&ledger.store).await, Vec::<String>::new());
}
