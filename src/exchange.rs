//! The form in which events leave a ledger and enter another: one JSON object an event.
//!
//! It is what `export` writes a line at a time, what `import` reads back to the same log, root
//! and all, and (without the payload) what the API answers about an event.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, EventId, Position, Scope};
use crate::store::{
    EventFacts, EventSource, ExportedFields, InvalidEvent, LoggedEvent, NewEvent, Redelivery,
    reject_nul, signature_hash, signature_salt,
};
use crate::stripe::SignedWith;
use crate::stripe::envelope::Envelope;
use crate::time::{ReceivedAt, StripeTime};
use crate::tree::Hash;

/// An event as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its place in the log that it comes from.
    pub position: Position,
    /// `evt_…`.
    pub event_id: EventId,
    /// The account; empty for the platform's own.
    pub account: AccountId,
    /// Live or test mode.
    pub livemode: bool,
    /// The event's type.
    pub r#type: String,
    /// The API version that rendered it, where it says so.
    #[serde(default)]
    pub api_version: Option<String>,
    /// When it happened, by Stripe's clock.
    pub created: StripeTime,
    /// The fraction of that second in nanoseconds; absent where there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub created_nanos: u32,
    /// When it was received.
    pub received_at: ReceivedAt,
    /// `webhook`, `api`, `import` or `subledger`.
    pub source: String,
    /// The signature header as received; null where there was none, and where it was erased.
    pub signature: Option<String>,
    /// The salt of the signature's hash, in hex; absent where there is no signature, or its hash has no salt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_salt: Option<String>,
    /// The hash of an erased signature, in hex; absent where none was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_hash: Option<String>,
    /// The salt of the payload's hash, in hex; absent where the payload was erased or is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// `SHA-256(salt || payload)`, in hex.
    pub payload_hash: String,
    /// The exact bytes; absent where they were erased or are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// Whether the payload was erased.
    #[serde(default, skip_serializing_if = "is_false")]
    pub erased: bool,
    /// What came again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redeliveries: Vec<RedeliveryRecord>,
    /// The secret that the signature fitted when it was received: what it is bound to, and an
    /// identifier that does not give it away. Absent where nothing was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_with: Option<String>,
}

/// Later deliveries of one event with one content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedeliveryRecord {
    /// The content's hash with the event's salt, in hex.
    pub payload_hash: String,
    /// The API version that rendered it.
    pub api_version: Option<String>,
    /// When it came first.
    pub first_received_at: ReceivedAt,
    /// When it came last.
    pub last_received_at: ReceivedAt,
    /// How often it came.
    pub count: i64,
    /// The bytes, where the API version is another than the event's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
}

