//! Two kinds of instants that must never be compared: Stripe's clock in seconds, ours in
//! microseconds.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant by Stripe's clock, in whole seconds since 1970.
///
/// Written for people as `2026-03-01T00:00:00Z`; in binary formats as the number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StripeTime(pub i64);

/// An instant by our clock, in microseconds since 1970: when an event reached us.
///
/// Written for people as `2026-03-01T00:00:00.000000Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceivedAt(pub i64);

/// Seconds in a day.
pub const DAY_SECONDS: i64 = 86_400;

/// The instants that an RFC 3339 text can hold: the years 0000 to 9999.
const SECONDS_RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

impl StripeTime {
    /// The instant so many days later, held within the years 0000 to 9999.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        let seconds = self.0.saturating_add(days.saturating_mul(DAY_SECONDS));
        Self(seconds.clamp(*SECONDS_RANGE.start(), *SECONDS_RANGE.end()))
    }

    /// Reads `2026-03-01T00:00:00Z` or any other RFC 3339 instant; fractions are cut off.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|at| Self(at.timestamp()))
    }

    /// Whether the instant can be written as RFC 3339 text.
    pub fn is_representable(self) -> bool {
        SECONDS_RANGE.contains(&self.0)
    }
}

impl ReceivedAt {
    /// The same instant in whole seconds, as Stripe counts.
    pub const fn to_stripe_time(self) -> StripeTime {
        StripeTime(self.0.div_euclid(1_000_000))
    }

    /// Reads an RFC 3339 instant to the microsecond.
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
