//! Comparison of a new generation with the live one.
//!
//! Both are read in one transaction and, if possible, at the same position of the log. The new generation is caught
//! up with the live one, and a live one that a process folds is waited for. If they still differ in position,
//! customers of whom one generation has folded more are left out, so that an event that only one of them has
//! folded does not look like an effect of the rules.

use std::time::Duration;

use super::build::Build;
use super::diff::{DiffEvent, DiffSummary, Listing};
use super::generation::is_of_this_log;
use super::lease_watch::seems_held;
use super::rebuild_event::{RebuildError, RebuildEvent};
use super::rebuild_plan::differing_rules;
use crate::store::{AccessEffect, ChangedSubscription, Comparison, StoreError};
use crate::time::StripeTime;

/// Number of attempts to bring both to one position before customers are left out.
const TRIES: u32 = 10;
/// Time that a follower gets to fold the newest events.
const PAUSE: Duration = Duration::from_millis(100);

/// Compares a new generation with the live one.
pub(super) async fn compare(
    build: &mut Build<'_, impl FnMut(RebuildEvent<'_>)>,
    listing: Listing,
) -> Result<(), RebuildError> {
    let (store, access_at) = (build.store, build.clock.now().to_stripe_time());
    let pair = side_by_side(build, access_at).await?;
    let mut report = |part: DiffEvent<'_>| (build.on_event)(RebuildEvent::Difference(part));
    let Some(mut pair) = pair else {
        let leased = &build.leased;
        let counts = store.read_model.access_count(leased.generation, access_at).await?;
        let parked_after = store.read_model.parked_count(leased.generation).await?;
        report(DiffEvent::Summary(&DiffSummary {
            generation: leased.generation,
            live: None,
            rules: Vec::new(),
            position: leased.position,
            access_at,
            counts,
            read_models: Vec::new(),
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
    let read_models = pair.read_models(store.read_model.projections()).await?;
    let (parked_before, parked_after) = pair.parked().await?;
    report(DiffEvent::Summary(&DiffSummary {
        generation: pair.new.id,
        live: Some(pair.old.id),
        rules: differing_rules(&pair.old.logic, &pair.new.logic),
        position: pair.old.position.min(pair.new.position),
        access_at,
        counts,
        read_models,
        only_new: pair.only_new.clone(),
        only_old: pair.only_old.clone(),
        parked_before,
        parked_after,
    }));
    list(&mut pair, listing, |changed| report(DiffEvent::Subscription(changed))).await?;
    Ok(())
}

/// Both generations in one read transaction, at the same position if that can be reached. None if no generation of
/// this log is live.
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
        // If no process folds the live generation, its position does not move.
        let is_unattended = !seems_held(&pair.old, clock.now());
        let is_behind = pair.old.position < pair.new.position;
        if pair.has_equal_positions() || tries_left == 0 || (is_behind && is_unattended) {
            return Ok(Some(pair));
        }
        // This read transaction is of no more use, and would keep the file's journal from being truncated.
        drop(pair);
        if is_behind {
            tokio::time::sleep(PAUSE).await;
        }
        build.catch_up().await?;
    }
    Ok(None)
}

/// Visits the listed changes by effect, and of one effect live mode before test mode: the most important first.
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
