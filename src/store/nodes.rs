//! Stored nodes of the Merkle tree: hashes of complete subtrees at a few levels, so that a proof about a log of any
//! length reads a few hundred rows. An append stores those that it completes.
//!
//! The table is redundant: a missing node, as in a ledger that is older than the table, is computed from the level
//! below, and [`Log::fill_nodes`] stores it.

use std::ops::Range;

use futures_util::TryStreamExt as _;

use super::damage::{Damage, DamageCause};
use super::db::{Row, Session};
use super::error::StoreError;
use super::event_row::leaf_hash;
use super::log::Log;
use crate::ids::Position;
use crate::tree::{self, Frontier, Hash, Subtree};

/// Levels that are stored. A node of one level covers 256 nodes of the level below.
const LEVELS: [u32; 3] = [8, 16, 24];
/// Maximum number of leaves that one statement reads, so that none takes long.
const LEAVES_MAX: u64 = 1 << 14;
/// Number of subtrees that [`Log::fill_nodes`] checks in one transaction.
const STEP: u64 = 64;

/// Subtree with its hash.
pub(super) type Node = (Subtree, Hash);

/// True if the node of this subtree is stored.
pub(super) fn is_stored(subtree: Subtree) -> bool {
    LEVELS.contains(&subtree.level)
}

/// Stores nodes. An existing node stays: it must be equal, and an append does not fail because of it.
pub(super) async fn insert(session: &mut Session<'_>, nodes: &[Node]) -> Result<(), StoreError> {
    let inserted = session.bulk(sql::NODE_INSERT, nodes, |to, (subtree, hash)| {
        to.integer(i64::from(subtree.level));
        to.integer(to_i64(subtree.index));
        to.bytes(&hash[..]);
    });
    inserted.await.map(drop)
}

impl Log {
    /// Computes the root of the log at a size, which must not exceed its current size.
    pub async fn root_at(&self, size: u64) -> Result<Hash, StoreError> {
        let mut reader = self.0.db.read().await?;
        range_hash(&mut reader.session(), &(0..size)).await
    }

    /// Reads the stored leaf hashes of at most `limit` events after a position.
    pub async fn leaf_hashes(&self, after: Position, limit: i64) -> Result<Vec<Hash>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let query = session.query(sql::LEAVES).bind(after.0).bind(after.plus(limit).0);
        let positions = (after.0 + 1..).map(Position);
        query.fetch_all().await?.iter().zip(positions).map(|(row, at)| leaf(row, at)).collect()
    }

    /// Computes the hashes of the ranges of leaves of a proof.
    pub async fn range_hashes(&self, ranges: &[Range<u64>]) -> Result<Vec<Hash>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let mut hashes = Vec::with_capacity(ranges.len());
        for range in ranges {
            hashes.push(range_hash(&mut session, range).await?);
        }
        Ok(hashes)
    }

    /// Stores the missing nodes of the current log, a few in each transaction, and returns their number. Subtrees with
    /// damaged events are skipped; the first damage is returned as the error at the end.
    #[tracing::instrument(skip_all)]
    pub async fn fill_nodes(&self) -> Result<u64, StoreError> {
        let size = self.head().await?.size.0.unsigned_abs();
        let mut filled = 0;
        let mut damaged = None;
        for level in LEVELS {
            let end = size >> level;
            let mut start = 0;
            let mut missing = end - self.count_nodes(level, end).await?;
            while missing > 0 && start < end {
                let numbers = start..end.min(start + STEP);
                let added = self.fill_step(level, numbers.clone(), &mut damaged).await?;
                (start, missing, filled) =
                    (numbers.end, missing.saturating_sub(added), filled + added);
            }
        }
        damaged.map_or(Ok(filled), Err)
    }

    async fn fill_step(
        &self,
        level: u32,
        numbers: Range<u64>,
        damaged: &mut Option<StoreError>,
    ) -> Result<u64, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let stored = stored_nodes(&mut session, level, &numbers).await?;
        let mut missing = Vec::new();
        for index in numbers.filter(|number| !stored.iter().any(|(it, _)| it.index == *number)) {
            let subtree = Subtree { level, index };
            match hash_from_below(&mut session, subtree).await {
                Ok(hash) => missing.push((subtree, hash)),
                Err(error) if error.is_damage() => drop(damaged.get_or_insert(error)),
                Err(error) => return Err(error),
            }
        }
        drop(reader);
        if !missing.is_empty() {
            let mut write = self.0.db.write_autocommit().await?;
            insert(&mut write.session(), &missing).await?;
            write.commit().await?;
        }
        Ok(missing.len() as u64)
    }

    /// Counts the stored nodes of a level before an index.
    async fn count_nodes(&self, level: u32, end: u64) -> Result<u64, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let query = session.query(sql::COUNT).bind(i64::from(level)).bind(to_i64(end));
        Ok(query.fetch_one().await?.get::<i64, _>(0)?.unsigned_abs())
    }

    /// Returns the subtrees whose stored hash differs from the computed one.
    pub async fn differing_nodes(&self, computed: &[Node]) -> Result<Vec<Subtree>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let mut differing = Vec::new();
        for level in LEVELS {
            let of_level: Vec<_> = computed.iter().filter(|(it, _)| it.level == level).collect();
            let (Some(first), Some(last)) = (of_level.first(), of_level.last()) else { continue };
            let stored =
                stored_nodes(&mut session, level, &(first.0.index..last.0.index + 1)).await?;
            let differs = |node: &Node| of_level.iter().any(|it| it.0 == node.0 && it.1 != node.1);
            differing.extend(stored.into_iter().filter(differs).map(|(subtree, _)| subtree));
        }
        Ok(differing)
    }
}

