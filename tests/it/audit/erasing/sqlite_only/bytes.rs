//! Every byte of what was erased is gone from every file of a ledger, also beside processes that use it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use subledger::clock::Clock;
use subledger::erasure::{self, ErasedBytes, ErasureRequest};
use subledger::ids::{CustomerId, Position, Scope};
use subledger::projection::Logic;
use subledger::store::{NewEvent, Store};
use tokio_util::sync::CancellationToken;

use crate::app::commands::run;
use crate::app::crash::Served;
use crate::audit::erasing::{MODE, ledger, somebody, verified};
use crate::ledger::{new_event, open, rebuild, rows};
use crate::raw;

/// Random ledgers, and tasks that make them at the same time.
const LEDGERS: u64 = 1_000;
const TASKS: u64 = 8;
const CUSTOMERS: usize = 5;

/// Random numbers of a seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }

    /// A word that stands nowhere else. Bodies repeat it so often that 32 bytes of what they say of a person
    /// always hold a whole one.
    fn word(&mut self) -> String {
        let letters = b"abcdefghijklmnopqrstuvwxyz";
        (0..10).map(|_| char::from(letters[self.below(letters.len())])).collect()
    }
}

/// An event about a customer, whose word is in all that it says of them.
fn body(dice: &mut Dice, number: usize, customer: usize, word: &str, version: &str) -> String {
    let most = if dice.one_in(20) { 3_000 } else { 120 };
    let words = vec![word; 1 + dice.below(most)].join("-");
    let head = |event_type: &str| {
        format!(
            r#""id":"evt_{number}","object":"event","api_version":"{version}","type":"{event_type}","created":{},"livemode":true"#,
            1_700_000_000 + number
        )
    };
    match dice.below(3) {
        0 => format!(
            r#"{{{},"data":{{"object":{{"id":"cus_{customer}","object":"customer","email":"{word}@{word}.{word}","metadata":{{"about":"{words}"}}}}}}}}"#,
            head("customer.updated")
        ),
        1 => format!(
            r#"{{{},"data":{{"object":{{"id":"sub_{customer}","object":"subscription","customer":"cus_{customer}","status":"active","metadata":{{"user_id":"{word}","about":"{words}"}}}}}}}}"#,
            head("customer.subscription.updated")
        ),
        _ => format!(
            r#"{{{},"data":{{"object":{{"id":"ch_{number}","object":"charge","customer":"cus_{customer}","description":"{words}"}}}}}}"#,
            head("charge.succeeded")
        ),
    }
}

/// Appends events of customers in batches of any size, some of which come again in another rendering. Answers with
/// whose events there are.
async fn fill(store: &Store, dice: &mut Dice, words: &[String]) -> BTreeSet<usize> {
    let mut batch: Vec<NewEvent> = Vec::new();
    let mut customers = BTreeSet::new();
    for number in 0..12 + dice.below(30) {
        let customer = dice.below(CUSTOMERS);
        customers.insert(customer);
        batch.push(new_event(&body(dice, number, customer, &words[customer], "2020-08-27")));
        if dice.one_in(3) {
            batch.push(new_event(&body(dice, number, customer, &words[customer], "2025-03-31")));
        }
        if dice.one_in(6) {
            store.log.append(&batch).await.unwrap();
            batch.clear();
        }
    }
    store.log.append(&batch).await.unwrap();
    customers
}

