//! Proofs about the log, for those who do not have it: signed checkpoints, inclusion proofs of events, and consistency
//! proofs that the log has only grown.
//!
//! Each proof is checked before it is returned, against the root that every append has updated. So a damaged hash of a
//! subtree can make a proof fail, but cannot make a wrong one.

use crate::ids::Position;
use crate::proof::{Checkpoint, ConsistencyProof, InclusionProof, SigningKey};
use crate::store::{Log, StoreError};
use crate::tree::{self, Hash};

/// Checkpoint of the present log, to be signed.
pub async fn checkpoint(log: &Log) -> Result<Checkpoint, StoreError> {
    let head = log.head().await?;
    Ok(Checkpoint { size: head.size.0.unsigned_abs(), root: head.root })
}

/// Checkpoint of the log when it had this many events. None if it never had.
pub async fn checkpoint_at(log: &Log, at: u64) -> Result<Option<Checkpoint>, StoreError> {
    let now = checkpoint(log).await?;
    if at > now.size {
        return Ok(None);
    }
    if at == now.size {
        return Ok(Some(now));
    }
    let then = Checkpoint { size: at, root: log.root_at(at).await? };
    consistency(log, &then, &now).await?;
    Ok(Some(then))
}

/// Proves that the log holds the event at a position.
pub async fn prove_inclusion(
    log: &Log,
    position: Position,
    key: &SigningKey,
) -> Result<InclusionProof, StoreError> {
    let now = checkpoint(log).await?;
    let missing = || StoreError::Corrupt(format!("there is no event at position {position}"));
    let index = position.0.checked_sub(1).and_then(|it| u64::try_from(it).ok());
    let index = index.ok_or_else(missing)?;
    let ranges = tree::inclusion(index, now.size).ok_or_else(missing)?;
    let leaf = log.leaf_hash_at(position).await?.ok_or_else(missing)?;
    let hashes = log.range_hashes(&ranges).await?;
    if tree::root_of_inclusion(index, now.size, leaf, &hashes) != Some(now.root) {
        return Err(not_the_root());
    }
    Ok(InclusionProof { index, hashes, checkpoint: now.sign(key) })
}

/// Proves that the log of the new size begins with that of the old one. None if the log never had so many events, or
/// if the new size is smaller.
pub async fn prove_consistency(
    log: &Log,
    (old, new): (u64, u64),
    key: &SigningKey,
) -> Result<Option<ConsistencyProof>, StoreError> {
    let (Some(before), Some(after)) =
        (checkpoint_at(log, old).await?, checkpoint_at(log, new).await?)
    else {
        return Ok(None);
    };
    if old > new {
        return Ok(None);
    }
    let hashes = consistency(log, &before, &after).await?;
    Ok(Some(ConsistencyProof { old, hashes, checkpoint: after.sign(key) }))
}

/// Hashes that prove that the new log begins with the old one.
async fn consistency(
    log: &Log,
    old: &Checkpoint,
    new: &Checkpoint,
) -> Result<Vec<Hash>, StoreError> {
    let ranges = tree::consistency(old.size, new.size).ok_or_else(not_the_root)?;
    let hashes = log.range_hashes(&ranges).await?;
    if tree::is_consistent((old.size, old.root), (new.size, new.root), &hashes) {
        Ok(hashes)
    } else {
        Err(not_the_root())
    }
}

fn not_the_root() -> StoreError {
    StoreError::Corrupt("the stored hashes do not lead to the root of the log".to_owned())
}
