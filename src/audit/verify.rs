//! Verification: the log against its own hashes and head, and the read model against a fresh fold of
//! the log.

use std::collections::BTreeMap;

use serde::Serialize;

use super::erased::Erased;
use super::{SCAN_BYTES_MAX, SCAN_EVENTS_MAX};
use crate::ids::{CustomerKey, Position};
use crate::projection::catalogue::Catalogue;
use crate::projection::observe::observe;
use crate::projection::row::SubscriptionRow;
use crate::projection::state::CustomerState;
use crate::projection::{Logic, rows};
use crate::projector::{can_fold, logic_of};
use crate::proof::Checkpoint;
use crate::store::{Generation, LoggedEvent, Source, Store, StoreError, SubscriptionFilter};
use crate::stripe::Verifier;
use crate::time::{ReceivedAt, StripeTime};
use crate::tree::{Frontier, Hash, Subtree};

/// How many findings are kept; more of them only say the same.
const FINDINGS_MAX: usize = 100;

/// What verification found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Events whose hashes were computed again.
    pub events: i64,
    /// The root that they give, in hex.
    pub root: String,
    /// Signatures that were checked again; none unless secrets were given.
    pub signatures: Option<i64>,
    /// Rows of the read model that were compared with a fresh fold; none if there is no read model, or
    /// if it was made by a version of this program whose fold is another.
    pub rows: Option<i64>,
    /// Checkpoints that the log was compared with.
    pub checkpoints: usize,
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

impl Report {
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
}

/// Reads the whole log once. With a verifier the stored signature headers are checked as well,
/// each at the time that it says itself.
pub async fn verify(
    store: &Store,
    signatures: Option<&Verifier>,
    progress: impl FnMut(VerifyProgress),
) -> Result<Report, StoreError> {
    verify_against(store, signatures, &[], progress).await
}

/// As [`verify`], and the log must have been what these checkpoints say: they are older than whatever
/// was edited since.
pub async fn verify_against(
    store: &Store,
    signatures: Option<&Verifier>,
    checkpoints: &[Checkpoint],
    mut progress: impl FnMut(VerifyProgress),
) -> Result<Report, StoreError> {
    let mut report = Report::default();
    // The rows and how far they have folded, before the log is read up to there and beyond.
    let everything = SubscriptionFilter::default();
    let mut fresh = match store.read_model.subscriptions(&everything, None, usize::MAX).await {
        Err(StoreError::ReadModelBuilding) => None,
        Err(error) => return Err(error),
        Ok((stamp, rows)) => {
            let generations = store.read_model.generations().await?;
            // One that was dropped meanwhile, or made by another program, has nothing to compare with.
            match generations.iter().find(|generation| generation.id == stamp.generation) {
                Some(of_rows) if can_fold(of_rows) => {
                    Some(FreshFold::new(of_rows, stamp.position, rows)?)
                }
                _ => None,
            }
        }
    };
    let head = store.log.head().await?;
    let mut chain = Chain { checkpoints: checkpoints.to_vec(), ..Chain::default() };
    chain.compare_checkpoints(&mut report);
    let mut checked_signatures = 0;
    let mut erased = Erased::default();
    while chain.position < head.size {
        let limit = usize::try_from(head.size.0 - chain.position.0).unwrap_or(usize::MAX);
        let events =
            store.log.scan(chain.position, limit.min(SCAN_EVENTS_MAX), SCAN_BYTES_MAX).await?;
        if events.is_empty() {
            break;
        }
        for event in &events {
            chain.check(event, &mut report);
            erased.note(event);
            if let Some(verifier) = signatures {
                checked_signatures += i64::from(check_signature(event, verifier, &mut report));
            }
            if let Some(fresh) = &mut fresh {
                fresh.fold(event);
            }
        }
        for subtree in store.log.differing_nodes(&std::mem::take(&mut chain.nodes)).await? {
            let message = format!(
                "the kept hash of the subtree {} of 2^{} events is not theirs",
                subtree.index, subtree.level
            );
            report.find(None, message);
        }
        progress(VerifyProgress { done: chain.position.0, total: head.size.0 });
    }
    // What was appended meanwhile came with a head that moved.
    if let Some(next) = store.log.scan(head.size, 1, 1).await?.first()
        && store.log.head().await?.size < next.position
    {
        report.find(Some(next.position), "is beyond the end that the head says");
    }
    if chain.events != head.size.0 {
        let message = format!("the head says {} events, the log holds {}", head.size, chain.events);
        report.find(None, message);
    }
    if chain.frontier.root() != head.root {
        report.find(None, "the root that the events give is not the head's");
    }
    erased.compare(&mut report);
    for checkpoint in &chain.checkpoints {
        let message = format!(
            "a checkpoint speaks of {} events, the log holds {}",
            checkpoint.size, chain.events
        );
        report.find(None, message);
    }
    report.checkpoints = checkpoints.len();
    report.events = chain.events;
    report.root = hex::encode(chain.frontier.root());
    report.signatures = signatures.map(|_| checked_signatures);
    if let Some(fresh) = fresh {
        report.rows = Some(fresh.compare(&mut report));
    }
    Ok(report)
}

