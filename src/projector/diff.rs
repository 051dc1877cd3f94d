//! Difference between a new generation and the live one: counted, and subscription by subscription.

use std::fmt;

use serde::Serialize;

use crate::ids::Position;
use crate::store::{ChangedSubscription, DiffCounts, GenerationId, ReadModelDiff};
use crate::time::StripeTime;

/// Changes that are listed, besides being counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// None.
    #[default]
    Nothing,
    /// This many subscriptions that lose access, and this many that gain it.
    Examples(usize),
    /// This many subscriptions, those that lose access first.
    First(usize),
}

/// Summary of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffSummary {
    /// The new generation.
    pub generation: GenerationId,
    /// The live generation; none if no generation of this log is live.
    pub live: Option<GenerationId>,
    /// Rules in which the two differ.
    pub rules: Vec<&'static str>,
    /// Position up to which both are folded.
    pub position: Position,
    /// Instant for which access is compared.
    pub access_at: StripeTime,
    /// Numbers of subscriptions that differ.
    #[serde(flatten)]
    pub counts: DiffCounts,
    /// Numbers of rows that differ in the other read models that were made again.
    pub read_models: Vec<ReadModelDiff>,
    /// Fields that only the new generation has. They are not compared.
    #[serde(rename = "fields_only_in_new")]
    pub only_new: Vec<&'static str>,
    /// Fields that only the live generation has.
    #[serde(rename = "fields_only_in_live")]
    pub only_old: Vec<String>,
    /// Number of parked events of the live generation.
    pub parked_before: i64,
    /// Number of parked events of the new generation.
    pub parked_after: i64,
}

/// Part of a comparison.
#[derive(Debug)]
pub enum DiffEvent<'a> {
    /// The summary, which comes first.
    Summary(&'a DiffSummary),
    /// A subscription that changes.
    Subscription(ChangedSubscription),
}

impl DiffSummary {
    /// Numbers of subscriptions that lose access and that gain it, in both modes.
    pub fn access_changes(&self) -> (i64, i64) {
        let DiffCounts { live_mode, test_mode, .. } = &self.counts;
        (live_mode.lose + test_mode.lose, live_mode.gain + test_mode.gain)
    }

    /// Number of subscriptions that differ in any way.
    pub fn differing(&self) -> i64 {
        self.counts.appear + self.counts.disappear + self.counts.change
    }
}

/// One line for the log.
impl fmt::Display for DiffSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DiffCounts { appear, disappear, change, same, .. } = self.counts;
        let (lose, gain) = self.access_changes();
        let Some(live) = self.live else {
            return write!(
                f,
                "there is no live generation to compare with: all {appear} subscriptions are new, \
                 {gain} of them have access"
            );
        };
        write!(
            f,
            "generation {} against {live} at position {}: {lose} subscriptions lose access and {gain} \
             gain it; {change} change, {appear} appear, {disappear} disappear, {same} stay the same",
            self.generation, self.position
        )
    }
}
