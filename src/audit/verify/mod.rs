//! Verification: the log against its own hashes and head, both databases by their own checks, and the read model
//! against a fresh fold of the log.
//!
//! Each event is checked by itself chunk by chunk on all processors. Checks that depend on other events (the tree, the
//! order, the fold) follow in the order of the log.

mod chain;
mod checked;
mod erased;
mod fresh;
mod ids;
mod read_models;

use std::convert::identity;
use std::hash::RandomState;
use std::num::NonZero;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use tokio_util::task::AbortOnDropHandle;

use self::chain::Chain;
use self::checked::{CheckedEntry, Checker};
use self::erased::ErasureCheck;
use self::fresh::FreshFold;
use self::ids::EventIds;
use super::beside_the_runtime;
use crate::ids::Position;
use crate::projector::can_fold;
use crate::proof::Checkpoint;
use crate::store::DamageCause::{CutOff, Missing};
use crate::store::{Inspection, Log, Store, StoreError};
use crate::stripe::Verifier;
use crate::tree::Subtree;

/// Events that are checked together.
const CHUNK_EVENTS: i64 = 256;
/// Chunks in progress for each processor: some are being read, some checked, some wait for their turn.
const CHUNKS_PER_PROCESSOR: usize = 8;
/// Events between two comparisons with the stored hashes of subtrees.
const SUBTREES_EVERY: usize = 1 << 14;

/// Findings in a report, at most: more than anybody reads, and few enough for the memory.
const FINDINGS_MAX: usize = 100_000;

/// Result of a verification.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VerifyReport {
    /// Number of events whose hashes were recomputed.
    pub events: i64,
    /// Number of distinct event ids, by account and mode. It equals the number of events in a sound log.
    pub ids: i64,
    /// Root of the recomputed tree in base64, as in a checkpoint; empty if an event cannot be read.
    pub root: String,
    /// Number of events that cannot be read. Findings name them.
    pub unreadable: i64,
    /// Number of checked signatures; none unless secrets were given.
    pub signatures: Option<i64>,
    /// Number of signatures that were erased with their events; none unless secrets were given.
    pub signatures_erased: Option<i64>,
    /// Number of rows of the read model that were compared with a fresh fold; none if there is no read model, or if a
    /// version of this program with another fold built it.
    pub rows: Option<i64>,
    /// Number of checkpoints that the log was compared with.
    pub checkpoints: usize,
    /// Checks that were not possible, and their replacements.
    pub notes: Vec<String>,
    /// Number of differences.
    pub differences: usize,
    /// The first differences.
    pub findings: Vec<Finding>,
}

/// Difference that a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Position of the event, if it is about one.
    pub position: Option<Position>,
    /// Description for a person.
    pub message: String,
}

/// Progress of a verification.
#[derive(Clone, Copy, Debug)]
pub struct VerifyProgress {
    /// Number of checked events.
    pub done: i64,
    /// Number of all events.
    pub total: i64,
}

impl VerifyReport {
    /// True if there are no differences.
    pub fn is_clean(&self) -> bool {
        self.differences == 0
    }

    pub(super) fn find(&mut self, position: Option<Position>, message: impl Into<String>) {
        self.differences += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { position, message: message.into() });
        }
    }

    fn add_inspection(&mut self, inspection: Inspection) {
        inspection.findings.into_iter().for_each(|message| self.find(None, message));
        let new = inspection.notes.into_iter().filter(|it| !self.notes.contains(it));
        self.notes.extend(new.collect::<Vec<_>>());
    }
}

/// Verifies the ledger: reads the whole log once. With a verifier the stored signature headers are checked as well,
/// each at its own time.
pub async fn verify(
    store: &Store,
    signatures: Option<&Verifier>,
    progress: impl FnMut(VerifyProgress),
) -> Result<VerifyReport, StoreError> {
    verify_against(store, signatures, &[], progress).await
}

