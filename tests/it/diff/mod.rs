//! Changes of a rebuild are known before it is done.

mod meanwhile;
mod printed;
mod rules;
mod schema;

use std::path::Path;

use subledger::clock::Clock;
use subledger::ids::Position;
use subledger::projection::Logic;
use subledger::projector::{
    self, DiffEvent, DiffSummary, Listing, RebuildError, RebuildEvent, RebuildMode, RebuildOptions,
};
use subledger::store::{AccessEffect, ChangedSubscription, Store};
use subledger::time::ReceivedAt;
use tokio_util::sync::CancellationToken;

use crate::app::server::{Event, NOW};
use crate::ledger::{append_bodies, open, policy};

/// All that a comparison told.
struct Diff {
    summary: DiffSummary,
    changed: Vec<ChangedSubscription>,
}

impl Diff {
    /// Subscription, effect, and the changed fields as text.
    fn lines(&self) -> Vec<String> {
        let line = |it: &ChangedSubscription| {
            let fields: Vec<String> =
                it.fields.iter().map(|f| format!("{}: {} -> {}", f.field, f.from, f.to)).collect();
            let (id, kind, effect) = (&it.subscription, it.kind, it.effect);
            format!("{id} {kind:?} {effect:?}: {}", fields.join(", "))
        };
        self.changed.iter().map(line).collect()
    }

    fn effects(&self) -> Vec<AccessEffect> {
        self.changed.iter().map(|it| it.effect).collect()
    }
}

async fn run(store: &Store, logic: &Logic, mode: RebuildMode) -> Result<Diff, RebuildError> {
    let (mut summary, mut changed) = (None, Vec::new());
    let clock = Clock::fixed(ReceivedAt::parse(NOW).unwrap());
    let told = |told: RebuildEvent<'_>| match told {
        RebuildEvent::Difference(DiffEvent::Summary(told)) => summary = Some(told.clone()),
        RebuildEvent::Difference(DiffEvent::Subscription(told)) => changed.push(told),
        RebuildEvent::Planned(_) | RebuildEvent::Progress(_) | RebuildEvent::NotCompared(_) => {}
    };
    let options =
        RebuildOptions { mode, listing: Listing::First(usize::MAX), ..RebuildOptions::SWAP };
    projector::rebuild(store, logic, &clock, &CancellationToken::new(), options, told).await?;
    summary.map(|summary| Diff { summary, changed }).ok_or(RebuildError::Stopped)
}

async fn dry_run(store: &Store, logic: &Logic) -> Diff {
    run(store, logic, RebuildMode::DryRun).await.unwrap()
}

/// One subscription of each status: of one user each, all an hour old.
async fn append(store: &Store, events: &[(&'static str, &'static str, &'static str)]) -> Position {
    let events: Vec<_> = events
        .iter()
        .map(|(subscription, user, status)| {
            let id: &str = Box::leak(format!("evt_{subscription}_{status}").into_boxed_str());
            Event { id, subscription, user, status, ..Event::default() }.body()
        })
        .collect();
    append_bodies(store, &events).await;
    store.log.head().await.unwrap().size
}

/// A ledger with these subscriptions, its read model made with the built-in policy.
async fn ledger(folder: &Path) -> Store {
    let store = open(folder).await;
    let events = [
        ("sub_1", "user_1", "active"),
        ("sub_2", "user_2", "trialing"),
        ("sub_3", "user_3", "past_due"),
        ("sub_4", "user_4", "unpaid"),
        ("sub_5", "user_5", "canceled"),
    ];
    append(&store, &events).await;
    run(&store, &Logic::default(), RebuildMode::Swap).await.unwrap();
    store
}
