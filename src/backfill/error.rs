//! Errors that end a backfill.

use crate::ids::{AccountId, Mode, Scope};
use crate::lease::Task;
use crate::store::StoreError;
use crate::stripe_api::ApiError;

/// Error that ends a backfill. What was read before is in the log, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// Stripe's API does not answer, or refuses.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key shows nothing that the ledger knows.
    #[error(
        "Stripe has none of {0} subscriptions of the ledger: the API key belongs to another account"
    )]
    OtherAccount(usize),
    /// The named account is the one that the key belongs to.
    #[error("{0} is the account of the API key itself, which the log knows without a name")]
    OwnAccount(AccountId),
    /// Another process reads the account and mode.
    #[error("a {} of {} is running in another process", task.as_str(), account_of(scope))]
    Busy {
        /// Account and mode.
        scope: Scope,
        /// Task of that process.
        task: Task,
    },
}

fn account_of(scope: &Scope) -> String {
    let mode = Mode::from_livemode(scope.livemode);
    match scope.account.as_str() {
        "" => format!("your own account in {mode} mode"),
        account => format!("{account} in {mode} mode"),
    }
}
