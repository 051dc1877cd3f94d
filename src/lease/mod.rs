//! Leases of tasks that one process of several does at a time.
//!
//! A holder renews its lease every second. Another process takes it once it has watched for some seconds that nothing
//! was renewed, or at once if the holder has certainly ended: no stored time is trusted. Taking a lease from a living
//! process is safe, because what depends on the lease is written under its token.

pub(crate) mod holder;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::task::AbortOnDropHandle;

use crate::clock::Clock;
use crate::ids::{Mode, Scope};
use crate::store::{Log, SeenLease, StoreError, TaskLease};
use holder::{CHECK_EVERY, RENEW_EVERY, SILENCE, holder_name, is_gone};

/// Task that reads Stripe's API for an account and mode. Two tasks of one account and mode that append exclude each
/// other. A reconciliation only reads, so it excludes other reconciliations alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Backfill: may take hours.
    Backfill,
    /// Sync of a running service: takes seconds, or minutes after an outage.
    Sync,
    /// Daily reconciliation of a running service: may take an hour.
    Reconciliation,
}

/// Lease that this process holds and renews until it is released or dropped.
///
/// One that is dropped, and not released, is over after some seconds.
#[derive(Debug)]
pub struct HeldLease {
    log: Log,
    lease: TaskLease,
    is_lost: Arc<AtomicBool>,
    _heartbeat: AbortOnDropHandle<()>,
}

/// Outcome of taking a lease.
#[derive(Debug)]
pub enum Taken {
    /// This process holds it now.
    Held(HeldLease),
    /// Another process holds it.
    Busy {
        /// Task of that process, if it is known.
        task: Option<Task>,
    },
}

impl Task {
    const ALL: [Self; 3] = [Self::Backfill, Self::Sync, Self::Reconciliation];

    /// Name, as it is shown and stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Sync => "sync",
            Self::Reconciliation => "reconciliation",
        }
    }

    /// Task at the end of the name of a holder.
    fn of_holder(holder: &str) -> Option<Self> {
        let (_, last) = holder.rsplit_once('-')?;
        Self::ALL.into_iter().find(|it| it.as_str() == last)
    }
}

impl HeldLease {
    /// Takes the lease of an account and mode. Watches a holder that does not renew it, for five seconds at most.
    pub async fn take(log: &Log, scope: &Scope, task: Task) -> Result<Taken, StoreError> {
        let name = lease_name(scope, task);
        let holder = format!("{}-{}", holder_name(), task.as_str());
        let mut first = None;
        let watch = Clock::stopwatch();
        loop {
            let seen = log.task_lease(&name).await?;
            let held = seen.filter(|it| !it.holder.is_empty());
            if let Some(held) = &held
                && *first.get_or_insert_with(|| held.clone()) != *held
            {
                return Ok(Taken::Busy { task: Task::of_holder(&held.holder) });
            }
            let is_over = |it: &&SeenLease| is_gone(&it.holder) || watch.elapsed() >= SILENCE;
            let over = held.as_ref().filter(is_over);
            if (held.is_none() || over.is_some())
                && let Some(lease) = log.task_lease_take(&name, &holder, over).await?
            {
                return Ok(Taken::Held(Self::start(log, lease)));
            }
            tokio::time::sleep(CHECK_EVERY).await;
        }
    }

    fn start(log: &Log, lease: TaskLease) -> Self {
        let is_lost = Arc::new(AtomicBool::new(false));
        let (lost, renewed, of) = (Arc::clone(&is_lost), log.clone(), lease.clone());
        let heartbeat = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                match renewed.task_lease_renew(&of).await {
                    Ok(true) => {}
                    Ok(false) => return lost.store(true, Ordering::Relaxed),
                    Err(error) => tracing::warn!(%error, "a lease is not renewed yet: {error}"),
                }
            }
        });
        let log = log.clone();
        Self { log, lease, is_lost, _heartbeat: AbortOnDropHandle::new(heartbeat) }
    }

    /// Lease under whose token its holder writes.
    pub fn lease(&self) -> &TaskLease {
        &self.lease
    }

    /// True if another process has taken the lease, as far as it is known.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Releases the lease, so that another process can take it at once.
    pub async fn release(self) -> Result<(), StoreError> {
        self.log.task_lease_release(&self.lease).await
    }
}

/// Name of the lease of a task for an account and mode.
fn lease_name(scope: &Scope, task: Task) -> String {
    let kind = match task {
        Task::Backfill | Task::Sync => "stripe",
        Task::Reconciliation => "reconciliation",
    };
    format!("{kind} {} {}", Mode::from_livemode(scope.livemode), scope.account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_stands_at_the_end_of_the_name_of_a_holder() {
        for task in Task::ALL {
            let holder = format!("{}-{}", holder_name(), task.as_str());
            assert_eq!(Task::of_holder(&holder), Some(task));
            assert!(!is_gone(&holder), "{holder}");
        }
        assert_eq!(Task::of_holder(&holder_name()), None);
    }

    #[test]
    fn each_account_and_mode_has_a_lease() {
        let name = |account: &str, livemode| {
            lease_name(&Scope { account: account.into(), livemode }, Task::Sync)
        };
        assert_eq!(name("", true), "stripe live ");
        assert_eq!(name("acct_1", false), "stripe test acct_1");
    }
}
