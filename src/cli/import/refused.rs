//! Objects of a file that are refused, counted by their reason, so that a list of them is one message.

use std::collections::BTreeMap;

use super::record::{InputRecord, SourceLine, invalid};

/// Longest name of a type that a message shows, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Number of reasons that are told apart, at most.
const REFUSALS_MAX: usize = 20;

/// Reason why an object is refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// An object of this type, without the time at which it was seen.
    WithoutTime(String),
    /// An object of this type, which the ledger does not read. None for a name that may be anything.
    Unread(Option<String>),
    /// An element of a list that is not an object.
    NotAnObject,
}

impl Refusal {
    /// Refusal of an object that the ledger does not read. A name that does not look like one is not shown.
    pub(super) fn unread(name: Option<&str>) -> Self {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.".contains(c);
        let is_name = |name: &&str| name.len() <= NAME_BYTES_MAX && name.chars().all(is_plain);
        Self::Unread(name.filter(is_name).map(str::to_owned))
    }

    fn describe(&self, count: u64) -> String {
        match self {
            Self::WithoutTime(name) => format!(
                "{count} objects such as `{name}` do not say when Stripe showed them: give that time with --seen-at, \
                 such as --seen-at 2026-03-01T12:00:00Z"
            ),
            Self::Unread(Some(name)) => format!(
                "{count} objects such as `{name}`, which the ledger does not read: import events, subscriptions, \
                 customers, invoices, checkout sessions, subscription schedules, products or prices"
            ),
            Self::Unread(None) => {
                format!("{count} objects that are not Stripe's: import the JSON of Stripe's API")
            }
            Self::NotAnObject => {
                format!("{count} elements that are not objects: import the JSON of Stripe's API")
            }
        }
    }
}

/// Refused objects of one file.
#[derive(Default)]
pub(super) struct RefusedObjects(BTreeMap<Refusal, (SourceLine, u64)>);

impl RefusedObjects {
    pub(super) fn add(&mut self, refusal: Refusal, line: &SourceLine) {
        let is_known = self.0.contains_key(&refusal) || self.0.len() < REFUSALS_MAX;
        let refusal = if is_known { refusal } else { Refusal::Unread(None) };
        self.0.entry(refusal).or_insert_with(|| (line.clone(), 0)).1 += 1;
    }

    /// One invalid record for each reason, at the line of its first object.
    pub(super) fn into_records(self) -> impl Iterator<Item = InputRecord> {
        self.0.into_iter().map(|(refusal, (line, count))| invalid(line, refusal.describe(count)))
    }
}