/// Reads the leaf hash of a row, which must have this position.
fn leaf(row: &Row, position: Position) -> Result<Hash, StoreError> {
    let found = Position(row.get(0)?);
    if found != position {
        let last = Position(found.0 - 1);
        return Err(Damage::new(position, last, DamageCause::Missing).into());
    }
    leaf_hash(position, row.get(1))
}

async fn range_hash(session: &mut Session<'_>, range: &Range<u64>) -> Result<Hash, StoreError> {
    let mut hashes = Vec::new();
    for subtree in tree::subtrees(range) {
        hashes.push(hash(session, subtree).await?);
    }
    Ok(tree::combine(&hashes))
}

/// Reads the stored hash of a complete subtree, or computes it from the largest stored subtrees.
async fn hash(session: &mut Session<'_>, subtree: Subtree) -> Result<Hash, StoreError> {
    match &stored_nodes(session, subtree.level, &(subtree.index..subtree.index + 1)).await?[..] {
        [(_, hash)] => Ok(*hash),
        _ => hash_from_below(session, subtree).await,
    }
}

/// Computes the hash of a complete subtree from the highest level below it that is stored completely, or from the
/// leaves.
async fn hash_from_below(session: &mut Session<'_>, subtree: Subtree) -> Result<Hash, StoreError> {
    for level in LEVELS.into_iter().rev().filter(|level| *level < subtree.level) {
        let parts = subtree.parts(level);
        let stored = stored_nodes(session, level, &parts).await?;
        if stored.len() as u64 == parts.end - parts.start {
            let mut frontier = Frontier::default();
            for (_, hash) in stored {
                frontier.push(hash);
            }
            return Ok(frontier.root());
        }
    }
    let leaves = subtree.parts(0);
    let mut frontier = Frontier::default();
    while frontier.size() < leaves.end - leaves.start {
        let start = leaves.start + frontier.size();
        let end = leaves.end.min(start + LEAVES_MAX);
        let mut rows = session.query(sql::LEAVES).bind(to_i64(start)).bind(to_i64(end)).fetch();
        while let Some(row) = rows.try_next().await? {
            frontier.push(leaf(&row, Position(to_i64(leaves.start + frontier.size())).next())?);
        }
        let found = leaves.start + frontier.size();
        if found != end {
            let (first, last) = (Position(to_i64(found)).next(), Position(to_i64(end)));
            return Err(Damage::new(first, last, DamageCause::Missing).into());
        }
    }
    Ok(frontier.root())
}

/// Reads the stored nodes with these indexes, in order. A level that is not stored has none.
async fn stored_nodes(
    session: &mut Session<'_>,
    level: u32,
    numbers: &Range<u64>,
) -> Result<Vec<Node>, StoreError> {
    if !LEVELS.contains(&level) {
        return Ok(Vec::new());
    }
    let query = session.query(sql::NODES).bind(i64::from(level));
    let rows = query.bind(to_i64(numbers.start)).bind(to_i64(numbers.end)).fetch_all().await?;
    rows.iter()
        .map(|row| {
            let index = row.get::<i64, _>(0)?.unsigned_abs();
            Ok((Subtree { level, index }, row.hash(1)?))
        })
        .collect()
}

/// Converts a number for the database. No log has more events than `i64::MAX`.
fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) mod sql {
    crate::store::db::statements! {
        NODE_INSERT [Integer, Integer, Bytes] = "INSERT INTO nodes (level, number, hash)
            SELECT * FROM ({rows}) AS bound WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";
        NODES = "SELECT number, hash FROM nodes WHERE level = $1 AND number >= $2 AND number < $3 ORDER BY number";
        COUNT = "SELECT count(*) FROM nodes WHERE level = $1 AND number < $2";
        LEAVES = "SELECT position, leaf_hash FROM events WHERE position > $1 AND position <= $2 ORDER BY position";
    }
}
