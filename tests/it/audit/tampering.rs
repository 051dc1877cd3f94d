//! Attacks by someone who may do anything in the database and has dropped the triggers: each is found
//! and named.

use std::collections::BTreeSet;

use subledger::audit::{self, Finding};
use subledger::simulate::{self, Plan};

use crate::ledger::{append, follow_to_the_end};
use crate::raw;
use crate::store::{Ledger, event};

/// Changes the log as someone does who may do anything, and covers it up: the triggers are there as before.
async fn tamper(ledger: &Ledger, sql: &str) {
    let mut connection = raw::log(&ledger.url).await;
    let guards = connection.drop_guards().await;
    for statement in std::iter::once(sql).chain(guards.iter().map(String::as_str)) {
        connection.run(statement).await;
    }
}

/// Ten events, tampered with.
async fn findings_after(sql: &str) -> Vec<(Option<i64>, String)> {
    let ledger = Ledger::new().await;
    let events: Vec<_> = (1..=10)
        .map(|number| event(&format!("evt_{number}"), &format!("{{\"number\":{number}}}")))
        .collect();
    ledger.store.log.append(&events).await.unwrap();
    assert!(audit::verify(&ledger.store, None, |_| {}).await.unwrap().is_clean());
    tamper(&ledger, sql).await;
    let report = audit::verify(&ledger.store, None, |_| {}).await.unwrap();
    assert_eq!(report.differences, report.findings.len());
    let named = |Finding { position, message }| (position.map(|it| it.0), message);
    report.findings.into_iter().map(named).collect()
}

macro_rules! tampering {
    ($($name:ident: $sql:literal finds [$($position:expr => $message:literal),+];)+) => {
        $(#[tokio::test]
        async fn $name() {
            let expected: Vec<(Option<i64>, String)> = vec![$(($position, $message.to_owned())),+];
            assert_eq!(findings_after($sql).await, expected);
        })+
    };
}

