//! An event on its way into the log, and as it stands there.

use super::record::{self, Record};
use super::signature;
use crate::ids::{EventId, Position, Scope};
use crate::stripe::{Envelope, SignedWith};
use crate::time::{ReceivedAt, StripeTime};
use crate::tree::Hash;

/// An event that is to be appended: its position, and when it was received, the log will say.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub(super) facts: EventFacts,
    pub(super) source: EventSource,
    pub(super) signature: Option<String>,
    pub(super) signed_with: Option<String>,
    /// None where there is no signature, or its hash has no salt.
    pub(super) signature_hash: Option<Hash>,
    pub(super) payload: Option<String>,
    pub(super) salt: Option<[u8; 16]>,
    pub(super) payload_hash: Hash,
    /// Set where the event comes from an export.
    pub(super) received_at: Option<ReceivedAt>,
}

/// What the envelope of an event says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFacts {
    /// The account and mode.
    pub scope: Scope,
    /// The event; unique within the scope.
    pub event_id: EventId,
    /// Its type, as `customer.subscription.updated`.
    pub event_type: String,
    /// The API version that rendered it, where it says so.
    pub api_version: Option<String>,
    /// When it happened, by Stripe's clock.
    pub created: StripeTime,
    /// The fraction of that second in nanoseconds; only thin events have one.
    pub created_nanos: u32,
}

impl From<&Envelope<'_>> for EventFacts {
    fn from(envelope: &Envelope<'_>) -> Self {
        Self {
            scope: envelope.scope(),
            event_id: EventId::new(envelope.id.clone()),
            event_type: envelope.event_type.clone().into_owned(),
            api_version: envelope.api_version.clone().map(String::from),
            created: envelope.created,
            created_nanos: envelope.created_nanos,
        }
    }
}

/// What an export says of an event beyond its facts.
#[derive(Clone, Debug)]
pub struct ExportedFields {
    /// When it was received.
    pub received_at: ReceivedAt,
    /// Absent where the payload was erased.
    pub salt: Option<[u8; 16]>,
    /// `SHA-256(salt || payload)`.
    pub payload_hash: Hash,
    /// Absent where it was erased.
    pub payload: Option<String>,
    /// The hash that the leaf commits to, where the signature was erased or its hash is salted.
    pub signature_hash: Option<Hash>,
}

/// How an event reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventSource {
    /// Stripe posted it.
    Webhook,
    /// It was read from Stripe's API.
    Api,
    /// A person imported it.
    Import,
    /// Our own record, such as that of an erasure.
    Subledger,
}

/// An event that cannot be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// The record is text in lines; a line break in an id would forge another record.
    #[error("the {0} holds a control character")]
    ControlCharacter(&'static str),
    /// No index takes a name of any length.
    #[error("the {0} is longer than {NAME_BYTES_MAX} bytes")]
    TooLong(&'static str),
    /// No text of PostgreSQL holds the character U+0000.
    #[error("the {0} holds the character U+0000")]
    Nul(&'static str),
    /// No bytes are stored without their salt, and no salt without bytes.
    #[error("payload and salt must both be there, or both be erased")]
    HalfErased,
    /// The payload is not the one that was exported.
    #[error("the payload does not match its hash")]
    WrongHash,
    /// The signature is not the one that was exported, or it is gone and the payload is not.
    #[error("the signature does not match its hash")]
    WrongSignatureHash,
}

/// Longest id, account or type, in bytes. Names from Stripe are far shorter; the record of an erasure adds to one.
const NAME_BYTES_MAX: usize = 512;

impl NewEvent {
    /// An event that has just been received: draws its salt and hashes the payload.
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

    /// An event of an export, with the salt and hash it had.
    ///
    /// [`Log::restore`](super::Log::restore) keeps its `received_at`; an append gives it a new one.
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

    /// The same, with the secret that the signature fits.
    #[must_use]
    pub fn signed_with(self, signed_with: Option<SignedWith>) -> Self {
        Self { signed_with: signed_with.map(|it| it.to_string()), ..self }
    }

    /// The leaf of this event, were it received at that instant.
    pub fn leaf_hash(&self, received_at: ReceivedAt) -> Hash {
        let Self { facts, source, payload_hash, .. } = self;
        let signature_hash = signature::committed(self.signature.as_deref(), self.signature_hash);
        Record { facts, source: *source, signature_hash, payload_hash, received_at }.leaf_hash()
    }

    /// What the envelope says.
    pub fn facts(&self) -> &EventFacts {
        &self.facts
    }

    /// Way in which it reached the log that it comes from.
    pub fn source(&self) -> EventSource {
        self.source
    }

    /// The signature header, if there is one.
    pub fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    /// `SHA-256(salt || payload)`.
    pub fn payload_hash(&self) -> Hash {
        self.payload_hash
    }

    /// Instant at which it was received, where it comes from an export.
    pub fn received_at(&self) -> Option<ReceivedAt> {
        self.received_at
    }

    /// The body, unless it was erased.
    pub fn body(&self) -> Option<&str> {
        self.payload.as_deref()
    }

    /// The size of what will be stored as text, in bytes.
    pub fn stored_bytes(&self) -> usize {
        self.payload.as_ref().map_or(0, String::len)
            + self.signature.as_ref().map_or(0, String::len)
    }
}

impl EventFacts {
    fn check(&self) -> Result<(), InvalidEvent> {
        for (name, text) in [
            ("event id", self.event_id.as_str()),
            ("account", self.scope.account.as_str()),
            ("event type", &self.event_type),
        ] {
            if text.chars().any(char::is_control) {
                return Err(InvalidEvent::ControlCharacter(name));
            }
            if text.len() > NAME_BYTES_MAX {
                return Err(InvalidEvent::TooLong(name));
            }
        }
        reject_nul("API version", self.api_version.as_deref())
    }
}

/// Refuses text that only one of the two databases would store.
pub(crate) fn reject_nul(name: &'static str, text: Option<&str>) -> Result<(), InvalidEvent> {
    match text {
        Some(text) if text.contains('\0') => Err(InvalidEvent::Nul(name)),
        _ => Ok(()),
    }
}

impl EventSource {
    /// The word in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Api => "api",
            Self::Import => "import",
            Self::Subledger => "subledger",
        }
    }

    /// The source of this name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Webhook, Self::Api, Self::Import, Self::Subledger]
            .into_iter()
            .find(|source| source.as_str() == word)
    }
}

