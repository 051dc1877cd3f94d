//! Repair of a damaged read model: it is checked and removed, and the follower rebuilds it.

use super::can_fold;
use super::generation::is_of_this_log;
use crate::store::{Store, StoreError};

/// Removes the read model if it is damaged. True if it was. Damage that a read reported counts as well as this error
/// of the follower.
///
/// A temporary error is no reason, and neither is an error of the log: rows that the log cannot reproduce stay.
pub(super) async fn repair_if_damaged(
    store: &Store,
    error: Option<&StoreError>,
) -> Result<bool, StoreError> {
    let model = &store.read_model;
    match error {
        Some(StoreError::ReadModelDamaged(_)) => model.report_damage(true),
        Some(StoreError::Corrupt(_)) => model.report_damage(false),
        _ => {}
    }
    let what = match (model.take_damage_report(), error) {
        (None, _) => return Ok(false),
        (Some(true), Some(StoreError::ReadModelDamaged(what))) => Some(what.clone()),
        (Some(is_certain), _) => {
            let found = model.find_damage(|it| can_fold(model.projections(), it)).await?;
            found.or_else(|| is_certain.then(|| "a row cannot be read".to_owned()))
        }
    };
    let Some(what) = what else { return Ok(false) };
    if let Ok(Some(live)) = model.live().await
        && !is_of_this_log(store, &live).await?
    {
        tracing::error!(
            "the read model is damaged ({what}) and stays: the log does not hold its events"
        );
        return Ok(false);
    }
    tracing::error!(
        "the read model is damaged ({what}): removing it and rebuilding it from the log"
    );
    model.recreate().await?;
    Ok(true)
}
