//! Mode in which a ledger is opened.

/// Mode in which a ledger is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Creates the ledger if it is missing.
    Create,
    /// Fails with [`NoLedger`](crate::store::StoreError::NoLedger) if the ledger is missing.
    Existing,
    /// Like `Existing`, and creates, migrates and writes nothing.
    ReadOnly,
}
