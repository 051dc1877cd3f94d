//! Facts of an event from its envelope, and its source.

use crate::ids::{EventId, Scope};
use crate::stripe::Envelope;
use crate::time::StripeTime;

/// Fields of an event's envelope that the log stores in columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFacts {
    /// Account and mode.
    pub scope: Scope,
    /// Event id, unique within the scope.
    pub event_id: EventId,
    /// Event type, such as `customer.subscription.updated`.
    pub event_type: String,
    /// API version that rendered the event, if it is stated.
    pub api_version: Option<String>,
    /// Time of the event by Stripe's clock.
    pub created: StripeTime,
    /// Fraction of that second in nanoseconds. Only thin events have one.
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

/// Way in which an event arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventSource {
    /// Posted by Stripe.
    Webhook,
    /// Read from Stripe's API.
    Api,
    /// Imported from a file.
    Import,
    /// Written by this program, such as the record of an erasure.
    Subledger,
}

/// Reason why an event cannot be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// The record is text in lines, so that a line break in an id could forge another record.
    #[error("the {0} holds a control character")]
    ControlCharacter(&'static str),
    /// A database cannot index a longer name.
    #[error("the {0} is longer than {NAME_BYTES_MAX} bytes")]
    TooLong(&'static str),
    /// PostgreSQL cannot store the character U+0000.
    #[error("the {0} holds the character U+0000")]
    Nul(&'static str),
    /// Payload and salt are stored together or not at all.
    #[error("payload and salt must both be present or both be erased")]
    HalfErased,
    /// The payload does not have the exported hash.
    #[error("the payload does not match its hash")]
    WrongHash,
    /// The signature does not have the exported hash, or it is missing although the payload is present.
    #[error("the signature does not match its hash")]
    WrongSignatureHash,
}

/// Maximum length of an id, account or type, in bytes. Names from Stripe are far shorter.
const NAME_BYTES_MAX: usize = 512;

impl EventFacts {
    pub(super) fn check(&self) -> Result<(), InvalidEvent> {
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

/// Rejects text that SQLite would store and PostgreSQL would not.
pub(crate) fn reject_nul(name: &'static str, text: Option<&str>) -> Result<(), InvalidEvent> {
    match text {
        Some(text) if text.contains('\0') => Err(InvalidEvent::Nul(name)),
        _ => Ok(()),
    }
}

impl EventSource {
    /// Word that is stored in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Api => "api",
            Self::Import => "import",
            Self::Subledger => "subledger",
        }
    }

    /// Reads the stored word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Webhook, Self::Api, Self::Import, Self::Subledger]
            .into_iter()
            .find(|source| source.as_str() == word)
    }
}
