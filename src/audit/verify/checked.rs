//! What can be said of an event by itself: nearly all of the work, and done by as many threads as
//! there are.

use std::hash::RandomState;

use super::ids;
use crate::erasure::ErasureRecord;
use crate::ids::{EventId, Position, Scope};
use crate::projection::effects::EventEffects;
use crate::projector::effects_of;
use crate::store::{
    ChunkEvent, Damage, EventSource, LogEntry, LoggedEvent, RecordChunk, StoreError,
};
use crate::stripe::envelope::api_version;
use crate::stripe::{SignedWith, Verifier};
use crate::time::{ReceivedAt, StripeTime};
use crate::tree::Hash;

/// What every event is looked at with.
pub(super) struct Checker {
    /// Checks the stored signatures, where they are asked for.
    pub(super) verifier: Option<Verifier>,
    /// The last event that the read model has folded.
    pub(super) folded: Position,
    /// Keys of the hashes of identities.
    pub(super) keys: RandomState,
}

/// An event in its turn.
pub(super) enum CheckedEntry {
    /// It was read.
    Event(Box<CheckedEvent>),
    /// These cannot be read. What they come to in the read model, as far as that has folded.
    Damaged(Damage, Vec<EventEffects>),
}

/// An event that was looked at.
pub(super) struct CheckedEvent {
    pub(super) position: Position,
    pub(super) received_at: ReceivedAt,
    /// Hash of its identity.
    pub(super) identity: u64,
    /// The leaf that its columns give.
    pub(super) leaf: Hash,
    /// What is wrong with it.
    pub(super) wrong: Vec<String>,
    /// Whether there was a signature to check.
    pub(super) signed: bool,
    /// True if there was a signature to check until it was erased.
    pub(super) is_signature_erased: bool,
    pub(super) erasure: Option<ErasureFact>,
    /// What it comes to in the read model, as far as that has folded.
    pub(super) effects: Option<EventEffects>,
}

/// What an event has to do with erasures.
pub(super) enum ErasureFact {
    /// Its body is gone.
    Gone(Scope, EventId),
    /// It records that these are.
    Recorded(Scope, Vec<EventId>),
}

impl Checker {
    pub(super) fn check_all(&self, records: &RecordChunk) -> Result<Vec<CheckedEntry>, StoreError> {
        let events = records.events()?;
        Ok(events.iter().map(|it| CheckedEntry::Event(Box::new(self.check(it)))).collect())
    }

    /// The same, where some of them may be damaged.
    pub(super) fn check_entries(&self, entries: Vec<LogEntry>) -> Vec<CheckedEntry> {
        let look = |entry: LogEntry| match entry {
            Ok(event) => CheckedEntry::Event(Box::new(self.check(&event))),
            Err(damage) => {
                let folded = damage.positions().take_while(|position| *position <= self.folded);
                let effects = |position| {
                    let rest = damage.rest.as_deref();
                    let event = ChunkEvent::damaged(position, &damage.cause, rest);
                    effects_of(&event)
                };
                let effects = folded.map(effects).collect();
                CheckedEntry::Damaged(damage, effects)
            }
        };
        entries.into_iter().map(look).collect()
    }

    fn check(&self, event: &LoggedEvent) -> CheckedEvent {
        let mut wrong = Vec::new();
        if !event.payload_matches_hash() {
            wrong.push("the payload is not the one that was hashed".to_owned());
        }
        if !event.signature_matches_hash() {
            wrong.push("the signature is not the one that was hashed".to_owned());
        }
        let leaf = event.recomputed_leaf_hash();
        if leaf != event.leaf_hash {
            wrong.push("the record is not the one that was hashed".to_owned());
        }
        // In no hash, because it only repeats what the payload says.
        if says_another_version(event) {
            wrong.push("api_version is not the payload's".to_owned());
        }
        let signer = signer(event, &mut wrong);
        let signed = self.check_signature(event, signer, &mut wrong);
        CheckedEvent {
            position: event.position,
            received_at: event.received_at,
            identity: ids::hash(&event.facts, &self.keys),
            leaf,
            wrong,
            signed,
            is_signature_erased: event.is_signature_erased(),
            erasure: erasure(event),
            effects: (event.position <= self.folded).then(|| effects_of(&event.into())),
        }
    }

    /// Whether there was a signature to check.
    fn check_signature(
        &self,
        event: &LoggedEvent,
        signer: Option<SignedWith>,
        wrong: &mut Vec<String>,
    ) -> bool {
        let (Some(verifier), Some(signature), Some(payload)) =
            (&self.verifier, &event.signature, &event.payload)
        else {
            return false;
        };
        // The verifier has no tolerance: a delivery of years ago is as good as one of today.
        let now = StripeTime(0);
        match verifier.verify(Some(signature.as_bytes()), payload.as_bytes(), now) {
            Err(error) => wrong.push(format!("the stored signature does not hold: {error}")),
            Ok(signers) => {
                if let Err(error) = signers.signer_for(&event.facts.scope) {
                    wrong.push(error.to_string());
                }
                if signer.is_some_and(|it| !signers.contains(it.secret)) {
                    wrong.push(
                        "signed_with names another secret than the signature fits".to_owned(),
                    );
                }
            }
        }
        true
    }
}

/// The secret that the log names, if it may vouch for the event. Nothing commits to it, but it has
/// to fit the rest.
fn signer(event: &LoggedEvent, wrong: &mut Vec<String>) -> Option<SignedWith> {
    let signer = event.signed_with.as_deref()?.parse::<SignedWith>().ok();
    let signer = signer.filter(|it| it.binding.admits(&event.facts.scope));
    if signer.is_none() {
        wrong.push("signed_with names no secret that may vouch for the event".to_owned());
    }
    signer
}

fn says_another_version(event: &LoggedEvent) -> bool {
    let of_payload = event.payload.as_deref().and_then(api_version);
    of_payload.is_some_and(|it| event.facts.api_version.as_deref() != Some(&*it))
}

fn erasure(event: &LoggedEvent) -> Option<ErasureFact> {
    let scope = || event.facts.scope.clone();
    match event.payload.as_deref() {
        None => Some(ErasureFact::Gone(scope(), event.facts.event_id.clone())),
        Some(body) if event.source == EventSource::Subledger => {
            let events = ErasureRecord::read(body)?.events.into_iter().map(|it| it.event_id);
            Some(ErasureFact::Recorded(scope(), events.collect()))
        }
        Some(_) => None,
    }
}
