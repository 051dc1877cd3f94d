//! Events before they are appended.

use super::facts::{EventFacts, EventSource, InvalidEvent, reject_nul};
use super::record::{self, Record};
use super::signature;
use crate::stripe::SignedWith;
use crate::time::ReceivedAt;
use crate::tree::Hash;

/// Event to be appended. The log assigns its position and time of arrival.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub(in crate::store) facts: EventFacts,
    pub(in crate::store) source: EventSource,
    pub(in crate::store) signature: Option<String>,
    pub(in crate::store) signed_with: Option<String>,
    /// None if there is no signature, or if its hash has no salt.
    pub(in crate::store) signature_hash: Option<Hash>,
    pub(in crate::store) payload: Option<String>,
    pub(in crate::store) salt: Option<[u8; 16]>,
    pub(in crate::store) payload_hash: Hash,
    /// Set if the event comes from an export.
    pub(in crate::store) received_at: Option<ReceivedAt>,
}

/// Fields of an exported event beside its facts.
#[derive(Clone, Debug)]
pub struct ExportedFields {
    /// Time of arrival.
    pub received_at: ReceivedAt,
    /// None if the payload was erased.
    pub salt: Option<[u8; 16]>,
    /// `SHA-256(salt || payload)`.
    pub payload_hash: Hash,
    /// None if it was erased.
    pub payload: Option<String>,
    /// Hash of the signature that the leaf commits to, if the signature was erased or its hash is salted.
    pub signature_hash: Option<Hash>,
}

impl NewEvent {
    /// Creates an event that was just received: generates its salt and hashes the payload.
    pub fn new(
        facts: EventFacts,
        source: EventSource,
        signature: Option<String>,
        payload: String,
    ) -> Result<Self, InvalidEvent> {
        facts.check()?;
        reject_nul("signature", signature.as_deref())?;
        reject_nul("payload", Some(&payload))?;
        let salt = random_bytes();
        Ok(Self {
            payload_hash: record::payload_hash(&salt, &payload),
            signature_hash: signature.as_deref().map(|it| signature::salted(&salt, it)),
            facts,
            source,
            signature,
            signed_with: None,
            payload: Some(payload),
            salt: Some(salt),
            received_at: None,
        })
    }

    /// Creates an event from an export, with its salt and hashes.
    ///
    /// [`Log::restore`](crate::store::Log::restore) keeps its `received_at`; an append gives it a new one.
    pub fn exported(
        facts: EventFacts,
        source: EventSource,
        signature: Option<String>,
        exported: ExportedFields,
    ) -> Result<Self, InvalidEvent> {
        facts.check()?;
        let ExportedFields { received_at, salt, payload_hash, payload, signature_hash } = exported;
        reject_nul("signature", signature.as_deref())?;
        reject_nul("payload", payload.as_deref())?;
        match (&salt, &payload) {
            (Some(salt), Some(payload)) if record::payload_hash(salt, payload) != payload_hash => {
                return Err(InvalidEvent::WrongHash);
            }
            (Some(_), Some(_)) | (None, None) => {}
            _ => return Err(InvalidEvent::HalfErased),
        }
        if !signature::fits(signature.as_deref(), signature_hash.as_ref(), salt.as_ref()) {
            return Err(InvalidEvent::WrongSignatureHash);
        }
        Ok(Self {
            facts,
            source,
            signature,
            signed_with: None,
            signature_hash,
            payload,
            salt,
            payload_hash,
            received_at: Some(received_at),
        })
    }

    /// Sets the webhook secret that verified the signature.
    #[must_use]
    pub fn signed_with(self, signed_with: Option<SignedWith>) -> Self {
        Self { signed_with: signed_with.map(|it| it.to_string()), ..self }
    }

    /// Computes the leaf hash for a time of arrival.
    pub fn leaf_hash(&self, received_at: ReceivedAt) -> Hash {
        let Self { facts, source, payload_hash, .. } = self;
        let signature_hash = signature::committed(self.signature.as_deref(), self.signature_hash);
        Record { facts, source: *source, signature_hash, payload_hash, received_at }.leaf_hash()
    }

    /// Fields of the envelope.
    pub fn facts(&self) -> &EventFacts {
        &self.facts
    }

    /// Way in which the event arrived first.
    pub fn source(&self) -> EventSource {
        self.source
    }

