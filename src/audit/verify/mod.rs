//! Verification: the log against its own hashes and head, both databases by their own means, and the read model
//! against a fresh fold of the log.
//!
//! What can be said of an event by itself is found out chunk by chunk on all processors; what it takes
//! the others for (the tree, the order, the fold) is done in the order of the log as they come in.

mod chain;
mod checked;
mod erased;
mod fresh;
mod ids;

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
use self::ids::Ids;
use super::beside_the_runtime;
use crate::ids::Position;
use crate::projector::can_fold;
use crate::proof::Checkpoint;
use crate::store::DamageCause::{CutOff, Missing};
use crate::store::{Inspection, Log, Store, StoreError};
use crate::stripe::Verifier;
use crate::tree::Subtree;

/// Events that are looked at together.
const CHUNK_EVENTS: i64 = 256;
/// Chunks that are on their way for each processor: some are read, some looked at, some wait for their turn.
const CHUNKS_PER_PROCESSOR: usize = 8;
/// Events between two comparisons with the hashes that are kept of subtrees.
const SUBTREES_EVERY: usize = 1 << 14;

/// Findings that are kept, at most: far more than anybody reads, and few enough for the memory.
const FINDINGS_MAX: usize = 100_000;

/// What verification found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VerifyReport {
    /// Events whose hashes were computed again.
    pub events: i64,
    /// Distinct ids of events, within an account and mode: as many as there are events.
    pub ids: i64,
    /// The root that they give, in base64, as a checkpoint has it; empty where an event cannot be read that it
    /// takes.
    pub root: String,
    /// Events that cannot be read. Each is named by a finding.
    pub unreadable: i64,
    /// Signatures that were checked again; none unless secrets were given.
    pub signatures: Option<i64>,
    /// Signatures that were erased with their events and cannot be checked; none unless secrets were given.
    pub signatures_erased: Option<i64>,
    /// Rows of the read model that were compared with a fresh fold; none if there is no read model, or
    /// if it was made by a version of this program whose fold is another.
    pub rows: Option<i64>,
    /// Checkpoints that the log was compared with.
    pub checkpoints: usize,
    /// Checks that were not possible, and what was done instead.
    pub notes: Vec<String>,
    /// How many differences there are.
    pub differences: usize,
    /// The first of them.
    pub findings: Vec<Finding>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The event, where it is about one.
    pub position: Option<Position>,
    /// What is wrong, for a person.
    pub message: String,
}

/// How a verification is going.
#[derive(Clone, Copy, Debug)]
pub struct VerifyProgress {
    /// Events looked at.
    pub done: i64,
    /// Events in all.
    pub total: i64,
}

impl VerifyReport {
    /// Whether everything is as it should be.
    pub fn is_clean(&self) -> bool {
        self.differences == 0
    }

    pub(super) fn find(&mut self, position: Option<Position>, message: impl Into<String>) {
        self.differences += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { position, message: message.into() });
        }
    }

    fn take(&mut self, inspection: Inspection) {
        inspection.findings.into_iter().for_each(|message| self.find(None, message));
        let new = inspection.notes.into_iter().filter(|it| !self.notes.contains(it));
        self.notes.extend(new.collect::<Vec<_>>());
    }
}

/// Reads the whole log once. With a verifier the stored signature headers are checked as well,
/// each at the time that it says itself.
pub async fn verify(
    store: &Store,
    signatures: Option<&Verifier>,
    progress: impl FnMut(VerifyProgress),
) -> Result<VerifyReport, StoreError> {
    verify_against(store, signatures, &[], progress).await
}

