//! Hashes of leaves and inner nodes.

use sha2::{Digest, Sha256};

/// SHA-256 hash.
pub type Hash = [u8; 32];

/// Computes the hash of a leaf: `SHA-256(0x00 || record)`.
pub fn leaf(record: &[u8]) -> Hash {
    Sha256::new().chain_update([0x00]).chain_update(record).finalize().into()
}

/// Computes the hash of an inner node: `SHA-256(0x01 || left || right)`.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into()
}

/// Computes the hash over adjacent complete subtrees, largest first. Without subtrees it is the hash of the empty
/// string.
pub fn combine(subtrees: &[Hash]) -> Hash {
    let Some((&smallest, greater)) = subtrees.split_last() else {
        return Sha256::digest([]).into();
    };
    greater.iter().rev().fold(smallest, |right, left| node(left, &right))
}
