//! Histories that link thin events and what was fetched for them.

use subledger::audit::{self, FoldOutcome, HistoryEvent, Past, Subject, SubjectKind};
use subledger::projection::Logic;
use subledger::simulate::Plan;
use subledger::simulate::serve::Options;
use subledger::store::Store;
use subledger::time::{DAY_SECONDS, StripeTime};

use super::*;

async fn history_of(store: &Store, subject: &Subject, past: Past) -> audit::History {
    audit::history(store, subject.clone(), past).await.unwrap().unwrap().1
}

fn note(event: &HistoryEvent) -> &str {
    event.note.as_deref().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_names_both_the_thin_event_and_what_was_fetched_for_it() {
    let plan = Plan { seed: 31, subscriptions: 12, months: 1, ..Plan::default() };
    let world = World::with(plan, Options::default()).await;
    let now = world.start.0 + 28 * DAY_SECONDS;
    world.stripe.set_now(StripeTime(now));
    let (_folder, store) = new_ledger().await;
    hear_thin(&store, world.events.iter().filter(|it| it.created <= now)).await;
    let before = store.log.head().await.unwrap().last_received_at;
    fetch_all(&store, &world).await;
    follow_to_the_end(&store, &Logic::default()).await;

    let rows = rows(&store).await;
    let row = rows.iter().max_by_key(|row| row.event_count).unwrap();
    let scope = Scope { account: row.account.as_str().into(), livemode: row.livemode };
    let id = row.subscription_id.to_string();
    let subject = Subject { kind: SubjectKind::Subscription, id: id.clone(), scope };
    let history = history_of(&store, &subject, Past::default()).await;
    assert_eq!(history.state, std::slice::from_ref(row), "thin events are not counted");
    let thin: Vec<_> =
        history.events.iter().filter(|it| it.event_type.starts_with("v1.")).collect();
    assert!(thin.len() > 2, "{}", thin.len());
    for thin in thin {
        let fetched = note(thin).strip_prefix("thin event: fetched as ").unwrap();
        let place = |id: &str| history.events.iter().position(|it| it.event_id.as_str() == id);
        let (at, fetched) = (place(thin.event_id.as_str()), place(fetched).unwrap());
        assert!(at < Some(fetched), "the thin event comes first");
        let words = format!("fetched for thin event {}", thin.event_id);
        assert!(note(&history.events[fetched]).contains(&words));
        assert!(thin.changes.is_empty() && thin.folding == FoldOutcome::NotFolded);
        let said = audit::thin_link(&store.log, thin.position).await.unwrap();
        assert_eq!(said.as_deref(), thin.note.as_deref());
    }

    // Before they were fetched, they waited. A later event does not change that.
    let past = Past { known_at: Some(before), ..Past::default() };
    let earlier = history_of(&store, &subject, past).await;
    assert!(earlier.events.iter().all(|it| note(it) == "thin event: waits to be fetched"));
    assert!(!earlier.events.is_empty() && earlier.state.is_empty());

    let related =
        format!(r#"{{"id":"{id}","type":"subscription","url":"/v1/subscriptions/{id}"}}"#);
    let livemode = row.livemode;
    let body = super::thin("evt_thin_late", "\"evt_lost\"", &related)
        .replace(r#""livemode":true"#, &format!(r#""livemode":{livemode}"#))
        .replace(r#""context":null"#, &format!(r#""context":{}"#, context(row.account.as_str())));
    append_bodies(&store, &[body]).await;
    note_thin_events(&store.log).await.unwrap();
    let waits = history_of(&store, &subject, Past::default()).await;
    let late = waits.events.iter().find(|it| it.event_id.as_str() == "evt_thin_late").unwrap();
    assert_eq!(note(late), "thin event: waits to be fetched");
}

fn context(account: &str) -> String {
    if account.is_empty() { "null".to_owned() } else { format!("{account:?}") }
}
