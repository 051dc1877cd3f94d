//! In-memory tree of an independent implementation, for tests.

use std::ops::Range;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;

use super::{Frontier, Hash, leaf};

pub(super) struct Tree {
    pub(super) theirs: MemoryBackedTree<Sha256, Vec<u8>>,
}

impl Tree {
    pub(super) fn new(size: u64) -> Self {
        let mut theirs = MemoryBackedTree::new();
        (0..size).for_each(|index| theirs.push(index.to_be_bytes().to_vec()));
        Self { theirs }
    }

    pub(super) fn root(&self) -> Hash {
        self.theirs.root().as_bytes().as_slice().try_into().unwrap()
    }

    pub(super) fn leaf(&self, index: u64) -> Hash {
        leaf(self.theirs.get(usize::try_from(index).unwrap()).unwrap())
    }

    /// Computes the hash of each range from its complete subtrees, as the log does.
    pub(super) fn hashes(&self, ranges: &[Range<u64>]) -> Vec<Hash> {
        let of_subtree = |subtree: super::Subtree| {
            let mut frontier = Frontier::default();
            subtree.parts(0).for_each(|index| frontier.push(self.leaf(index)));
            frontier.root()
        };
        let of_range = |range| {
            super::combine(&super::subtrees(range).into_iter().map(of_subtree).collect::<Vec<_>>())
        };
        ranges.iter().map(of_range).collect()
    }
}
