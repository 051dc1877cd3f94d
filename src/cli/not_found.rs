//! Hints for what the ledger does not know.

use crate::coverage::backfill_command;
use crate::ids::Scope;
use crate::store::Store;

/// Hint if nothing is found.
pub(super) const SCOPE_HINT: &str =
    "--mode test selects test mode, --account selects a connected account";

/// Sentence for a user or customer who is unknown, if no backfill has read the account: the answer may be wrong.
pub(super) async fn never_backfilled_note(store: &Store, scope: &Scope) -> Option<String> {
    // A ledger that only an older version has opened has no coverage, and is read all the same.
    let coverage = store.log.coverage().await.unwrap_or_default();
    let is_backfilled = coverage.iter().any(|it| it.scope == *scope && it.is_backfilled());
    (!is_backfilled).then(|| {
        format!(
            "no backfill has read this account, so the ledger may not know all of Stripe's subscriptions: run `{}`",
            backfill_command(scope)
        )
    })
}

/// Hint for a user, customer or subscription that is not found.
pub(super) async fn not_found_hint(store: &Store, scope: &Scope) -> String {
    let note = never_backfilled_note(store, scope).await;
    note.map_or_else(|| SCOPE_HINT.to_owned(), |note| format!("{note}; {SCOPE_HINT}"))
}
