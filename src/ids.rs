//! The names of things: one newtype for each identifier that could be mistaken for another.
//!
//! Stripe promises nothing about the shape of its ids, so these are opaque text, compared byte by
//! byte. A [`Position`] is ours: the place of an event in the log, dense from 1.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as Stripe wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, given up.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    )+};
}

text_id! {
    /// A Stripe account: `acct_…`, or the empty text for the platform's own.
    AccountId;
    /// An event: `evt_…`. Unique within an account and mode.
    EventId;
    /// A customer: `cus_…`, or `acct_…` where a customer is represented by an account.
    CustomerId;
    /// A subscription: `sub_…`.
    SubscriptionId;
    /// An invoice: `in_…`.
    InvoiceId;
    /// A checkout session: `cs_…`.
    SessionId;
    /// A subscription schedule: `sub_sched_…`.
    ScheduleId;
}

/// The place of an event in the log: 1, 2, 3, … without gaps, in commit order. 0 is "before the
/// first".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub i64);

impl Position {
    /// Before the first event.
    pub const ZERO: Self = Self(0);

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The position so many events later.
    #[must_use]
    pub const fn plus(self, events: i64) -> Self {
        Self(self.0 + events)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Mode of Stripe: live or test. Objects of the two modes never meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Live mode: real money.
    #[default]
    Live,
    /// Test mode and sandboxes.
    Test,
}

impl Mode {
    /// Value of `livemode` in events of this mode.
    pub const fn livemode(self) -> bool {
        matches!(self, Self::Live)
    }

    /// Mode of an event with this `livemode`.
    pub const fn from_livemode(livemode: bool) -> Self {
        if livemode { Self::Live } else { Self::Test }
    }

    /// `live` or `test`.
    pub const fn as_str(self) -> &'static str {
        if self.livemode() { "live" } else { "test" }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        <Self as clap::ValueEnum>::from_str(text, false)
    }
}

/// Where an object of Stripe's lives: an account and a mode. Objects of different scopes never
/// meet, even where their ids are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The account; empty for the platform's own.
    pub account: AccountId,
    /// Live or test mode.
    pub livemode: bool,
}

/// The unit of folding: one customer of one scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CustomerKey {
    /// The account and mode.
    pub scope: Scope,
    /// The customer.
    pub customer: CustomerId,
}
