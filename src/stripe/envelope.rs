//! Event envelope: the fields that every event has, whatever its type, age or API version.

use std::borrow::Cow;
use std::fmt;

use chrono::DateTime;
use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json::{MaybeText, Text};
use super::observation;
use crate::ids::{AccountId, Scope};
use crate::time::StripeTime;

/// Maximum length of an event id, type, account or API version, in bytes. Stripe's are far shorter.
pub const NAME_BYTES_MAX: usize = 255;

/// Envelope of an event. Its object stays raw, or is read in the same pass as an `O`.
///
/// There are three forms. *Snapshot* events (`object: "event"`) contain the object in `data`. *Thin* events
/// (`object: "v2.core.event"`) contain only a reference, and their `created` is ISO 8601 text with up to
/// nanoseconds. *Observations* (`object: "subledger.observation"`) are the ledger's own: objects that
/// [Stripe's API showed](super::observation). Events from before 2014-10-31 have no `api_version`. `request` was text before 2017-05-25 and is
/// an object since, so it is not read. Only events of connected accounts have `account`. Events that the
/// endpoint of an organization receives have no `account`, and `context` (2025-04-30) names it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Envelope<'a, O = &'a RawValue> {
    /// `evt_…`.
    pub id: Cow<'a, str>,
    /// Connected account, or account of an organization; empty for the platform's own.
    pub account: Cow<'a, str>,
    /// True if only `context` names that account. Version 0.1.0 logged such an event without an account.
    pub is_account_in_context: bool,
    /// Live or test mode. A thin event without the field is live.
    pub livemode: bool,
    /// Type, for example `customer.subscription.updated`.
    pub event_type: Cow<'a, str>,
    /// API version that the object is rendered at; none for old and thin events.
    pub api_version: Option<Cow<'a, str>>,
    /// Second in which it happened, by Stripe's clock.
    pub created: StripeTime,
    /// Fraction of that second in nanoseconds; only thin events have one.
    pub created_nanos: u32,
    /// `data.object`; thin events, and an old ping, have none.
    pub object: Option<O>,
    /// `data.previous_attributes` as JSON text, on `*.updated` events.
    pub previous_attributes: Option<&'a str>,
    /// True for a thin event, which names its object and does not contain it.
    pub is_thin: bool,
    /// True for an observation: an object that the API showed.
    pub is_observation: bool,
}

/// Reason why a body is not an event. It contains nothing of the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The body is not JSON.
    #[error("the body is not JSON")]
    NotJson,
    /// The body is JSON, but not an event of Stripe's.
    #[error("the body is not an event: {0}")]
    NotAnEvent(&'static str),
}

impl<'a> Envelope<'a> {
    /// Reads the envelope of a body. The body is not copied.
    ///
    /// A body with a raw control character is not JSON. This is checked here, because texts are deserialized as
    /// bytes and would let it through; and PostgreSQL takes no text with U+0000.
    pub fn parse(body: &'a str) -> Result<Self, EnvelopeError> {
        let is_white = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r');
        // Without an early exit, so that the compiler can vectorize it.
        if body.bytes().fold(false, |found, byte| found | (byte < b' ' && !is_white(byte))) {
            return Err(EnvelopeError::NotJson);
        }
        Self::read(body)
    }
}

impl<'a, O: Deserialize<'a>> Envelope<'a, O> {
    /// Reads a body in one pass, its object as an `O`. If the object is not an `O`, the error is
    /// [`EnvelopeError::NotAnEvent`] as well; [`Envelope::parse`] distinguishes the two.
    pub fn read(body: &'a str) -> Result<Self, EnvelopeError> {
        let wire: Wire<'a, O> = serde_json::from_str(body).map_err(|_| {
            // A missing field may be noticed before the broken JSON that follows.
            if serde_json::from_str::<IgnoredAny>(body).is_ok() {
                EnvelopeError::NotAnEvent("a field of the envelope is missing or of a wrong type")
            } else {
                EnvelopeError::NotJson
            }
        })?;
        wire.into_envelope().map_err(EnvelopeError::NotAnEvent)
    }
}

/// API version of a body that [`Envelope::parse`] can read. Stripe writes it near the front, and the rest is not
/// read.
pub fn api_version(body: &str) -> Option<Text<'_>> {
    struct Seek<'a, 's>(&'s mut Option<Text<'a>>);

    impl<'a> Visitor<'a> for Seek<'a, '_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an event")
        }

        fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<Text<'a>>()? {
                if &*key == "api_version" {
                    *self.0 = map.next_value()?;
                    break;
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }

    let mut found = None;
    // The deserializer reports the rest that is not read. That is no error.
    let _ = serde_json::Deserializer::from_str(body).deserialize_map(Seek(&mut found));
    found
}

impl<'a, O> Envelope<'a, O> {
    /// Account and mode of the event.
    pub fn scope(&self) -> Scope {
        Scope { account: AccountId::new(self.account.clone()), livemode: self.livemode }
    }

