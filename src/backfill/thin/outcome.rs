//! Outcome of a round in which thin events are fetched.

use crate::stripe_api::ApiError;

/// Outcome of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThinOutcome {
    /// Number of thin events that were looked at.
    pub seen: u64,
    /// Number of those whose event is in the log already. They cost no request.
    pub known: u64,
    /// Number of events and observations that were appended.
    pub appended: u64,
    /// Number of those whose object says nothing new.
    pub confirmed: u64,
    /// Number of those that name nothing which Stripe still shows.
    pub gone: u64,
    /// Number of those that Stripe does not show yet. They wait.
    pub young: u64,
    /// Number of those whose request failed. They wait.
    pub failed: u64,
    /// Error that ended the round early.
    pub stopped: Option<ApiError>,
    /// True if another round would look at further events.
    pub has_more: bool,
}

impl ThinOutcome {
    /// Adds the outcome of the next round.
    pub fn add(&mut self, next: Self) {
        let Self { seen, known, appended, confirmed, gone, young, failed, stopped, has_more } =
            next;
        self.seen += seen;
        self.known += known;
        self.appended += appended;
        self.confirmed += confirmed;
        self.gone += gone;
        self.young += young;
        self.failed += failed;
        self.stopped = stopped;
        self.has_more = has_more;
    }
}