    /// Signature header, if there is one.
    pub fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    /// `SHA-256(salt || payload)`.
    pub fn payload_hash(&self) -> Hash {
        self.payload_hash
    }

    /// Content; none if it was erased.
    pub fn payload(&self) -> Option<&str> {
        self.payload.as_deref()
    }

    /// Time of arrival, if the event comes from an export.
    pub fn received_at(&self) -> Option<ReceivedAt> {
        self.received_at
    }

    /// Body. None if it was erased.
    pub fn body(&self) -> Option<&str> {
        self.payload.as_deref()
    }

    /// Size of payload and signature, in bytes.
    pub fn stored_bytes(&self) -> usize {
        self.payload.as_ref().map_or(0, String::len)
            + self.signature.as_ref().map_or(0, String::len)
    }
}

/// Draws random bytes from the operating system.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "a machine without randomness can keep no secret")]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes once it is up");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(event_id: &str) -> EventFacts {
        EventFacts { event_id: event_id.into(), ..EventFacts::default() }
    }

    #[test]
    fn a_line_break_in_an_id_cannot_forge_a_record() {
        let event = NewEvent::new(facts("evt_1\nlive"), EventSource::Webhook, None, String::new());
        assert_eq!(event.unwrap_err(), InvalidEvent::ControlCharacter("event id"));
    }

    #[test]
    fn what_one_database_would_not_store_is_refused_for_both() {
        let refused = |facts: EventFacts, signature: Option<&str>| {
            let signature = signature.map(str::to_owned);
            NewEvent::new(facts, EventSource::Webhook, signature, "{}".to_owned())
                .map(drop)
                .unwrap_err()
        };
        assert_eq!(refused(facts(&"e".repeat(513)), None), InvalidEvent::TooLong("event id"));
        assert_eq!(refused(facts("evt_1"), Some("t=1\0")), InvalidEvent::Nul("signature"));
        let version = EventFacts { api_version: Some("\0".to_owned()), ..facts("evt_1") };
        assert_eq!(refused(version, None), InvalidEvent::Nul("API version"));
    }

    #[test]
    fn an_export_whose_payload_was_edited_is_refused() {
        let salt = [1; 16];
        let restore = |salt, payload: Option<&str>| {
            let exported = ExportedFields {
                received_at: ReceivedAt(1),
                salt,
                payload_hash: record::payload_hash(&[1; 16], "{}"),
                payload: payload.map(str::to_owned),
                signature_hash: None,
            };
            NewEvent::exported(facts("evt_1"), EventSource::Webhook, None, exported).map(|_| ())
        };
        assert_eq!(restore(Some(salt), Some("{}")), Ok(()));
        assert_eq!(restore(None, None), Ok(()));
        assert_eq!(restore(Some(salt), Some("{ }")), Err(InvalidEvent::WrongHash));
        assert_eq!(restore(None, Some("{}")), Err(InvalidEvent::HalfErased));
    }

    #[test]
    fn an_export_whose_signature_was_edited_is_refused() {
        let restore = |signature: Option<&str>, salt: Option<[u8; 16]>| {
            let exported = ExportedFields {
                received_at: ReceivedAt(1),
                salt,
                payload_hash: record::payload_hash(&[1; 16], "{}"),
                payload: salt.map(|_| "{}".to_owned()),
                signature_hash: Some(signature::salted(&[1; 16], "t=1,v1=ab")),
            };
            let signature = signature.map(str::to_owned);
            NewEvent::exported(facts("evt_1"), EventSource::Webhook, signature, exported)
                .map(|_| ())
        };
        assert_eq!(restore(Some("t=1,v1=ab"), Some([1; 16])), Ok(()));
        assert_eq!(restore(None, None), Ok(()), "it was erased");
        for signature in [Some("t=1,v1=ac"), None] {
            let refused = restore(signature, Some([1; 16]));
            assert_eq!(refused, Err(InvalidEvent::WrongSignatureHash), "{signature:?}");
        }
    }

    #[test]
    fn two_events_never_share_a_salt() {
        let new =
            || NewEvent::new(facts("evt_1"), EventSource::Webhook, None, "{}".to_owned()).unwrap();
        assert_ne!(new().payload_hash, new().payload_hash);
    }
}