/// A record that no event can be made of.
#[derive(Debug, thiserror::Error)]
pub enum BadRecord {
    /// A field is not in the form that an export has.
    #[error("`{0}` is not in the form that an export has")]
    Field(&'static str),
    /// A field says something else than the payload.
    #[error("`{0}` is not what the payload says")]
    Contradicted(&'static str),
    /// The fields contradict each other.
    #[error(transparent)]
    Invalid(#[from] InvalidEvent),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_zero(nanos: &u32) -> bool {
    *nanos == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_false(erased: &bool) -> bool {
    !*erased
}

impl EventRecord {
    /// The keys that a record may have, in their order.
    pub const KEYS: [&'static str; 19] = [
        "position",
        "event_id",
        "account",
        "livemode",
        "type",
        "api_version",
        "created",
        "created_nanos",
        "received_at",
        "source",
        "signature",
        "signature_salt",
        "signature_hash",
        "salt",
        "payload_hash",
        "payload",
        "erased",
        "redeliveries",
        "signed_with",
    ];

    /// Fields that the leaf of an event covers; its place in the tree covers the position. A payload is covered by
    /// its salted hash.
    const COVERED: [&'static str; 15] = [
        "position",
        "event_id",
        "account",
        "livemode",
        "type",
        "created",
        "created_nanos",
        "received_at",
        "source",
        "signature",
        "signature_salt",
        "signature_hash",
        "salt",
        "payload_hash",
        "payload",
    ];

    /// Fields of this record that a proof of its leaf covers. The API version is among them where the payload
    /// repeats it, because [`EventRecord::into_event`] compares the two.
    pub fn covered_by_proof(&self) -> Vec<&'static str> {
        let envelope = self.payload.as_deref().and_then(|it| Envelope::parse(it).ok());
        let repeated = envelope.and_then(|it| it.api_version).map(|_| "api_version");
        Self::COVERED.into_iter().chain(repeated).collect()
    }

    /// The record of an event, payload and all.
    pub fn new(event: LoggedEvent, redeliveries: Vec<Redelivery>) -> Self {
        let is_salted = event.signature.is_some() && event.signature_hash.is_some();
        let signature_salt = event.salt.as_ref().filter(|_| is_salted).map(signature_salt);
        let signature_hash = event.signature_hash.filter(|_| event.signature.is_none());
        let facts = event.facts;
        Self {
            position: event.position,
            event_id: facts.event_id,
            account: facts.scope.account,
            livemode: facts.scope.livemode,
            r#type: facts.event_type,
            api_version: facts.api_version,
            created: facts.created,
            created_nanos: facts.created_nanos,
            received_at: event.received_at,
            source: event.source.as_str().to_owned(),
            signature: event.signature,
            signature_salt: signature_salt.map(hex::encode),
            signature_hash: signature_hash.map(hex::encode),
            salt: event.salt.map(hex::encode),
            payload_hash: hex::encode(event.payload_hash),
            erased: event.payload.is_none(),
            payload: event.payload,
            redeliveries: redeliveries.into_iter().map(RedeliveryRecord::from).collect(),
            signed_with: event.signed_with,
        }
    }

    /// The same without its content.
    #[must_use]
    pub fn without_payload(mut self) -> Self {
        self.salt = None;
        self.payload = None;
        for redelivery in &mut self.redeliveries {
            redelivery.payload = None;
        }
        self
    }

    /// The event to restore or append, and its redeliveries, which only a restored log takes.
    pub fn into_event(self) -> Result<(NewEvent, Vec<Redelivery>), BadRecord> {
        // A payload that is no event was let in by other rules than today's; its facts stand.
        let envelope = self.payload.as_deref().and_then(|payload| Envelope::parse(payload).ok());
        if let Some(field) = envelope.as_ref().and_then(|it| self.contradicted_by(it)) {
            return Err(BadRecord::Contradicted(field));
        }
        let of_payload = envelope.and_then(|it| it.api_version).map(String::from);
        let api_version = self.api_version.or(of_payload);
        let signature_hash = committed_signature_hash(
            self.signature.as_deref(),
            self.signature_salt.as_deref(),
            self.signature_hash.as_deref(),
        )?;
        let facts = EventFacts {
            scope: Scope { account: self.account, livemode: self.livemode },
            event_id: self.event_id,
            event_type: self.r#type,
            api_version,
            created: self.created,
            created_nanos: self.created_nanos,
        };
        let source = EventSource::parse(&self.source).ok_or(BadRecord::Field("source"))?;
        let signed_with: Option<SignedWith> = self
            .signed_with
            .map(|it| it.parse())
            .transpose()
            .map_err(|_| BadRecord::Field("signed_with"))?;
        let salt = self.salt.map(|salt| bytes(&salt, "salt")).transpose()?;
        let exported = ExportedFields {
            received_at: self.received_at,
            salt,
            payload_hash: bytes(&self.payload_hash, "payload_hash")?,
            payload: self.payload,
            signature_hash,
        };
        let event = NewEvent::exported(facts, source, self.signature, exported)?;
        let event = event.signed_with(signed_with);
        let position = self.position;
        let redeliveries = self.redeliveries.into_iter().map(|it| it.into_redelivery(position));
        Ok((event, redeliveries.collect::<Result<_, _>>()?))
    }
}

impl EventRecord {
    /// The first field that says something else than the payload's envelope. The projection folds
    /// the payload and orders it by the fields, so they must agree.
    fn contradicted_by(&self, envelope: &Envelope<'_>) -> Option<&'static str> {
        let of_payload = envelope.api_version.as_deref();
        let agreements = [
            ("event_id", self.event_id.as_str() == envelope.id),
            (
                "account",
                self.account.as_str() == envelope.account
                    || (self.account.as_str().is_empty() && envelope.is_account_in_context),
            ),
            ("livemode", self.livemode == envelope.livemode),
            ("type", self.r#type == envelope.event_type),
            ("created", self.created == envelope.created),
            ("created_nanos", self.created_nanos == envelope.created_nanos),
            (
                "api_version",
                self.api_version.is_none()
                    || of_payload.is_none_or(|it| self.api_version.as_deref() == Some(it)),
            ),
        ];
        agreements.into_iter().find_map(|(field, agrees)| (!agrees).then_some(field))
    }
}

impl RedeliveryRecord {
    fn into_redelivery(self, position: Position) -> Result<Redelivery, BadRecord> {
        reject_nul("API version of a redelivery", self.api_version.as_deref())?;
        reject_nul("payload of a redelivery", self.payload.as_deref())?;
        Ok(Redelivery {
            position,
            payload_hash: bytes(&self.payload_hash, "payload_hash")?,
            api_version: self.api_version,
            first_received_at: self.first_received_at,
            last_received_at: self.last_received_at,
            count: self.count,
            payload: self.payload,
        })
    }
}

impl From<Redelivery> for RedeliveryRecord {
    fn from(redelivery: Redelivery) -> Self {
        Self {
            payload_hash: hex::encode(redelivery.payload_hash),
            api_version: redelivery.api_version,
            first_received_at: redelivery.first_received_at,
            last_received_at: redelivery.last_received_at,
            count: redelivery.count,
            payload: redelivery.payload,
        }
    }
}

/// The hash of the signature, where it does not follow from the signature alone.
fn committed_signature_hash(
    signature: Option<&str>,
    salt: Option<&str>,
    hash: Option<&str>,
) -> Result<Option<Hash>, BadRecord> {
    match (signature, salt, hash) {
        (Some(signature), Some(salt), None) => {
            Ok(Some(signature_hash(Some(&bytes(salt, "signature_salt")?), signature)))
        }
        (_, None, None) => Ok(None),
        (None, None, Some(hash)) => Ok(Some(bytes(hash, "signature_hash")?)),
        (None, Some(_), _) => Err(BadRecord::Field("signature_salt")),
        (Some(_), _, Some(_)) => Err(BadRecord::Field("signature_hash")),
    }
}

fn bytes<const N: usize>(text: &str, field: &'static str) -> Result<[u8; N], BadRecord> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| BadRecord::Field(field))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
