//! Right edge of a growing tree.

use super::hash::{Hash, combine, node};
use super::subtree::Subtree;

/// Right edge of a tree. It is enough to append leaves and to compute the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Hash of a complete subtree for each bit that is set in `size`, largest subtree first.
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// Appends a leaf.
    pub fn push(&mut self, leaf_hash: Hash) {
        self.push_with(leaf_hash, |_, _| {});
    }

    /// Appends a leaf, and calls `completed` for each subtree that it completes, beginning with the leaf itself.
    pub fn push_with(&mut self, leaf_hash: Hash, mut completed: impl FnMut(Subtree, Hash)) {
        let mut subtree = Subtree { level: 0, index: self.size };
        let mut hash = leaf_hash;
        completed(subtree, hash);
        // As a carry in binary addition: each trailing one bit of the size is a subtree of the size of the new one.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                hash = node(&left, &hash);
            }
            subtree = subtree.parent();
            completed(subtree, hash);
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    /// Computes the root. The root of an empty tree is the hash of the empty string.
    pub fn root(&self) -> Hash {
        combine(&self.subtrees)
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Concatenated hashes of the subtrees, largest subtree first.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.subtrees.concat()
    }

    /// Reads the frontier of a tree of this size. `None` if the number of bytes does not fit the size.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (subtrees, rest) = bytes.as_chunks::<32>();
        let fits = rest.is_empty() && subtrees.len() == size.count_ones() as usize;
        fits.then(|| Self { size, subtrees: subtrees.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::leaf;
    use super::*;
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use sha2::Sha256;

    #[test]
    fn every_root_is_that_of_an_independent_implementation() {
        let mut ours = Frontier::default();
        let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        for number in 0_u32..600 {
            assert_eq!(ours.root().as_slice(), theirs.root().as_bytes().as_slice(), "{number}");
            assert_eq!(ours.size(), u64::from(number));
            let stored = Frontier::from_bytes(ours.size(), &ours.to_bytes());
            assert_eq!(stored.as_ref(), Some(&ours), "{number}");

            let record = number.to_be_bytes().to_vec();
            ours.push(leaf(&record));
            theirs.push(record);
        }
    }

    #[test]
    fn the_root_of_an_empty_tree_is_the_hash_of_nothing() {
        assert_eq!(
            hex::encode(Frontier::default().root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_frontier_of_another_size_is_refused() {
        let mut frontier = Frontier::default();
        (0..5_u8).for_each(|number| frontier.push(leaf(&[number])));
        assert_eq!(Frontier::from_bytes(7, &frontier.to_bytes()), None);
        assert_eq!(Frontier::from_bytes(5, &frontier.to_bytes()[1..]), None);
    }
}