/// Random bytes from the operating system.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "a machine without randomness can keep no secret")]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes once it is up");
    bytes
}

/// An event as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Its place.
    pub position: Position,
    /// What its envelope says.
    pub facts: EventFacts,
    /// When it was received, by our clock; rises with the position.
    pub received_at: ReceivedAt,
    /// How it reached us.
    pub source: EventSource,
    /// The signature header exactly as received; absent where it was erased with the payload.
    pub signature: Option<String>,
    /// The secret that the signature fitted when it was received, as [`SignedWith`] writes it; none
    /// where nothing was verified, and for what was received before this was kept. No hash commits
    /// to it.
    pub signed_with: Option<String>,
    /// The hash of the signature that the leaf commits to; absent where there was no signature, or its hash
    /// has no salt and can be computed from it.
    pub signature_hash: Option<Hash>,
    /// `SHA-256(salt || payload)`.
    pub payload_hash: Hash,
    /// Its leaf in the Merkle tree.
    pub leaf_hash: Hash,
    /// Absent where the payload was erased.
    pub salt: Option<[u8; 16]>,
    /// The body exactly as received; absent where it was erased.
    pub payload: Option<String>,
}

/// What is known of an event without reading its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventHeader {
    /// Its place.
    pub position: Position,
    /// When it happened, by Stripe's clock.
    pub created: StripeTime,
    /// When it was received, by our clock.
    pub received_at: ReceivedAt,
    /// How it reached us.
    pub source: EventSource,
    /// How long its body is; 0 where it was erased.
    pub payload_bytes: u32,
}

impl LoggedEvent {
    /// The event without its body.
    pub fn header(&self) -> EventHeader {
        let bytes = self.payload.as_ref().map_or(0, String::len);
        EventHeader {
            position: self.position,
            created: self.facts.created,
            received_at: self.received_at,
            source: self.source,
            payload_bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        }
    }

    /// The leaf hash that this event's columns give: equal to [`Self::leaf_hash`] unless the log
    /// was tampered with.
    pub fn recomputed_leaf_hash(&self) -> Hash {
        let Self { facts, source, payload_hash, received_at, .. } = self;
        let (source, received_at) = (*source, *received_at);
        let signature_hash = signature::committed(self.signature.as_deref(), self.signature_hash);
        Record { facts, source, signature_hash, payload_hash, received_at }.leaf_hash()
    }

    /// Whether the payload is the one that was hashed; an erased one cannot be wrong.
    pub fn payload_matches_hash(&self) -> bool {
        match (&self.salt, &self.payload) {
            (Some(salt), Some(payload)) => record::payload_hash(salt, payload) == self.payload_hash,
            (None, None) => true,
            _ => false,
        }
    }

    /// True if the signature is the one that was hashed; an erased one cannot be wrong.
    pub fn signature_matches_hash(&self) -> bool {
        let (signature, hash) = (self.signature.as_deref(), self.signature_hash.as_ref());
        signature::fits(signature, hash, self.salt.as_ref())
    }

    /// True if there was a signature, which was erased with the payload.
    pub fn is_signature_erased(&self) -> bool {
        self.signature.is_none() && self.signature_hash.is_some()
    }
}

/// What became of an appended event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where it stands, or the first of its id has always stood.
    pub position: Position,
    /// Whether the log knew it already.
    pub duplicate: bool,
}

/// Later deliveries of one event with one content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redelivery {
    /// The event.
    pub position: Position,
    /// The content's hash with the event's salt: the event's own where the bytes are the same.
    pub payload_hash: Hash,
    /// The API version that rendered it.
    pub api_version: Option<String>,
    /// When it came first.
    pub first_received_at: ReceivedAt,
    /// When it came last.
    pub last_received_at: ReceivedAt,
    /// How often it came, the delivery that made the event not counted.
    pub count: i64,
    /// The bytes, where the API version is another than the event's.
    pub payload: Option<String>,
}

/// The end of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// Random, made once with the log.
    pub log_id: String,
    /// The last position.
    pub size: Position,
    /// The root of the Merkle tree.
    pub root: Hash,
    /// When the last event was received; zero for an empty log.
    pub last_received_at: ReceivedAt,
    /// Last of the events that a restore brought. While it is the end, the restore may go on.
    pub restored: Position,
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