/// The log as it is read: dense positions, rising times, hashes that hold.
#[derive(Default)]
struct Chain {
    position: Position,
    received_at: ReceivedAt,
    events: i64,
    frontier: Frontier,
    /// What is completed with the events read last.
    nodes: Vec<(Subtree, Hash)>,
    /// Those that have not been reached yet.
    checkpoints: Vec<Checkpoint>,
}

impl Chain {
    fn check(&mut self, event: &LoggedEvent, report: &mut Report) {
        let at = Some(event.position);
        if event.position != self.position.next() {
            let message = format!("position {} is missing before this event", self.position.next());
            report.find(at, message);
        }
        if event.received_at <= self.received_at {
            report.find(at, "received_at does not rise");
        }
        if !event.payload_matches_hash() {
            report.find(at, "the payload is not the one that was hashed");
        }
        let leaf = event.recomputed_leaf_hash();
        if leaf != event.leaf_hash {
            report.find(at, "the record is not the one that was hashed");
        }
        let nodes = &mut self.nodes;
        self.frontier.push_with(leaf, |subtree, hash| nodes.push((subtree, hash)));
        self.position = event.position;
        self.received_at = event.received_at;
        self.events += 1;
        self.compare_checkpoints(report);
    }

    /// Compares the root with those of the checkpoints of this size.
    fn compare_checkpoints(&mut self, report: &mut Report) {
        let (size, root) = (self.frontier.size(), || self.frontier.root());
        for checkpoint in self.checkpoints.extract_if(.., |it| it.size == size) {
            if checkpoint.root != root() {
                let message = format!("the log of {size} events is not the one that was signed");
                report.find(None, message);
            }
        }
    }
}

/// Whether there was a signature to check.
fn check_signature(event: &LoggedEvent, verifier: &Verifier, report: &mut Report) -> bool {
    let (Some(signature), Some(payload)) = (&event.signature, &event.payload) else { return false };
    // The verifier has no tolerance: a delivery of years ago is as good as one of today.
    let now = StripeTime(0);
    if let Err(error) = verifier.verify(Some(signature.as_bytes()), payload.as_bytes(), now) {
        report.find(Some(event.position), format!("the stored signature does not hold: {error}"));
    }
    true
}

/// The fold of the log from nothing, up to where the live generation stands.
struct FreshFold {
    logic: Logic,
    until: Position,
    stored: Vec<SubscriptionRow>,
    states: BTreeMap<CustomerKey, CustomerState>,
    catalogue: Catalogue,
}

impl FreshFold {
    fn new(
        live: &Generation,
        until: Position,
        stored: Vec<SubscriptionRow>,
    ) -> Result<Self, StoreError> {
        let logic = logic_of(live)?;
        let (states, catalogue) = (BTreeMap::new(), Catalogue::default());
        Ok(Self { logic, until, stored, states, catalogue })
    }

    fn fold(&mut self, event: &LoggedEvent) {
        if event.position > self.until || event.source == Source::Subledger {
            return;
        }
        let Some(Ok(observation)) = event.payload.as_deref().map(observe) else { return };
        observation.catalogue.into_iter().for_each(|entry| self.catalogue.join(entry));
        if let (Some(key), Some(change)) = (observation.customer, observation.change) {
            self.states.entry(key).or_default().add(change.settled());
        }
    }

    /// Compares, and says how many rows there were.
    fn compare(self, report: &mut Report) -> i64 {
        let identity = |row: &SubscriptionRow| {
            let SubscriptionRow { account, livemode, customer_id, subscription_id, .. } = row;
            (account.clone(), *livemode, customer_id.clone(), subscription_id.clone())
        };
        let folded = self.states.iter().flat_map(|(key, s)| rows::rows(key, s, &self.logic));
        let mut folded: BTreeMap<_, _> = folded
            .map(|mut row| {
                self.catalogue.name(&mut row);
                (identity(&row), row)
            })
            .collect();
        let count = self.stored.len();
        for mut stored in self.stored {
            let id = stored.subscription_id.clone();
            // What the view counts is not folded.
            (stored.parked, stored.event_count) = (0, 0);
            match folded.remove(&identity(&stored)) {
                None => report.find(None, format!("{id}: the log knows no such subscription")),
                Some(row) if row != stored => {
                    let fields = differing_fields(&stored, &row).join(", ");
                    report.find(None, format!("{id}: a fresh fold of the log differs in {fields}"));
                }
                Some(_) => {}
            }
        }
        for row in folded.into_values() {
            report.find(None, format!("{}: its row is missing", row.subscription_id));
        }
        i64::try_from(count).unwrap_or(i64::MAX)
    }
}

fn differing_fields(a: &SubscriptionRow, b: &SubscriptionRow) -> Vec<&'static str> {
    let (a, b) = (a.to_values(), b.to_values());
    let columns = SubscriptionRow::COLUMNS.iter().zip(a.iter().zip(&b));
    columns.filter(|(_, (a, b))| a != b).map(|(column, _)| column.name).collect()
}
