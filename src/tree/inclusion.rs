//! Inclusion proofs: a leaf stands at an index of a tree.

use std::ops::Range;

use super::hash::{Hash, node};
use super::subtree::left_leaves;

/// Computes the ranges of leaves whose hashes prove that leaf `index` is in a tree of `size` leaves, from the leaf's
/// sibling up to the child of the root. `None` if the tree has no such leaf.
pub fn inclusion(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let mut siblings = Vec::new();
    let mut range = 0..size;
    while range.end - range.start > 1 {
        let middle = range.start + left_leaves(range.end - range.start);
        if index < middle {
            siblings.push(middle..range.end);
            range.end = middle;
        } else {
            siblings.push(range.start..middle);
            range.start = middle;
        }
    }
    siblings.reverse();
    Some(siblings)
}

/// Computes the root of the tree of `size` leaves from a leaf, its index and the proof. `None` if the proof does not
/// fit the index and the size.
pub fn root_of_inclusion(index: u64, size: u64, leaf: Hash, proof: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    if size == 1 {
        return proof.is_empty().then_some(leaf);
    }
    let (sibling, below) = proof.split_last()?;
    let left = left_leaves(size);
    Some(if index < left {
        node(&root_of_inclusion(index, left, leaf, below)?, sibling)
    } else {
        node(sibling, &root_of_inclusion(index - left, size - left, leaf, below)?)
    })
}

#[cfg(test)]
mod tests {
    use super::super::oracle::Tree;
    use super::*;

    #[test]
    fn every_proof_is_that_of_an_independent_implementation_and_holds() {
        for size in 1..130 {
            let tree = Tree::new(size);
            for index in 0..size {
                let proof = tree.hashes(&inclusion(index, size).unwrap());
                let theirs = tree.theirs.prove_inclusion(usize::try_from(index).unwrap());
                assert_eq!(proof.concat(), theirs.as_bytes(), "{index} of {size}");
                let leaf = tree.leaf(index);
                assert_eq!(root_of_inclusion(index, size, leaf, &proof), Some(tree.root()));
            }
        }
    }

    #[test]
    fn a_proof_of_another_leaf_place_size_or_length_does_not_hold() {
        let (size, index) = (87, 41);
        let tree = Tree::new(size);
        let proof = tree.hashes(&inclusion(index, size).unwrap());
        let holds = |index, size, leaf, proof: &[Hash]| {
            root_of_inclusion(index, size, leaf, proof) == Some(tree.root())
        };
        assert!(holds(index, size, tree.leaf(index), &proof));
        assert!(!holds(index, size, tree.leaf(index + 1), &proof));
        for other in (0..=size).filter(|it| *it != index) {
            assert!(!holds(other, size, tree.leaf(index), &proof), "at {other}");
        }
        assert!(!holds(index, 40, tree.leaf(index), &proof));
        for number in 0..proof.len() {
            let mut tampered = proof.clone();
            tampered[number][31] ^= 1;
            assert!(!holds(index, size, tree.leaf(index), &tampered), "hash {number}");
            tampered.remove(number);
            assert!(!holds(index, size, tree.leaf(index), &tampered), "without hash {number}");
        }
        assert!(!holds(index, size, tree.leaf(index), &[&proof[..], &[[0; 32]]].concat()));
    }

    #[test]
    fn no_tree_proves_a_leaf_that_it_does_not_have() {
        assert_eq!(inclusion(0, 0), None);
        assert_eq!(inclusion(5, 5), None);
        assert_eq!(root_of_inclusion(0, 0, [0; 32], &[]), None);
    }
}
