//! Heartbeat of a lease: the only place that renews one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::task::AbortOnDropHandle;

use super::LEASE_SECONDS;
use crate::clock::{Clock, Stopwatch};
use crate::lease::holder::RENEW_EVERY;
use crate::store::{Lease, ReadModel, StoreError};

/// Heartbeat of one lease.
#[derive(Debug)]
pub(super) struct Heartbeat {
    read_model: ReadModel,
    lease: Lease,
    clock: Clock,
    renewed: Stopwatch,
    background: Option<Background>,
}

/// Heartbeat in a task of its own.
#[derive(Debug)]
struct Background {
    is_lost: Arc<AtomicBool>,
    _task: AbortOnDropHandle<()>,
}

impl Heartbeat {
    /// Starts with a lease that was just taken.
    pub(super) fn new(read_model: &ReadModel, lease: Lease, clock: &Clock) -> Self {
        let (read_model, clock) = (read_model.clone(), clock.clone());
        Self { read_model, lease, clock, renewed: Clock::stopwatch(), background: None }
    }

    /// The lease.
    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Renews the lease if that is due and no task does it. False if another process has the lease.
    ///
    /// A holder that calls this between its steps loses the lease if it hangs, and another process goes on.
    pub(super) async fn beat(&mut self) -> Result<bool, StoreError> {
        if let Some(background) = &self.background {
            return Ok(!background.is_lost.load(Ordering::Relaxed));
        }
        if self.renewed.elapsed() < RENEW_EVERY {
            return Ok(true);
        }
        self.renewed = Clock::stopwatch();
        renew(&self.read_model, &self.lease, &self.clock).await
    }

    /// Renews the lease in a task of its own from now on, until this is dropped or another process has the lease.
    pub(super) fn run_in_background(&mut self) {
        let (read_model, lease, clock) =
            (self.read_model.clone(), self.lease.clone(), self.clock.clone());
        let is_lost = Arc::new(AtomicBool::new(false));
        let lost = Arc::clone(&is_lost);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                match renew(&read_model, &lease, &clock).await {
                    Ok(true) => {}
                    Ok(false) => return lost.store(true, Ordering::Relaxed),
                    Err(error) => tracing::warn!(%error, "a lease is not renewed yet: {error}"),
                }
            }
        });
        self.background = Some(Background { is_lost, _task: AbortOnDropHandle::new(task) });
    }
}

/// Renews a lease now. False if another process has it.
pub(super) async fn renew(
    read_model: &ReadModel,
    lease: &Lease,
    clock: &Clock,
) -> Result<bool, StoreError> {
    read_model.lease_renew(lease, clock.now(), LEASE_SECONDS).await
}
