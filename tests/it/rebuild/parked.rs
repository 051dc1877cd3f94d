//! Events that cannot be folded, in a log that is folded at once.

use subledger::clock::Clock;
use subledger::projection::Logic;
use subledger::projector::RebuildEvent;
use subledger::simulate::{Format, bench_events};

use super::rebuild;
use crate::app::commands::run;
use crate::ledger::{append, new_event, rows};
use crate::store::Ledger;

#[tokio::test(flavor = "multi_thread")]
async fn it_is_parked_with_its_reason_and_counted_and_everything_else_is_there() {
    let ledger = Ledger::with_clock(Clock::System).await;
    let store = &ledger.store;
    let events: Vec<_> = bench_events(1_000, 50, Format::Compact).collect();
    let poisoned = |number: usize| {
        let body = &events[number].body;
        let body = body.replace("\"status\":\"active\"", "\"status\":7");
        new_event(&body.replacen(&events[number].id, &format!("evt_poisoned_{number}"), 1))
    };
    append(store, &events[..400]).await;
    store.log.append(&[poisoned(0), poisoned(3)]).await.unwrap();
    append(store, &events[400..]).await;

    let mut parked = 0;
    let told = |told: RebuildEvent<'_>| {
        if let RebuildEvent::Progress(progress) = told {
            parked = progress.parked;
        }
    };
    let rebuilt = rebuild(store, &Logic::default(), &Clock::System, told).await.unwrap();
    assert_eq!((rebuilt.position.0, rebuilt.parked, parked), (1_002, 2, 2));
    let listed = store.read_model.parked(rebuilt.generation, 10).await.unwrap();
    let ids: Vec<_> = listed.iter().map(|it| it.event_id.as_str()).collect();
    assert_eq!(ids, ["evt_poisoned_0", "evt_poisoned_3"]);
    let reason = "subscription: `status` is an integer where a string belongs";
    assert!(listed.iter().all(|it| it.reason == reason), "{listed:?}");

    let sound = Ledger::with_clock(Clock::System).await;
    append(&sound.store, &events).await;
    rebuild(&sound.store, &Logic::default(), &Clock::System, |_| {}).await.unwrap();
    let mut found = rows(store).await;
    assert_eq!(found.iter().map(|row| row.parked).sum::<i64>(), 2);
    for row in &mut found {
        row.event_count -= row.parked;
        row.parked = 0;
    }
    assert_eq!(found, rows(&sound.store).await);

    let ran = run(ledger.directory.path(), &["rebuild", "--from-log"]);
    assert!(ran.err.contains("1,002 events folded") && ran.err.contains("2 parked"), "{}", ran.err);
}
