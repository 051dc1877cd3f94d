//! Exchange format of events: one JSON object per event.
//!
//! `export` writes it line by line, `import` restores the same log from it, with the same root, and the API
//! returns it (without the payload) for one event.

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

/// Record of one event of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Position in the log that it comes from.
    pub position: Position,
    /// `evt_…`.
    pub event_id: EventId,
    /// Connected account; empty for the platform's own.
    pub account: AccountId,
    /// Live or test mode.
    pub livemode: bool,
    /// Type of the event.
    pub r#type: String,
    /// API version that it is rendered at, if it says it.
    #[serde(default)]
    pub api_version: Option<String>,
    /// Second in which it happened, by Stripe's clock.
    pub created: StripeTime,
    /// Fraction of that second in nanoseconds; absent if it is zero.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub created_nanos: u32,
    /// Time of receipt.
    pub received_at: ReceivedAt,
    /// `webhook`, `api`, `import` or `subledger`.
    pub source: String,
    /// Signature header as received; null if there was none or it was erased.
    pub signature: Option<String>,
    /// Salt of the signature's hash, in hex; absent without a signature, or if its hash has no salt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_salt: Option<String>,
    /// Hash of an erased signature, in hex; absent if none was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_hash: Option<String>,
    /// Salt of the payload's hash, in hex; absent if the payload was erased or is omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// `SHA-256(salt || payload)`, in hex.
    pub payload_hash: String,
    /// Exact bytes of the body; absent if they were erased or are omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// True if the payload was erased.
    #[serde(default, skip_serializing_if = "is_false")]
    pub erased: bool,
    /// Redeliveries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redeliveries: Vec<RedeliveryRecord>,
    /// Secret that signed it: its binding, and an identifier that does not reveal it. Absent if no signature was
    /// verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_with: Option<String>,
}

/// Later deliveries of one event with equal content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedeliveryRecord {
    /// Hash of the content with the event's salt, in hex.
    pub payload_hash: String,
    /// API version that it is rendered at.
    pub api_version: Option<String>,
    /// Time of the first of them.
    pub first_received_at: ReceivedAt,
    /// Time of the last of them.
    pub last_received_at: ReceivedAt,
    /// Number of deliveries.
    pub count: i64,
    /// Bytes of the body, if the API version differs from the event's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
}

/// Reason why a record cannot become an event.
#[derive(Debug, thiserror::Error)]
pub enum BadRecord {
    /// A field does not have the form that an export has.
    #[error("`{0}` is not in the form that an export has")]
    Field(&'static str),
    /// A field contradicts the payload.
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
    /// Keys that a record may have, in their order.
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

    /// Fields that the leaf of an event covers. The position is covered by the leaf's place in the tree, the payload
    /// by its salted hash.
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

    /// Fields of this record that a proof of its leaf covers. This includes the API version if the payload
    /// contains it, because [`EventRecord::into_event`] compares the two.
    pub fn covered_by_proof(&self) -> Vec<&'static str> {
        let envelope = self.payload.as_deref().and_then(|it| Envelope::parse(it).ok());
        let repeated = envelope.and_then(|it| it.api_version).map(|_| "api_version");
        Self::COVERED.into_iter().chain(repeated).collect()
    }

    /// Record of an event, with its payload.
    pub fn new(event: LoggedEvent, redeliveries: Vec<Redelivery>) -> Self {
        let LoggedEvent {
            position,
            facts,
            received_at,
            source,
            signature,
            signed_with,
            signature_hash,
            payload_hash,
            // Computed from the other fields.
            leaf_hash: _,
            salt,
            payload,
        } = event;
        let EventFacts { scope, event_id, event_type, api_version, created, created_nanos } = facts;
        let is_salted = signature.is_some() && signature_hash.is_some();
        let signature_salt = salt.as_ref().filter(|_| is_salted).map(signature_salt);
        let signature_hash = signature_hash.filter(|_| signature.is_none());
        Self {
            position,
            event_id,
            account: scope.account,
            livemode: scope.livemode,
            r#type: event_type,
            api_version,
            created,
            created_nanos,
            received_at,
            source: source.as_str().to_owned(),
            signature,
            signature_salt: signature_salt.map(hex::encode),
            signature_hash: signature_hash.map(hex::encode),
            salt: salt.map(hex::encode),
            payload_hash: hex::encode(payload_hash),
            erased: payload.is_none(),
            payload,
            redeliveries: redeliveries.into_iter().map(RedeliveryRecord::from).collect(),
            signed_with,
        }
    }

    /// The record without bodies.
    #[must_use]
    pub fn without_payload(mut self) -> Self {
        self.salt = None;
        self.payload = None;
        for redelivery in &mut self.redeliveries {
            redelivery.payload = None;
        }
        self
    }

    /// Converts to the event to restore or append, and its redeliveries, which only a restored log takes.
    pub fn into_event(self) -> Result<(NewEvent, Vec<Redelivery>), BadRecord> {
        // A payload that is not an event was accepted by older rules; then the fields count.
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
    /// First field that contradicts the payload's envelope. The projection folds the payload and orders it by the
    /// fields, so they must agree.
    fn contradicted_by(&self, envelope: &Envelope<'_>) -> Option<&'static str> {
        let of_payload = envelope.api_version.as_deref();
        let agreements = [
            ("event_id", self.event_id.as_str() == envelope.id),
            (
                "account",
                self.account.as_str() == envelope.account
                    || (self.account.as_str().is_empty() && envelope.is_account_in_context)
                    // The API lists the events of a connected account without naming it.
                    || (self.source == EventSource::Api.as_str() && envelope.account.is_empty()),
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
        let Redelivery {
            // That of the event.
            position: _,
            payload_hash,
            api_version,
            first_received_at,
            last_received_at,
            count,
            payload,
        } = redelivery;
        Self {
            payload_hash: hex::encode(payload_hash),
            api_version,
            first_received_at,
            last_received_at,
            count,
            payload,
        }
    }
}

/// Hash of the signature, if it cannot be computed from the signature alone.
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
