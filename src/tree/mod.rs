//! The Merkle tree over the log, as [RFC 6962](https://www.rfc-editor.org/rfc/rfc6962#section-2) defines
//! it: its root commits to every event and to their order.
//!
//! An append keeps the tree's right edge alone, the [`Frontier`]. A proof is a few hashes of ranges of
//! leaves: this module says of which, in which order, and checks them. Where the hashes come from is
//! somebody else's affair, so all of it is pure.

mod consistency;
mod frontier;
mod inclusion;
#[cfg(test)]
mod oracle;

use std::ops::Range;

use sha2::{Digest, Sha256};

pub use consistency::{consistency, is_consistent};
pub use frontier::Frontier;
pub use inclusion::{inclusion, root_of_inclusion};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The hash of a leaf: `SHA-256(0x00 || record)`.
pub fn leaf(record: &[u8]) -> Hash {
    Sha256::new().chain_update([0x00]).chain_update(record).finalize().into()
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)`.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into()
}

/// The hash over complete subtrees that stand side by side, greatest first: that of nothing where there
/// are none.
pub fn combine(subtrees: &[Hash]) -> Hash {
    let Some((&smallest, greater)) = subtrees.split_last() else {
        return Sha256::digest([]).into();
    };
    greater.iter().rev().fold(smallest, |right, left| node(left, &right))
}

/// A complete subtree: `2^level` leaves, the first of which is leaf `index * 2^level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subtree {
    /// The height; 0 is a leaf.
    pub level: u32,
    /// Its place among the subtrees of this height.
    pub index: u64,
}

impl Subtree {
    /// The subtree twice as big of which this is a half.
    #[must_use]
    pub fn parent(self) -> Self {
        Self { level: self.level + 1, index: self.index / 2 }
    }

    /// The subtrees of a lower level that make it up, by their indexes.
    pub fn parts(self, level: u32) -> Range<u64> {
        let shift = self.level - level;
        self.index << shift..(self.index + 1) << shift
    }
}

/// The complete subtrees that make up a range of leaves, greatest first. The range is one of a proof, or
/// a whole tree: it begins at a multiple of its greatest subtree.
pub fn subtrees(range: &Range<u64>) -> Vec<Subtree> {
    let mut subtrees = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let level = (range.end - start).ilog2();
        debug_assert!(start.is_multiple_of(1 << level), "{range:?} is no part of a tree");
        subtrees.push(Subtree { level, index: start >> level });
        start += 1 << level;
    }
    subtrees
}

/// How many leaves are left of the root of a tree of several: the greatest power of two below its size.
fn left_of_root(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_made_up_of_complete_subtrees() {
        let of = |range| subtrees(&range).iter().map(|it| (it.level, it.index)).collect::<Vec<_>>();
        assert_eq!(of(0..7), [(2, 0), (1, 2), (0, 6)]);
        assert_eq!(of(8..11), [(1, 4), (0, 10)]);
        assert_eq!(of(3..3), []);
        assert_eq!(Subtree { level: 9, index: 3 }.parts(8), 6..8);
    }
}
