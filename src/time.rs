//! Instants of two clocks that must never be compared: Stripe's in seconds, and the ledger's in microseconds.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Instant by Stripe's clock, in whole seconds since 1970.
///
/// Serialized as `2026-03-01T00:00:00Z` in formats for people, and as a number in binary formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StripeTime(pub i64);

/// Instant by the ledger's clock, in microseconds since 1970: the time of receipt of an event.
///
/// Serialized as `2026-03-01T00:00:00.000000Z` in formats for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceivedAt(pub i64);

/// Seconds in a day.
pub const DAY_SECONDS: i64 = 86_400;

/// Instants that RFC 3339 can represent: the years 0000 to 9999.
const SECONDS_RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

impl StripeTime {
    /// Instant `days` later, limited to the years 0000 to 9999.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        let seconds = self.0.saturating_add(days.saturating_mul(DAY_SECONDS));
        Self(seconds.clamp(*SECONDS_RANGE.start(), *SECONDS_RANGE.end()))
    }

    /// Parses an RFC 3339 instant such as `2026-03-01T00:00:00Z`. Fractions of a second are cut off.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|at| Self(at.timestamp()))
    }

    /// True if RFC 3339 can represent the instant.
    pub fn is_representable(self) -> bool {
        SECONDS_RANGE.contains(&self.0)
    }
}

impl ReceivedAt {
    /// Converts to whole seconds, rounded down.
    pub const fn to_stripe_time(self) -> StripeTime {
        StripeTime(self.0.div_euclid(1_000_000))
    }

    /// Parses an RFC 3339 instant, to the microsecond.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|at| Self(at.timestamp_micros()))
    }
}

impl fmt::Display for StripeTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp(self.0, 0) {
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            None => write!(f, "{}s", self.0),
        }
    }
}

impl fmt::Display for ReceivedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_micros(self.0) {
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true)),
            None => write!(f, "{}us", self.0),
        }
    }
}

macro_rules! serde_as_rfc3339_for_people {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_i64(self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                    Self::parse(&text).ok_or_else(|| de::Error::custom("not an RFC 3339 instant"))
                } else {
                    i64::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

serde_as_rfc3339_for_people!(StripeTime);
serde_as_rfc3339_for_people!(ReceivedAt);