    /// Separates the envelope from its object.
    pub fn split(self) -> (Envelope<'a, ()>, Option<O>) {
        let Self {
            id,
            account,
            is_account_in_context,
            livemode,
            event_type,
            api_version,
            created,
            created_nanos,
            object,
            previous_attributes,
            is_thin,
            is_observation,
        } = self;
        let envelope = Envelope {
            id,
            account,
            is_account_in_context,
            livemode,
            event_type,
            api_version,
            created,
            created_nanos,
            object: None,
            previous_attributes,
            is_thin,
            is_observation,
        };
        (envelope, object)
    }
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "O: Deserialize<'de>"))]
struct Wire<'a, O> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    object: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    event_type: Text<'a>,
    #[serde(borrow)]
    api_version: Option<Text<'a>>,
    #[serde(borrow)]
    created: &'a RawValue,
    livemode: Option<bool>,
    #[serde(borrow)]
    account: Option<Text<'a>>,
    #[serde(borrow, default)]
    context: MaybeText<'a>,
    #[serde(borrow)]
    data: Option<WireData<'a, O>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "O: Deserialize<'de>"))]
struct WireData<'a, O> {
    object: Option<O>,
    #[serde(borrow)]
    previous_attributes: Option<&'a RawValue>,
}

impl<'a, O> Wire<'a, O> {
    fn into_envelope(self) -> Result<Envelope<'a, O>, &'static str> {
        let (is_thin, is_observation) = match self.object.as_deref() {
            // Bodies from before the field existed have none.
            Some("event") | None => (false, false),
            Some("v2.core.event") => (true, false),
            Some(observation::OBJECT) => (false, true),
            Some(_) => return Err("`object` is neither \"event\" nor \"v2.core.event\""),
        };
        // Only an observation may have a type of the ledger's own, and it must have one.
        if is_observation != self.event_type.starts_with(observation::TYPE_PREFIX) {
            return Err("`object` and `type` do not belong together");
        }
        let (created, created_nanos) =
            parse_created(self.created.get()).ok_or("`created` is no instant")?;
        // The `data` of a thin event contains no object.
        let data = self.data.filter(|_| !is_thin);
        let (object, previous_attributes) =
            data.map_or((None, None), |data| (data.object, data.previous_attributes));
        let livemode = match self.livemode {
            Some(livemode) => livemode,
            None if is_thin => true,
            None => return Err("`livemode` is missing"),
        };
        let is_account_in_context = self.account.is_none() && self.context.0.is_some();
        Ok(Envelope {
            is_account_in_context,
            id: name(self.id).ok_or("`id` is empty, too long, or has control characters")?,
            account: match self.account {
                None => self.context.0.and_then(account_of_context).unwrap_or_default(),
                Some(account) => name(account)
                    .ok_or("`account` is empty, too long, or has control characters")?,
            },
            livemode,
            event_type: name(self.event_type)
                .ok_or("`type` is empty, too long, or has control characters")?,
            api_version: match self.api_version {
                None => None,
                Some(version) => Some(
                    name(version)
                        .ok_or("`api_version` is empty, too long, or has control characters")?,
                ),
            },
            created,
            created_nanos,
            object,
            previous_attributes: previous_attributes.map(RawValue::get),
            is_thin,
            is_observation,
        })
    }
}

/// Account that a context names: `acct_…`, or the last one of a path such as `org_…/acct_…`.
fn account_of_context(context: Text<'_>) -> Option<Cow<'_, str>> {
    let account = match context.0 {
        Cow::Borrowed(path) => Cow::Borrowed(path.rsplit('/').next()?),
        Cow::Owned(path) => Cow::Owned(path.rsplit('/').next()?.to_owned()),
    };
    name(Text(account)).filter(|it| it.starts_with("acct_"))
}

/// Name that fits into a line of a log record: not empty, not too long, without control characters.
fn name(text: Text<'_>) -> Option<Cow<'_, str>> {
    let fits = !text.is_empty() && text.len() <= NAME_BYTES_MAX;
    (fits && !text.chars().any(char::is_control)).then_some(text.0)
}

/// Parses whole seconds, or ISO 8601 text with a fraction.
fn parse_created(json: &str) -> Option<(StripeTime, u32)> {
    let (created, nanos) = if let Ok(seconds) = serde_json::from_str::<i64>(json) {
        (StripeTime(seconds), 0)
    } else {
        let text: Text<'_> = serde_json::from_str(json).ok()?;
        let at = DateTime::parse_from_rfc3339(&text).ok()?;
        // chrono represents a leap second as nanoseconds beyond the second.
        (StripeTime(at.timestamp()), at.timestamp_subsec_nanos().min(999_999_999))
    };
    created.is_representable().then_some((created, nanos))
}

#[cfg(test)]
mod tests;
