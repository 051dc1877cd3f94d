//! Live generation of a ledger that may not exist yet.

use crate::clock::Clock;
use crate::store::{DatabaseUrl, Generation, ReadModel, StoreError};

/// Reads the live generation of a ledger; none if there is no ledger or no complete read model. Creates and changes
/// nothing.
pub async fn find_live(
    ledger: &DatabaseUrl,
    clock: &Clock,
) -> Result<Option<Generation>, StoreError> {
    let read_model = ReadModel::open_read_only(ledger, clock.clone()).await?;
    let Some(read_model) = read_model else { return Ok(None) };
    let live = read_model.live().await;
    read_model.close().await;
    live
}
