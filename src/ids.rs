//! Identifiers: one newtype for each id that could be mistaken for another.
//!
//! Stripe guarantees nothing about the form of its ids, so they are opaque text and compared byte by byte. A
//! [`Position`] is assigned by the ledger: the place of an event in the log, from 1 without gaps.

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
            /// Wraps the text unchanged.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// Id as Stripe wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Takes the text.
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
    /// Id of a Stripe account: `acct_…`, or empty for the platform's own account.
    AccountId;
    /// Id of an event: `evt_…`. Unique within an account and mode.
    EventId;
    /// Id of a customer: `cus_…`, or `acct_…` if an account represents the customer.
    CustomerId;
    /// Id of a subscription: `sub_…`.
    SubscriptionId;
    /// Id of an invoice: `in_…`.
    InvoiceId;
    /// Id of a checkout session: `cs_…`.
    SessionId;
    /// Id of a subscription schedule: `sub_sched_…`.
    ScheduleId;
}

/// Position of an event in the log: 1, 2, 3, … without gaps, in commit order. 0 is before the first event.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub i64);

impl Position {
    /// Position before the first event.
    pub const ZERO: Self = Self(0);

    /// Next position.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// Position `events` later.
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
    /// Live mode, with real payments.
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

/// Scope of a Stripe object: account and mode. Objects of different scopes are different, even if their ids are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// Account; empty for the platform's own.
    pub account: AccountId,
    /// True in live mode, false in test mode.
    pub livemode: bool,
}

/// Unit of folding: a customer in a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CustomerKey {
    /// Account and mode.
    pub scope: Scope,
    /// Customer.
    pub customer: CustomerId,
}