tampering! {
    a_changed_byte_in_a_payload:
        "UPDATE events SET payload = '{\"number\":6}' WHERE position = 5"
        finds [Some(5) => "the payload is not the one that was hashed"];

    a_changed_received_at:
        "UPDATE events SET received_at = received_at + 1 WHERE position = 10"
        finds [Some(10) => "the record is not the one that was hashed",
        None => "the root that the events give is not the head's"];

    a_changed_type:
        "UPDATE events SET type = 'customer.deleted' WHERE position = 5"
        finds [Some(5) => "the record is not the one that was hashed",
        None => "the root that the events give is not the head's"];

    a_changed_signature:
        "UPDATE events SET signature = 't=2,v1=99' WHERE position = 5"
        finds [Some(5) => "the signature is not the one that was hashed"];

    a_signature_that_is_gone_without_its_event:
        "UPDATE events SET signature = NULL WHERE position = 5"
        finds [Some(5) => "the signature is not the one that was hashed"];

    a_changed_hash_of_a_signature:
        "UPDATE events SET signature_hash = payload_hash WHERE position = 5"
        finds [Some(5) => "the signature is not the one that was hashed",
        Some(5) => "the record is not the one that was hashed",
        None => "the root that the events give is not the head's"];

    a_deleted_event_at_the_start:
        "DELETE FROM events WHERE position = 1"
        finds [Some(2) => "position 1 is missing before this event",
        None => "the head says 10 events, the log holds 9",
        None => "the root that the events give is not the head's"];

    a_deleted_event_in_the_middle:
        "DELETE FROM events WHERE position = 5"
        finds [Some(6) => "position 5 is missing before this event",
        None => "the head says 10 events, the log holds 9",
        None => "the root that the events give is not the head's"];

    a_deleted_event_at_the_end:
        "DELETE FROM events WHERE position = 10"
        finds [None => "the head says 10 events, the log holds 9",
        None => "the root that the events give is not the head's"];

    two_swapped_events:
        "UPDATE events SET position = -1 WHERE position = 4; UPDATE events SET position = 4 WHERE position = 5;
         UPDATE events SET position = 5 WHERE position = -1"
        finds [Some(5) => "received_at does not rise",
        None => "the root that the events give is not the head's"];

    an_inserted_event:
        "UPDATE events SET position = -position WHERE position > 5; UPDATE events SET position = 1 - position WHERE position < 0;
         INSERT INTO events (position, event_id, account, livemode, type, created, received_at, source, payload_hash, leaf_hash, salt, payload)
             SELECT 6, 'evt_forged', account, livemode, type, created, received_at, source, payload_hash, leaf_hash, salt, payload
             FROM events WHERE position = 5"
        finds [Some(6) => "received_at does not rise",
        Some(6) => "the record is not the one that was hashed",
        Some(11) => "is beyond the end of the log that the head states",
        None => "the root that the events give is not the head's"];

    an_event_added_at_the_end:
        "INSERT INTO events (position, event_id, account, livemode, type, created, received_at, source, payload_hash, leaf_hash, salt, payload)
             SELECT 11, 'evt_forged', account, livemode, type, created, received_at + 1, source, payload_hash, leaf_hash, salt, payload
             FROM events WHERE position = 10"
        finds [Some(11) => "is beyond the end of the log that the head states"];

    a_head_of_another_root:
        "UPDATE log_head SET root = payload_hash FROM events WHERE position = 1"
        finds [None => "the root that the events give is not the head's"];

    a_shorter_head:
        "UPDATE log_head SET size = 9"
        finds [Some(10) => "is beyond the end of the log that the head states",
        None => "the root that the events give is not the head's"];

    a_body_that_is_gone_without_a_record:
        "UPDATE events SET payload = NULL, salt = NULL, signature = NULL WHERE position = 5"
        finds [Some(5) => "the payload is gone, and no erasure is recorded"];
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_row_of_the_read_model() {
    let ledger = Ledger::new().await;
    let simulation = simulate::simulate(&Plan { seed: 3, subscriptions: 10, ..Plan::default() });
    append(&ledger.store, &simulation.events).await;
    follow_to_the_end(&ledger.store, &subledger::projection::Logic::default()).await;
    let live = ledger.store.read_model.live().await.unwrap().unwrap().id;
    let mut sql = raw::read(&ledger.url).await;
    let row = simulation.truth[0].subscription_id.clone();
    let other = simulation.truth[1].subscription_id.clone();
    let tamper = format!(
        "UPDATE current_subscriptions_g{live} SET status = 'tampered', quantity = 1000 WHERE subscription_id = '{row}'"
    );
    sql.run(&tamper).await;
    let report = audit::verify(&ledger.store, None, |_| {}).await.unwrap();
    let messages: Vec<_> = report.findings.into_iter().map(|it| it.message).collect();
    assert_eq!(messages, [format!("{row}: a fresh fold of the log differs in status, quantity")]);

    // An event that is kept out of the histories is missed as well.
    let tamper = format!(
        "DELETE FROM timeline_l{live} WHERE subscription_id = '{other}'
            AND position = (SELECT max(position) FROM timeline_l{live} WHERE subscription_id = '{other}')"
    );
    sql.run(&tamper).await;
    let report = audit::verify(&ledger.store, None, |_| {}).await.unwrap();
    let messages: Vec<_> = report.findings.into_iter().map(|it| it.message).collect();
    let expected = [
        format!("{row}: a fresh fold of the log differs in status, quantity"),
        format!("{other}: a fresh fold of the log differs in event_count"),
    ];
    assert_eq!(BTreeSet::from_iter(messages), BTreeSet::from(expected));

    let tamper =
        format!("DELETE FROM current_subscriptions_g{live} WHERE subscription_id = '{row}'");
    sql.run(&tamper).await;
    let report = audit::verify(&ledger.store, None, |_| {}).await.unwrap();
    let messages: Vec<_> = report.findings.into_iter().map(|it| it.message).collect();
    let missing = format!("{row}: its row is missing");
    assert!(messages.contains(&missing) && messages.len() == 2, "{messages:?}");
}

/// A column that is in no hash, because it repeats what the payload says.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_api_version() {
    let ledger = Ledger::new().await;
    let simulation = simulate::simulate(&Plan { seed: 3, subscriptions: 2, ..Plan::default() });
    append(&ledger.store, &simulation.events).await;
    for (version, position) in [("'2014-06-17'", 2), ("NULL", 3)] {
        let sql = format!("UPDATE events SET api_version = {version} WHERE position = {position}");
        tamper(&ledger, &sql).await;
    }
    let report = audit::verify(&ledger.store, None, |_| {}).await.unwrap();
    let found = report.findings.into_iter().map(|it| (it.position.map(|it| it.0), it.message));
    let message = "api_version is not the payload's".to_owned();
    assert_eq!(found.collect::<Vec<_>>(), [(Some(2), message.clone()), (Some(3), message)]);
}