/// As [`verify`], and the log must have been what these checkpoints say: they are older than whatever
/// was edited since.
pub async fn verify_against(
    store: &Store,
    signatures: Option<&Verifier>,
    checkpoints: &[Checkpoint],
    mut progress: impl FnMut(VerifyProgress),
) -> Result<VerifyReport, StoreError> {
    let mut report = VerifyReport::default();
    // How far the rows have folded, before the log is read up to there and beyond.
    let live = store.read_model.live().await?.filter(can_fold);
    let folded = live.map_or(Position::ZERO, |live| live.position);
    let mut fresh = FreshFold::up_to(folded);
    let head = store.log.head().await?;
    let keys = RandomState::new();
    let checker = Arc::new(Checker { verifier: signatures.cloned(), folded, keys });
    // Beside the events: it takes about as long where the log is long.
    let inspecting = AbortOnDropHandle::new(tokio::spawn(inspect(store.clone())));
    let mut chain = Chain::new(checkpoints, &mut report);
    let mut erased = ErasureCheck::default();
    let (mut signed, mut signatures_erased) = (0, 0);
    let mut ids = Ids::default();
    let mut chunks = check_all(&store.log, Position::ZERO, head.size, &checker);
    while let Some(chunk) = chunks.try_next().await? {
        for event in chunk {
            let mut event = match event {
                CheckedEntry::Event(event) => event,
                CheckedEntry::Damaged(damage, effects) => {
                    // What is missing is found when the next event is read, or at the end.
                    if !matches!(damage.cause, Missing | CutOff) {
                        report.unreadable += damage.count();
                        chain.pass(&damage, &mut report);
                    }
                    if let Some(rest) = damage.into_rest() {
                        ids.note(ids::hash(&rest.facts, &checker.keys), rest.position);
                    }
                    effects.into_iter().for_each(|it| fresh.join(it));
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
            event.effects.into_iter().for_each(|it| fresh.join(it));
        }
        if chain.completed() >= SUBTREES_EVERY {
            compare_subtrees(&store.log, &mut chain, &mut report).await?;
        }
        progress(VerifyProgress { done: chain.position.0, total: head.size.0 });
    }
    compare_subtrees(&store.log, &mut chain, &mut report).await?;
    // What was appended meanwhile came with a head that moved.
    if let Some(next) = store.log.entries(head.size, 1, 1).await?.first() {
        let position = next.as_ref().map_or_else(|damage| damage.first, |event| event.position);
        if store.log.head().await?.size < position {
            report.find(Some(position), "is beyond the end that the head says");
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
        report.take(inspection);
    }
    Ok(report)
}

/// Both databases, each by its own means.
async fn inspect(store: Store) -> Result<[Inspection; 2], StoreError> {
    Ok([store.log.inspect().await?, store.read_model.inspect().await?])
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// The events after a position and up to another, each looked at by itself, in the order of the log.
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
        // A task of its own goes on also while nobody waits for it.
        tokio::spawn(check(log.clone(), after, to, Arc::clone(&checker)))
    });
    stream::iter(chunks).buffered(CHUNKS_PER_PROCESSOR * processors()).map(|checked| {
        checked.map_err(|error| StoreError::Internal(error.into())).and_then(identity)
    })
}

/// The events after a position and up to another, each looked at by itself. A range that cannot be read at once is
/// read event by event.
async fn check(
    log: Log,
    mut after: Position,
    to: Position,
    checker: Arc<Checker>,
) -> Result<Vec<CheckedEntry>, StoreError> {
    let mut looked = Vec::new();
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
        looked.extend(match of_these {
            Err(error) if !error.is_unavailable() => {
                let entries = log.records_by_event(after, up_to).await?;
                let checker = Arc::clone(&checker);
                beside_the_runtime(move || checker.check_entries(entries)).await?
            }
            events => events?,
        });
        after = up_to;
    }
    Ok(looked)
}

/// Compares the subtrees that were completed with what is kept of them.
async fn compare_subtrees(
    log: &Log,
    chain: &mut Chain,
    report: &mut VerifyReport,
) -> Result<(), StoreError> {
    for subtree in log.differing_nodes(&chain.take_completed()).await? {
        let Subtree { index, level } = subtree;
        let message =
            format!("the kept hash of the subtree {index} of 2^{level} events is not theirs");
        report.find(None, message);
    }
    Ok(())
}
