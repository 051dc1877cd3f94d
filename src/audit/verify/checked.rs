//! Checks of an event by itself: nearly all of the work, on all processors.

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

/// Checker of single events.
pub(super) struct Checker {
    /// Verifier of the stored signatures; none if they are not to be checked.
    pub(super) verifier: Option<Verifier>,
    /// Position of the last event that the read model has folded.
    pub(super) folded: Position,
    /// Keys of the hashes of identities.
    pub(super) keys: RandomState,
}

/// Checked entry of the log.
pub(super) enum CheckedEntry {
    /// Event that could be read.
    Event(Box<CheckedEvent>),
    /// Events that cannot be read, and their effects, up to the position of the read model.
    Damaged(Damage, Vec<EventEffects>),
}

/// Checked event.
pub(super) struct CheckedEvent {
    pub(super) position: Position,
    pub(super) received_at: ReceivedAt,
    /// Hash of its identity.
    pub(super) identity: u64,
    /// Leaf hash computed from its columns.
    pub(super) leaf: Hash,
    /// Descriptions of what is wrong with it.
    pub(super) wrong: Vec<String>,
    /// True if a signature was checked.
    pub(super) signed: bool,
    /// True if its signature was erased.
    pub(super) is_signature_erased: bool,
    pub(super) erasure: Option<ErasureFact>,
    /// Its effects; none for an event after the position of the read model.
    pub(super) effects: Option<EventEffects>,
}

/// Relation of an event to erasures.
pub(super) enum ErasureFact {
    /// Its body is missing.
    Gone(Scope, EventId),
    /// It records that the bodies of these events were erased.
    Recorded(Scope, Vec<EventId>),
}

impl Checker {
    pub(super) fn check_all(&self, records: &RecordChunk) -> Result<Vec<CheckedEntry>, StoreError> {
        let events = records.events()?;
        Ok(events.iter().map(|it| CheckedEntry::Event(Box::new(self.check(it)))).collect())
    }

    /// Checks entries of which some may be damaged.
    pub(super) fn check_entries(&self, entries: Vec<LogEntry>) -> Vec<CheckedEntry> {
        let check = |entry: LogEntry| match entry {
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
        entries.into_iter().map(check).collect()
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
        // No hash covers it, because it only repeats a part of the payload.
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

    /// Checks the signature. True if there is one.
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
        // The verifier has no tolerance in time: a delivery of years ago is valid.
        let now = StripeTime(0);
        match verifier.verify(Some(signature.as_bytes()), payload.as_bytes(), now) {
            Err(error) => wrong.push(format!("the stored signature is invalid: {error}")),
            Ok(signers) => {
                if let Err(error) = signers.signer_for(&event.facts.scope) {
                    wrong.push(error.to_string());
                }
                if signer.is_some_and(|it| !signers.contains(it.secret)) {
                    wrong.push(
                        "signed_with names a secret that did not make the signature".to_owned(),
                    );
                }
            }
        }
        true
    }
}

/// Secret that the log names, if it may vouch for the event. No hash covers it, but it has to match the rest.
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
