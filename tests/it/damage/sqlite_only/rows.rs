//! Rows that hold what no row of the log may hold.

use std::fmt::Write as _;

use super::super::*;

/// Ways to damage a row, after the table allows it: position, what is done, what is said of it.
const ROWS: [(i64, &str, &str); 6] = [
    (9, "created = NULL", "created is missing"),
    (11, "livemode = 'yes'", "livemode is of a wrong type"),
    (13, "salt = x'00'", "salt has a wrong length"),
    (15, "leaf_hash = NULL", "leaf_hash is missing"),
    (17, "source = 'mail'", "source is not a known source"),
    (70, "event_id = CAST(x'ff' AS TEXT)", "event_id is not valid UTF-8"),
];
/// Those of them that the fold does not read.
const UNREAD_BY_THE_FOLD: [i64; 2] = [13, 15];

/// Damage to the body of a subscription, and the message about it.
const BODY: (&str, &str) = (
    "payload = replace(payload, 'cancel_at_period_end', 'cancel_at' || CAST(x'ff' AS TEXT) || 'period_end')",
    "payload is not valid UTF-8",
);

/// A row that is damaged: position, what is done to it, what is said of it.
type Row = (i64, &'static str, &'static str);

/// All of them, with the body of the first subscription.
async fn rows_to_damage(store: &Store) -> Vec<Row> {
    let events = store.log.scan(Position(70), 1_000, usize::MAX).await.unwrap();
    let is_one = |it: &&subledger::store::LoggedEvent| {
        it.facts.event_type == "customer.subscription.created" && it.facts.scope.livemode
    };
    let first = events.iter().find(is_one).unwrap().position.0;
    let rows = ROWS.into_iter().chain([(first, BODY.0, BODY.1)]);
    rows.collect()
}