/// Verifies like [`verify`], and compares the log with older checkpoints: an edit since then cannot match them.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn verify_against(
    store: &Store,
    signatures: Option<&Verifier>,
    checkpoints: &[Checkpoint],
    mut progress: impl FnMut(VerifyProgress),
) -> Result<VerifyReport, StoreError> {
    let mut report = VerifyReport::default();
    // The position of the rows, read before the log is.
    let live =
        store.read_model.live().await?.filter(|it| can_fold(store.read_model.projections(), it));
    let folded = live.map_or(Position::ZERO, |live| live.position);
    let mut fresh = FreshFold::up_to(folded);
    let head = store.log.head().await?;
    let keys = RandomState::new();
    let checker = Arc::new(Checker { verifier: signatures.cloned(), folded, keys });
    // In parallel with the events: for a long log it takes about as long.
    let inspecting = AbortOnDropHandle::new(tokio::spawn(inspect(store.clone())));
    let mut chain = Chain::new(checkpoints, &mut report);
    let mut erased = ErasureCheck::default();
    let (mut signed, mut signatures_erased) = (0, 0);
    let mut ids = EventIds::default();
    let mut chunks = check_all(&store.log, Position::ZERO, head.size, &checker);
    while let Some(chunk) = chunks.try_next().await? {
        for event in chunk {
            let mut event = match event {
                CheckedEntry::Event(event) => event,
                CheckedEntry::Damaged(damage, effects) => {
                    // A missing event is reported at the next event, or at the end.
                    if !matches!(damage.cause, Missing | CutOff) {
                        report.unreadable += damage.count();
                        chain.pass(&damage, &mut report);
                    }
                    if let Some(rest) = damage.into_rest() {
                        ids.note(ids::hash(&rest.facts, &checker.keys), rest.position);
                    }
                    fresh.join_all(effects);
                    continue;
                }
            };
            chain.push(&event, &mut report);
            ids.note(event.identity, event.position);
            signed += i64::from(event.signed);
            signatures_erased += i64::from(event.is_signature_erased);
            if let Some(erasing) = event.erasure.take() {
                erased.note(event.position, erasing);
            }
            fresh.join_all(event.effects);
        }
        if chain.completed() >= SUBTREES_EVERY {
            compare_subtrees(&store.log, &mut chain, &mut report).await?;
        }
        progress(VerifyProgress { done: chain.position.0, total: head.size.0 });
    }
    compare_subtrees(&store.log, &mut chain, &mut report).await?;
    // Events that were appended meanwhile have moved the head.
    if let Some(next) = store.log.entries(head.size, 1, 1).await?.first() {
        let position = next.as_ref().map_or_else(|damage| damage.first, |event| event.position);
        if store.log.head().await?.size < position {
            report.find(Some(position), "is beyond the end of the log that the head states");
        }
    }
    if chain.events != head.size.0 {
        let message = format!("the head says {} events, the log holds {}", head.size, chain.events);
        report.find(None, message);
    }
    if chain.root().is_some_and(|root| root != head.root) {
        report.find(None, "the root that the events give is not the head's");
    }
    erased.compare(&mut report);
    chain.end(&mut report);
    report.ids = ids.compare(&store.log, &mut report).await?;
    report.checkpoints = checkpoints.len();
    report.events = chain.events;
    report.root = chain.root().map(|root| STANDARD.encode(root)).unwrap_or_default();
    report.signatures = signatures.map(|_| signed);
    report.signatures_erased = signatures.map(|_| signatures_erased);
    report.rows = match fresh.compare(store, &mut report).await {
        Err(StoreError::Corrupt(why)) => {
            report.find(None, format!("the read model cannot be read: {why}"));
            None
        }
        compared => compared?,
    };
    for inspection in inspecting.await.map_err(|error| StoreError::Internal(error.into()))?? {
        report.add_inspection(inspection);
    }
    Ok(report)
}

/// Runs each database's own checks.
async fn inspect(store: Store) -> Result<[Inspection; 2], StoreError> {
    Ok([store.log.inspect().await?, store.read_model.inspect().await?])
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Checks each event after a position and up to another by itself; results come in the order of the log.
fn check_all(
    log: &Log,
    after: Position,
    up_to: Position,
    checker: &Arc<Checker>,
) -> impl Stream<Item = Result<Vec<CheckedEntry>, StoreError>> + Unpin {
    let starts = (0..).map(move |number| after.plus(number * CHUNK_EVENTS));
    let (log, checker) = (log.clone(), Arc::clone(checker));
    let chunks = starts.take_while(move |start| *start < up_to).map(move |after| {
        let to = after.plus(CHUNK_EVENTS).min(up_to);
        // A task of its own proceeds without being polled.
        tokio::spawn(check(log.clone(), after, to, Arc::clone(&checker)))
    });
    stream::iter(chunks).buffered(CHUNKS_PER_PROCESSOR * processors()).map(|checked| {
        checked.map_err(|error| StoreError::Internal(error.into())).and_then(identity)
    })
}

/// Checks each event after a position and up to another by itself. A range that cannot be read at once is read event
/// by event.
async fn check(
    log: Log,
    mut after: Position,
    to: Position,
    checker: Arc<Checker>,
) -> Result<Vec<CheckedEntry>, StoreError> {
    let mut checked = Vec::new();
    while after < to {
        let mut up_to = to;
        let of_these = match log.records(after, to).await {
            Ok(records) => {
                up_to = records.up_to;
                let checker = Arc::clone(&checker);
                beside_the_runtime(move || checker.check_all(&records)).await?
            }
            Err(error) => Err(error),
        };
        checked.extend(match of_these {
            Err(error) if !error.is_unavailable() => {
                let entries = log.records_by_event(after, up_to).await?;
                let checker = Arc::clone(&checker);
                beside_the_runtime(move || checker.check_entries(entries)).await?
            }
            events => events?,
        });
        after = up_to;
    }
    Ok(checked)
}

/// Compares the hashes of completed subtrees with the stored ones.
async fn compare_subtrees(
    log: &Log,
    chain: &mut Chain,
    report: &mut VerifyReport,
) -> Result<(), StoreError> {
    for subtree in log.differing_nodes(&chain.take_completed()).await? {
        let Subtree { index, level } = subtree;
        let message = format!(
            "the stored hash of the subtree {index} of 2^{level} events does not match them"
        );
        report.find(None, message);
    }
    Ok(())
}
