//! A damaged read model: looked at, removed, and made again by whoever follows the log.

use super::can_fold;
use super::generation::is_of_this_log;
use crate::store::{Store, StoreError};

/// Removes the read model where it is damaged, and says whether it was. What a read has met counts as well as this
/// error of the follower's.
///
/// An error that passes is never a reason, and neither is one of the log: what the log cannot make again stays.
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
            let found = model.find_damage(can_fold).await?;
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
        "the read model is damaged ({what}): it is removed and made again from the log"
    );
    model.recreate().await?;
    Ok(true)
}
