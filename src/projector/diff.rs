//! What a new generation changes: counted, and subscription by subscription.
//!
//! Both generations are looked at in one moment, and where possible at the same position of the log.
//! The new one is caught up with the live one; a live one that somebody folds is waited for. Where they
//! still differ, customers of whom one has folded more are left out, so that no event that only one of
//! them has seen looks like an effect of the rules.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::build::Build;
use super::generation::is_of_this_log;
use super::holder::seems_held;
use super::rebuild::{RebuildError, RebuildEvent};
use crate::ids::Position;
use crate::store::{
    AccessEffect, ChangedSubscription, Comparison, DiffCounts, GenerationId, GenerationLogic,
    StoreError,
};
use crate::time::StripeTime;

/// How often the two are brought to one position before some customers are left out.
const TRIES: u32 = 10;
/// How long a follower is given to fold what has just arrived.
const PAUSE: Duration = Duration::from_millis(100);

/// Which changes are listed, besides being counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// None.
    #[default]
    Nothing,
    /// Of those that lose access and of those that gain it, so many subscriptions each.
    Examples(usize),
    /// Those of so many subscriptions; the ones that lose access first.
    First(usize),
}

/// The effect of a new generation, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffSummary {
    /// The new generation.
    pub generation: GenerationId,
    /// The live one, beside which it was put; none where there was none of this log.
    pub live: Option<GenerationId>,
    /// In which rules the two differ.
    pub rules: Vec<&'static str>,
    /// How far both had folded, or the one that had folded less.
    pub position: Position,
    /// The instant at which access is is_logic_checked.
    pub access_at: StripeTime,
    /// How many subscriptions differ.
    #[serde(flatten)]
    pub counts: DiffCounts,
    /// Fields that only the new generation has; they are not compared.
    #[serde(rename = "fields_only_in_new")]
    pub only_new: Vec<&'static str>,
    /// Fields that only the live generation has.
    #[serde(rename = "fields_only_in_live")]
    pub only_old: Vec<String>,
    /// Events that the live generation could not fold.
    pub parked_before: i64,
    /// Events that the new generation could not fold.
    pub parked_after: i64,
}

/// One thing at a time, of a comparison.
#[derive(Debug)]
pub enum DiffEvent<'a> {
    /// All of it, counted: comes first.
    Summary(&'a DiffSummary),
    /// A subscription that changes.
    Subscription(ChangedSubscription),
}

impl DiffSummary {
    /// How many subscriptions lose access and how many gain it, in both modes.
    pub fn access_changes(&self) -> (i64, i64) {
        let DiffCounts { live_mode, test_mode, .. } = &self.counts;
        (live_mode.lose + test_mode.lose, live_mode.gain + test_mode.gain)
    }

    /// How many subscriptions differ in any way.
    pub fn differing(&self) -> i64 {
        self.counts.appear + self.counts.disappear + self.counts.change
    }
}

/// One line, as a log shows it.
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

/// Compares a new generation with the live one.
pub(super) async fn compare(
    build: &mut Build<'_, impl FnMut(RebuildEvent<'_>)>,
    listing: Listing,
) -> Result<(), RebuildError> {
    let (store, access_at) = (build.store, build.clock.now().to_stripe_time());
    let pair = side_by_side(build, access_at).await?;
    let mut tell = |difference: DiffEvent<'_>| (build.tell)(RebuildEvent::Difference(difference));
    let Some(mut pair) = pair else {
        let leased = &build.leased;
        let counts = store.read_model.access_count(leased.generation, access_at).await?;
        let parked_after = store.read_model.parked_count(leased.generation).await?;
        tell(DiffEvent::Summary(&DiffSummary {
            generation: leased.generation,
            live: None,
            rules: Vec::new(),
            position: leased.position,
            access_at,
            counts,
            only_new: Vec::new(),
            only_old: Vec::new(),
            parked_before: 0,
            parked_after,
        }));
        return Ok(());
    };
    if !pair.is_possible() {
        return Err(RebuildError::NotComparable(pair.old.id));
    }
    let counts = pair.counts().await?;
    let (parked_before, parked_after) = pair.parked().await?;
    tell(DiffEvent::Summary(&DiffSummary {
        generation: pair.new.id,
        live: Some(pair.old.id),
        rules: differing_rules(&pair.old.logic, &pair.new.logic),
        position: pair.old.position.min(pair.new.position),
        access_at,
        counts,
        only_new: pair.only_new.clone(),
        only_old: pair.only_old.clone(),
        parked_before,
        parked_after,
    }));
    list(&mut pair, listing, |changed| tell(DiffEvent::Subscription(changed))).await?;
    Ok(())
}

/// What was changed between two generations. The schema is known by its hash alone: it is named where
/// nothing else explains the difference.
fn differing_rules(old: &GenerationLogic, new: &GenerationLogic) -> Vec<&'static str> {
    let mut rules = Vec::new();
    for (name, differs) in [
        ("policy", old.policy != new.policy),
        ("user keys", old.user_keys != new.user_keys),
        ("version of the fold", old.fold_version != new.fold_version),
    ] {
        rules.extend(differs.then_some(name));
    }
    if rules.is_empty() && old.fingerprint != new.fingerprint {
        rules.push("schema");
    }
    rules
}

/// Both generations in one moment, at the same position where that can be had. None where no
/// generation of this log is live.
async fn side_by_side(
    build: &mut Build<'_, impl FnMut(RebuildEvent<'_>)>,
    access_at: StripeTime,
) -> Result<Option<Comparison>, RebuildError> {
    let (store, clock) = (build.store, build.clock);
    for tries_left in (0..TRIES).rev() {
        let pair = store.read_model.compare(build.leased.generation, access_at).await?;
        let Some(pair) = pair else { return Ok(None) };
        if !is_of_this_log(store, &pair.old).await? {
            return Ok(None);
        }
        // Nobody folds the live one: it will stay where it is.
        let is_left_alone = !seems_held(&pair.old, clock.now());
        let is_behind = pair.old.position < pair.new.position;
        if pair.has_equal_positions() || tries_left == 0 || (is_behind && is_left_alone) {
            return Ok(Some(pair));
        }
        // What is read in this moment is of no use any more, and would hold the file's journal.
        drop(pair);
        if is_behind {
            tokio::time::sleep(PAUSE).await;
        }
        build.catch_up().await?;
    }
    Ok(None)
}

/// Visits what is listed: by effect, and live mode before test mode, as it matters to whoever reads.
async fn list(
    pair: &mut Comparison,
    listing: Listing,
    mut visit: impl FnMut(ChangedSubscription),
) -> Result<(), StoreError> {
    match listing {
        Listing::Nothing => {}
        Listing::Examples(each) => {
            for effect in [AccessEffect::Loses, AccessEffect::Gains] {
                let mut left = each;
                for livemode in [true, false] {
                    left -= pair.changes(effect, livemode, left, &mut visit).await?;
                }
            }
        }
        Listing::First(mut left) => {
            for effect in AccessEffect::ALL {
                for livemode in [true, false] {
                    left -= pair.changes(effect, livemode, left, &mut visit).await?;
                }
            }
        }
    }
    Ok(())
}
