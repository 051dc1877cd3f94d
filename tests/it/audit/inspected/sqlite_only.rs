//! Damage to files of SQLite.

use std::io::{Seek as _, SeekFrom, Write as _};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_was_made_anew_with_other_words_is_named() {
    let ledger = Ledger::new().await;
    let mut sql = raw::log(&ledger.url).await;
    for [table, name, make, drop] in sql.guards().await {
        let (head, _) = make.split_once("\nBEGIN").unwrap();
        execute(&mut sql, &format!("{drop}; {head}\nBEGIN SELECT 1; END")).await;
        let other = format!(
            "the log: the trigger {name} on {table} is not the one that the migrations create"
        );
        assert_eq!(messages(&ledger.store).await, [other]);
        execute(&mut sql, &format!("{drop}; {make}")).await;
    }
    assert_eq!(messages(&ledger.store).await, Vec::<String>::new());
}

/// Verification names what is damaged and goes on as far as it can.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_of_either_file_is_a_finding_and_no_failure() {
    for file in ["subledger.db", "subledger.read.db"] {
        let ledger = Ledger::new().await;
        let body = format!("{{\"text\":\"{}\"}}", "x".repeat(3_000));
        let events: Vec<_> = (1..=200).map(|it| event(&format!("evt_{it}"), &body)).collect();
        ledger.store.log.append(&events).await.unwrap();
        let mut read = raw::read(&ledger.url).await;
        let filler = "CREATE TABLE filler (a TEXT); INSERT INTO filler
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT hex(zeroblob(500)) FROM n";
        execute(&mut read, filler).await;
        read.close().await;
        ledger.store.close().await;

        let path = ledger.directory.path().join(file);
        let mut bytes = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let middle = bytes.metadata().unwrap().len() / 2 / (16 * 1024) * (16 * 1024);
        bytes.seek(SeekFrom::Start(middle)).unwrap();
        bytes.write_all(&[0xff; 16 * 1024]).unwrap();
        drop(bytes);

        let said = messages(&ledger.open_again().await).await;
        let is_of_the_file = |it: &String| it.contains(" is damaged: ");
        assert!(said.iter().any(is_of_the_file), "{file}: {said:?}");
        if file == "subledger.db" {
            let unread =
                said.iter().filter(|it| it.ends_with("cannot read the row (its page is damaged)"));
            let few = |it: &&String| {
                it.split(' ').filter_map(|word| word.parse::<i64>().ok()).is_sorted()
            };
            assert!((1..20).contains(&unread.filter(few).count()), "a few of 200 events: {said:?}");
            assert!(said.iter().all(|it| !it.contains(" missing before this event")), "{said:?}");
        } else {
            assert!(said.iter().all(is_of_the_file), "{said:?}");
        }
    }
}