/// The files of a folder that hold a text.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let holds = |path: &std::path::PathBuf| {
        String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains(text)
    };
    files.filter(holds).map(|it| it.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

async fn finish(store: &Store) -> ErasedBytes {
    let stop = CancellationToken::new();
    erasure::finish(store, &Logic::default(), &Clock::System, Duration::ZERO, &stop, |_| {})
        .await
        .unwrap()
}

/// Erases some customers of a random ledger, beside a process that reads it. The ledger is a copy of an empty one,
/// because to make one takes longer than all the rest.
async fn erase_of_a_random_ledger(seed: u64, empty: &Path) {
    let dice = &mut Dice(seed);
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    for file in ["subledger.db", "subledger.read.db"] {
        std::fs::copy(empty.join(file), folder.join(file)).unwrap();
    }
    let store = open(folder).await;
    let words: Vec<String> = (0..CUSTOMERS).map(|_| dice.word()).collect();
    let mut erased = fill(&store, dice, &words).await;
    let one = *erased.first().unwrap();
    erased.retain(|customer| *customer == one || dice.one_in(3));
    if dice.one_in(3) {
        for _ in 0..=usize::from(dice.one_in(4)) {
            rebuild(&store, &Logic::default()).await;
        }
    }
    let url = crate::database(folder);
    let (mut of_log, mut of_read_model) = (raw::log(&url).await, raw::read(&url).await);
    let read = "BEGIN; SELECT count(*) FROM sqlite_schema";
    // Where it reads the read models, dropping a generation waits for it a while.
    let is_read = [dice.one_in(2), dice.one_in(16)];
    if is_read[0] {
        of_log.run(read).await;
    }
    if is_read[1] {
        of_read_model.run(read).await;
    }

    let customers: Vec<CustomerId> =
        erased.iter().map(|it| CustomerId::new(format!("cus_{it}"))).collect();
    let scope = Scope { account: "".into(), livemode: true };
    let found = erasure::find(&store, &scope, &[], &customers, |_| {}).await.unwrap();
    for customer in &erased {
        assert!(!files_with(folder, &words[*customer]).is_empty(), "{seed}");
    }
    let request = ErasureRequest { by: "Ann".to_owned(), reason: None };
    erasure::erase(&store, &found, &request, &Clock::System).await.unwrap();
    let finished = finish(&store).await;
    let expected =
        if is_read.contains(&true) { ErasedBytes::HeldByReader } else { ErasedBytes::Gone };
    assert_eq!(finished, expected, "{seed}: {is_read:?}");
    if finished == ErasedBytes::HeldByReader {
        for (reader, is_read) in [&mut of_log, &mut of_read_model].into_iter().zip(is_read) {
            reader.run(if is_read { "COMMIT" } else { "SELECT 1" }).await;
        }
        assert_eq!(finish(&store).await, ErasedBytes::Gone, "{seed}");
    }
    for customer in erased {
        let left = files_with(folder, &words[customer]);
        assert_eq!(left, Vec::<String>::new(), "{seed}: customer {customer}");
    }
    if seed.is_multiple_of(20) {
        let report = subledger::audit::verify(&store, None, |_| {}).await.unwrap();
        assert!(report.is_clean(), "{seed}: {:?}", report.findings);
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_random_ledgers_no_file_holds_what_was_erased() {
    let empty = tempfile::tempdir().unwrap();
    open(empty.path()).await.close().await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let empty = empty.path().to_owned();
        tasks.spawn(async move {
            for seed in (task..LEDGERS).step_by(usize::try_from(TASKS).unwrap()) {
                erase_of_a_random_ledger(seed, &empty).await;
            }
        });
    }
    tasks.join_all().await;
}

fn erase(customer: &str) -> Vec<&str> {
    [&MODE[..], &["erase", "--customer", customer, "--by", "Ann", "--yes"]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_reader_keeps_the_bytes_the_command_fails_and_the_same_command_ends_it() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let who = somebody(&ledger(folder).await);
    let email = who.email.clone().unwrap();
    std::fs::remove_file(folder.join("made.jsonl")).unwrap();
    let mut reader = raw::log(&crate::database(folder)).await;
    reader.run("BEGIN; SELECT count(*) FROM events").await;
    let held = run(folder, &erase(who.customer_id.as_str()));
    assert_eq!(held.status, 3, "{}", held.err);
    assert!(held.err.contains("another process reads an older state"), "{}", held.err);
    assert!(held.err.contains("run the same command again"), "{}", held.err);
    assert!(!held.err.contains("erased:"), "nothing is said to be gone: {}", held.err);
    assert_ne!(files_with(folder, &email), Vec::<String>::new());

    reader.run("COMMIT").await;
    let ended = run(folder, &erase(who.customer_id.as_str()));
    assert_eq!(ended.status, 0, "{}", ended.err);
    assert!(ended.err.contains("the log has nothing left to erase"), "{}", ended.err);
    assert!(ended.err.contains("no file of the ledger contains the bytes"), "{}", ended.err);
    assert_eq!(files_with(folder, &email), Vec::<String>::new());
    verified(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_server_the_bytes_go_from_all_of_its_files() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let who = somebody(&ledger(folder).await);
    let email = who.email.clone().unwrap();
    std::fs::remove_file(folder.join("made.jsonl")).unwrap();
    let served = Served::start(folder);
    let store = open(folder).await;
    assert!(!files_with(folder, &email).is_empty());
    let erased = run(folder, &erase(who.customer_id.as_str()));
    assert_eq!(erased.status, 0, "{}{}", erased.out, erased.err);
    assert_eq!(files_with(folder, &email), Vec::<String>::new());
    assert!(rows(&store).await.iter().all(|row| row.customer_id != who.customer_id));

    // The server still appends and folds what comes.
    let size = store.log.head().await.unwrap().size;
    let body = crate::app::server::Event::default().body();
    let now = Clock::System.now().to_stripe_time().0;
    let signature = subledger::simulate::sign(crate::app::server::SECRET, now, body.as_bytes());
    let url = format!("http://{}/api/stripe/webhook/", served.address);
    let answer = crate::client().post(url).header("stripe-signature", signature).body(body);
    assert_eq!(answer.send().await.unwrap().status(), 200);
    assert_eq!(store.log.head().await.unwrap().size, size.next());
    let all = store.log.scan(Position::ZERO, usize::MAX, usize::MAX).await.unwrap();
    assert!(all.iter().all(|event| !event.payload.as_ref().is_some_and(|it| it.contains(&email))));
    store.close().await;
    served.signal("TERM");
    drop(served);
    verified(folder);
    assert_eq!(files_with(folder, &email), Vec::<String>::new());
}
