//! Head of the log: its size, root and last time of arrival.

use super::db::{Query, Row};
use super::error::StoreError;
use crate::ids::Position;
use crate::time::ReceivedAt;
use crate::tree::{Frontier, Hash};

/// Head of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// Random id, created with the log.
    pub log_id: String,
    /// Last position.
    pub size: Position,
    /// Root of the Merkle tree.
    pub root: Hash,
    /// Time of arrival of the last event; zero for an empty log.
    pub last_received_at: ReceivedAt,
    /// Last event that a restore appended. While it equals the size, the restore may continue.
    pub restored: Position,
}

/// Head of the log inside an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) size: Position,
    pub(super) tree: Frontier,
    pub(super) last_received_at: ReceivedAt,
    pub(super) restored: i64,
}

/// Head of a PostgreSQL log after the last append of this process.
#[derive(Debug)]
pub(super) struct CachedHead {
    pub(super) head: Head,
    /// True if no other process seems to append.
    pub(super) exclusive: bool,
}

impl Head {
    /// Reads size, frontier, last time of arrival and restored position.
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        let size: i64 = row.get(0)?;
        let frontier: Vec<u8> = row.get(1)?;
        let tree = u64::try_from(size).ok().and_then(|size| Frontier::from_bytes(size, &frontier));
        let damaged = || StoreError::Corrupt("the tree of the log's head has a wrong size".into());
        Ok(Self {
            size: Position(size),
            tree: tree.ok_or_else(damaged)?,
            last_received_at: ReceivedAt(row.get(2)?),
            restored: row.get(3)?,
        })
    }

    /// Binds size, root, frontier, last time of arrival and restored position.
    pub(super) fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query
            .bind(self.size.0)
            .bind(self.tree.root().to_vec())
            .bind(self.tree.to_bytes())
            .bind(self.last_received_at.0)
            .bind(self.restored)
    }
}