/// A log is looked at in chunks, and what is missing may be longer than one.
#[tokio::test(flavor = "multi_thread")]
async fn many_deleted_events_and_the_ones_behind_them() {
    let ledger = Ledger::new().await;
    let events: Vec<_> = (1..=1_100).map(|it| event(&format!("evt_{it}"), "{}")).collect();
    for batch in events.chunks(100) {
        ledger.store.log.append(batch).await.unwrap();
    }
    let sql = "DELETE FROM events WHERE position BETWEEN 200 AND 900 OR position IN (1024, 1100);
        UPDATE events SET received_at = 1 WHERE position = 1025";
    tamper(&ledger, sql).await;
    let mut seen = Vec::new();
    let report = audit::verify(&ledger.store, None, |it| seen.push(it.done)).await.unwrap();
    let found = report.findings.into_iter().map(|it| (it.position.map(|it| it.0), it.message));
    let expected = [
        (Some(901), "positions 200 to 900 are missing before this event"),
        (Some(1025), "position 1024 is missing before this event"),
        (Some(1025), "received_at does not rise"),
        (Some(1025), "the record is not the one that was hashed"),
        (None, "the stored hash of the subtree 0 of 2^8 events does not match them"),
        (None, "the head says 1100 events, the log holds 397"),
        (None, "the root that the events give is not the head's"),
    ];
    let expected = expected.map(|(at, message)| (at, message.to_owned()));
    assert_eq!(found.collect::<Vec<_>>(), expected);
    assert!(seen.is_sorted() && seen.last() == Some(&1_099), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_state_of_a_customer() {
    let ledger = Ledger::new().await;
    let simulation = simulate::simulate(&Plan { seed: 3, subscriptions: 10, ..Plan::default() });
    append(&ledger.store, &simulation.events).await;
    follow_to_the_end(&ledger.store, &subledger::projection::Logic::default()).await;
    let layer = ledger.store.read_model.live().await.unwrap().unwrap().layer.unwrap();
    let mut sql = raw::read(&ledger.url).await;
    let mut customers: Vec<_> =
        simulation.truth.iter().map(|row| row.customer_id.clone()).collect();
    customers.sort_unstable();
    customers.dedup();
    let [changed, gone, new, ..] = &customers[..] else { panic!("three customers") };
    for tamper in [
        format!(
            "UPDATE customers_l{layer} SET state = (SELECT state FROM customers_l{layer} WHERE customer_id = '{new}')
             WHERE customer_id = '{changed}'"
        ),
        format!("DELETE FROM customers_l{layer} WHERE customer_id = '{gone}'"),
        format!(
            "INSERT INTO customers_l{layer} SELECT account, livemode, 'cus_nobody', state
             FROM customers_l{layer} WHERE customer_id = '{new}'"
        ),
    ] {
        sql.run(&tamper).await;
    }
    let report = audit::verify(&ledger.store, None, |_| {}).await.unwrap();
    let messages: BTreeSet<_> = report.findings.into_iter().map(|it| it.message).collect();
    let expected = [
        format!("{changed}: a fresh fold of the log differs in the state"),
        format!("{gone}: its state is missing"),
        "cus_nobody: the log gives no state".to_owned(),
    ];
    assert_eq!(messages, BTreeSet::from(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_access_of_a_user() {
    let ledger = Ledger::new().await;
    let simulation = simulate::simulate(&Plan { seed: 4, subscriptions: 12, ..Plan::default() });
    append(&ledger.store, &simulation.events).await;
    follow_to_the_end(&ledger.store, &subledger::projection::Logic::default()).await;
    let live = ledger.store.read_model.live().await.unwrap().unwrap().id;
    // A user may be one of several accounts and modes.
    let own = simulation.truth.iter().filter(|row| row.account.is_empty() && row.livemode);
    let users: BTreeSet<_> = own.filter_map(|row| row.user_id.clone()).collect();
    let users: Vec<_> = users.into_iter().collect();
    let [changed, gone, other, ..] = &users[..] else { panic!("three users") };
    let table = format!("user_access_g{live}");
    let own = "account = '' AND livemode AND user_id";
    let columns = "entitled, entitled_until, paid_until, reason, renews_at, since, subscription_id, customer_id, \
                   subscriptions, access";
    let mut sql = raw::read(&ledger.url).await;
    let mut decides = Vec::new();
    for user in [changed, gone, other] {
        let query = format!("SELECT subscription_id FROM {table} WHERE {own} = '{user}'");
        decides.push(sql.value::<String>(&query).await);
    }
    for tamper in [
        format!(
            "UPDATE {table} SET access = (SELECT access FROM {table} WHERE {own} = '{other}')
             WHERE {own} = '{changed}'"
        ),
        format!("DELETE FROM {table} WHERE {own} = '{gone}'"),
        format!(
            "INSERT INTO {table} (account, livemode, user_id, {columns})
             SELECT account, livemode, 'nobody', {columns} FROM {table} WHERE {own} = '{other}'"
        ),
    ] {
        sql.run(&tamper).await;
    }
    let report = audit::verify(&ledger.store, None, |_| {}).await.unwrap();
    let messages: BTreeSet<_> = report.findings.into_iter().map(|it| it.message).collect();
    // By the subscription that decides, because a user's id may be an address.
    let expected = [
        format!("{}: a fresh fold of the log differs in user_access: access", decides[0]),
        format!("{}: its row of user_access is missing", decides[1]),
        format!("{}: the log gives no such row of user_access", decides[2]),
    ];
    assert_eq!(messages, BTreeSet::from(expected));
}