async fn damage_rows(url: &DatabaseUrl, rows: &[Row]) {
    let mut sql = "PRAGMA ignore_check_constraints = ON; PRAGMA writable_schema = ON;
        CREATE TEMP TABLE kept AS SELECT sql FROM sqlite_schema WHERE name = 'events';
        UPDATE sqlite_schema SET sql = replace(replace(sql, ' NOT NULL', ''), ') STRICT', ')') WHERE name = 'events';
        PRAGMA writable_schema = RESET;"
        .to_owned();
    for (position, change, _) in rows {
        writeln!(sql, "UPDATE events SET {change} WHERE position = {position};").unwrap();
    }
    // A changed byte that is still text, and JSON.
    sql += "UPDATE events SET payload = replace(payload, '\"object\"', '\"objekt\"') WHERE position = 19;
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = (SELECT sql FROM kept) WHERE name = 'events';
        PRAGMA writable_schema = RESET;";
    damage(url, &sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damaged_row_is_named() {
    let (directory, url, store) = folded().await;
    let rows = rows_to_damage(&store).await;
    damage_rows(&url, &rows).await;
    let found = findings(&store).await;
    for (position, _, what) in rows {
        let message = format!("{what} (the row is damaged)");
        assert!(found.contains(&(position, message)), "{position}: {found:?}");
    }
    let changed = (19, "the payload is not the one that was hashed".to_owned());
    assert!(found.contains(&changed), "{found:?}");
    assert_eq!(found.len(), ROWS.len() + 2, "{found:?}");
    let ran = run(directory.path(), &["verify"]);
    assert_eq!((ran.status, &*ran.err), (1, ""));
    assert!(ran.out.contains("  at 9: created is missing (the row is damaged)"), "{}", ran.out);
    assert!(ran.out.contains("damaged     7 events cannot be read"), "{}", ran.out);
}

/// Folded live or by a rebuild: the damaged rows are parked, and the others are folded.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_rows_are_parked_by_the_follower_as_by_a_rebuild() {
    let (_directory, url, store) = unfolded().await;
    let damaged = rows_to_damage(&store).await;
    damage_rows(&url, &damaged).await;
    let status = follow_to_the_end(&store, &Logic::default()).await;
    assert_eq!(status.position, store.log.head().await.unwrap().size);
    let (parked, rows) = outcome(&store).await;
    let found: Vec<_> = parked.iter().map(|it| (it.position.0, it.reason.clone())).collect();
    let unread = |position: &i64| UNREAD_BY_THE_FOLD.contains(position);
    let expected = damaged.into_iter().filter(|(position, ..)| !unread(position));
    let expected: Vec<_> =
        expected.map(|(at, _, what)| (at, format!("{what} (the row is damaged)"))).collect();
    let of_rows: Vec<_> = found.iter().filter(|it| it.0 != 19).cloned().collect();
    assert_eq!(of_rows, expected);
    assert!(rows.len() > 5);
    // Whom a damaged body names is read from what is left of it.
    let subscription = parked.last().unwrap();
    assert!(
        subscription.customer.is_some() && subscription.subscription.is_some(),
        "{subscription:?}"
    );

    rebuild(&store).await;
    assert_eq!(outcome(&store).await, (parked, rows));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_ends_before_a_damaged_row_or_goes_around_it() {
    let (directory, url, store) = folded().await;
    let size = store.log.head().await.unwrap().size.0;
    let damaged = rows_to_damage(&store).await;
    damage_rows(&url, &damaged).await;
    let said = "event 9: created is missing (the row is damaged); the export stops before it";
    let ran = run_to(&directory, &["export"], 3, said);
    assert!(ran.err.contains("hint: --skip-damaged"), "{}", ran.err);
    assert_eq!(ran.out.lines().count(), 8);
    let ran =
        run_to(&directory, &["export", "--skip-damaged"], 1, "not exported: event 9: created");
    assert!(ran.err.ends_with("7 damaged events are not in this export\n"), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 8, "{}", ran.err);
    assert_eq!(lines(&ran), size - 7);
    // Nothing of it is lost on the way into another ledger, but for the row that hash and body disagree about.
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("export.jsonl"), ran.out).unwrap();
    let ran = run_to(
        &other,
        &["import", "export.jsonl"],
        1,
        "export.jsonl:14: the payload does not match its hash",
    );
    assert!(ran.err.contains("1 invalid records"), "{}", ran.err);
    // Behind the last damage it ends as it always did.
    let last = damaged.last().unwrap().0;
    let after = run_to(&directory, &["export", "--after", &last.to_string()], 0, "");
    assert_eq!(lines(&after), size - last);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_a_damaged_event_is_told_so_and_its_customer_has_a_history() {
    let (directory, url, store) = folded().await;
    let rows = rows_to_damage(&store).await;
    let position = Position(rows.last().unwrap().0);
    let damaged = store.log.events_at(&[position]).await.unwrap().remove(0).facts;
    damage_rows(&url, &rows).await;
    let said = format!("event {position}: payload is not valid UTF-8 (the row is damaged)");
    run_to(&directory, &["event", damaged.event_id.as_str()], 3, &said);
    let server =
        crate::app::server::TestServer::with(|options| options.database = url.clone()).await;
    let path = format!(
        "/v1/events/{}?livemode={}&account={}",
        damaged.event_id, damaged.scope.livemode, damaged.scope.account
    );
    let answer = server.get(&path).await;
    let status = answer.status().as_u16();
    let problem = crate::app::server::json_of(answer).await;
    assert_eq!((status, &problem["type"]), (500, &"event-damaged".into()));
    assert!(problem["detail"].as_str().unwrap().starts_with(&said), "{problem}");
    drop(server);

    let id = customer_at(&store, position.0).await.to_string();
    let subject = Subject { kind: SubjectKind::Customer, id, scope: damaged.scope };
    let (_, told) = audit::history(&store, subject, Past::default()).await.unwrap().unwrap();
    let event = told.events.iter().find(|it| it.position == position).unwrap();
    assert_eq!(event.event_id, damaged.event_id);
    let note = "parked: payload is not valid UTF-8 (the row is damaged)";
    assert_eq!(event.note.as_deref(), Some(note));
    assert!(told.events.len() > 1);
}

/// The customer on whose timeline a position stands.
async fn customer_at(store: &Store, position: i64) -> subledger::ids::CustomerId {
    for row in rows(store).await {
        let scope = Scope { account: row.account.as_str().into(), livemode: row.livemode };
        let customer: subledger::ids::CustomerId = row.customer_id.as_str().into();
        let key = subledger::ids::CustomerKey { scope, customer: customer.clone() };
        let subject = subledger::store::TimelineKey::Customer(key);
        let read = store.read_model.timeline(&subject, Position::ZERO, 1_000).await;
        if read.unwrap().1.iter().any(|it| it.position.0 == position) {
            return customer;
        }
    }
    panic!("nobody's: {position}");
}
