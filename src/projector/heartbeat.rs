//! Keeping a lease while it is leased, whatever its holder is busy with.

use tokio_util::task::AbortOnDropHandle;

use super::LEASE_SECONDS;
use super::holder::RENEW_EVERY;
use crate::clock::Clock;
use crate::store::{Lease, Store};

/// Renews a lease beside whoever holds it, until the handle is dropped or the lease has gone to another.
///
/// A comparison takes its time, and so does whoever reads what it tells: the holder cannot renew it
/// then, and would look like one that has ended.
pub(super) fn keep(store: &Store, lease: &Lease, clock: &Clock) -> AbortOnDropHandle<()> {
    let (store, lease, clock) = (store.clone(), lease.clone(), clock.clone());
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let renewed = store.read_model.lease_renew(&lease, clock.now(), LEASE_SECONDS).await;
            match renewed {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, "a lease could not be renewed yet: {error}"),
            }
        }
    }))
}
