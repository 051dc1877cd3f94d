//! Setting for users whom the ledger does not know.

/// Answer about a user whom the ledger does not know, while no backfill has read the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum UnknownUser {
    /// `"active":false` with `"known":false`.
    #[default]
    Answer,
    /// Problem `not-covered`, status 503.
    Unavailable,
}
