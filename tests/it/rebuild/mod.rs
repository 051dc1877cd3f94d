//! A rebuild that something happens to: it is killed, its disk is full, an event cannot be folded, another
//! one begins, the log grows, its lease is gone. The live generation answers all the while.

mod growing;
mod killed;
mod sqlite_only {
    mod no_room;
}
mod parked;
mod signals;
mod spilled;
mod states;
mod stepped;
mod together;

use std::path::Path;

use subledger::clock::Clock;
use subledger::projection::Logic;
use subledger::projector::{self, RebuildError, RebuildEvent, RebuildOptions, Rebuilt};
use subledger::simulate::{Format, bench_events};
use subledger::store::{GenerationId, GenerationStatus, Store};
use tokio_util::sync::CancellationToken;

pub(crate) use self::stepped::steps;

use crate::ledger::{SWAP, append, policy};
use crate::store::Ledger;

/// A policy under which nobody has access.
const STRICT: &str = "grant = []";

pub(crate) fn strict() -> Logic {
    policy(STRICT)
}

async fn rebuild(
    store: &Store,
    logic: &Logic,
    clock: &Clock,
    tell: impl FnMut(RebuildEvent<'_>),
) -> Result<Rebuilt, RebuildError> {
    rebuild_by(SWAP, store, logic, clock, tell).await
}

async fn rebuild_by(
    options: RebuildOptions,
    store: &Store,
    logic: &Logic,
    clock: &Clock,
    tell: impl FnMut(RebuildEvent<'_>),
) -> Result<Rebuilt, RebuildError> {
    projector::rebuild(store, logic, clock, &CancellationToken::new(), options, tell).await
}

/// A ledger with so many events of so many customers, and a live generation.
async fn ledger(events: usize, customers: usize) -> Ledger {
    let ledger = Ledger::with_clock(Clock::System).await;
    let events: Vec<_> = bench_events(events, customers, Format::Compact).collect();
    append(&ledger.store, &events).await;
    rebuild(&ledger.store, &Logic::default(), &Clock::System, |_| {}).await.unwrap();
    ledger
}

async fn statuses(store: &Store) -> Vec<(GenerationId, GenerationStatus)> {
    let generations = store.read_model.generations().await.unwrap();
    generations.iter().map(|it| (it.id, it.status)).collect()
}

/// The bytes of a file, or 0 where there is none.
fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// The bytes of the read model that belongs to this folder.
fn read_model_bytes(folder: &Path) -> u64 {
    crate::raw::read_model_bytes(folder)
}
