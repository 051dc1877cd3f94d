//! Consistency proofs: a tree is a prefix of a later tree, so the log was only appended to.

use std::ops::Range;

use super::hash::{Hash, combine, node};
use super::subtree::left_leaves;

/// Computes the ranges of leaves whose hashes prove that a tree of `old` leaves is a prefix of a tree of `new` leaves.
/// `None` if the later tree is smaller. Empty if both sizes are equal or the old tree is empty.
pub fn consistency(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    if old > new {
        return None;
    }
    let mut siblings = Vec::new();
    let mut range = 0..new;
    while old > 0 && old < range.end {
        let middle = range.start + left_leaves(range.end - range.start);
        if old <= middle {
            siblings.push(middle..range.end);
            range.end = middle;
        } else {
            siblings.push(range.start..middle);
            range.start = middle;
        }
    }
    // The verifier knows the old root, so the hash of the whole old tree is left out.
    if old > 0 && range.start > 0 {
        siblings.push(range);
    }
    siblings.reverse();
    Some(siblings)
}

/// True if the proof shows that the tree with the old root is a prefix of the tree with the new root.
pub fn is_consistent(old: (u64, Hash), new: (u64, Hash), proof: &[Hash]) -> bool {
    if old.0 == 0 {
        return old.1 == combine(&[]) && proof.is_empty();
    }
    roots(old.0, new.0, Some(old.1), proof) == Some((old.1, new.1))
}

/// Computes the old and the new root from the proof. `whole` is the root of the old tree while the recursion has not
/// split that tree.
fn roots(old: u64, new: u64, whole: Option<Hash>, proof: &[Hash]) -> Option<(Hash, Hash)> {
    if old == new {
        return match (whole, proof) {
            (Some(hash), []) => Some((hash, hash)),
            (None, [hash]) => Some((*hash, *hash)),
            _ => None,
        };
    }
    if old > new {
        return None;
    }
    let (sibling, below) = proof.split_last()?;
    let left = left_leaves(new);
    Some(if old <= left {
        let (old_root, new_left) = roots(old, left, whole, below)?;
        (old_root, node(&new_left, sibling))
    } else {
        let (old_right, new_right) = roots(old - left, new - left, None, below)?;
        (node(sibling, &old_right), node(sibling, &new_right))
    })
}

#[cfg(test)]
mod tests {
    use super::super::oracle::Tree;
    use super::*;

    #[test]
    fn every_proof_is_that_of_an_independent_implementation_and_holds() {
        for new in 1..100 {
            let tree = Tree::new(new);
            for old in 1..=new {
                let before = (old, Tree::new(old).root());
                let proof = tree.hashes(&consistency(old, new).unwrap());
                assert!(is_consistent(before, (new, tree.root()), &proof), "{old} to {new}");
                if old < new {
                    let added = usize::try_from(new - old).unwrap();
                    let theirs = tree.theirs.prove_consistency(added);
                    assert_eq!(proof.concat(), theirs.as_bytes(), "{old} to {new}");
                }
            }
        }
    }

    #[test]
    fn a_tampered_proof_or_root_does_not_hold() {
        for (old, new) in [(6, 7), (4, 8), (21, 87), (64, 87), (65, 87), (86, 87)] {
            let (before, after) = ((old, Tree::new(old).root()), (new, Tree::new(new).root()));
            let proof = Tree::new(new).hashes(&consistency(old, new).unwrap());
            assert!(is_consistent(before, after, &proof));
            for number in 0..proof.len() {
                let mut tampered = proof.clone();
                tampered[number][0] ^= 0x80;
                assert!(!is_consistent(before, after, &tampered), "{old} to {new}: {number}");
                tampered.remove(number);
                assert!(!is_consistent(before, after, &tampered), "{old} to {new}: no {number}");
            }
            assert!(!is_consistent(before, after, &[&proof[..], &[[0; 32]]].concat()));
            assert!(!is_consistent((old, [1; 32]), after, &proof));
            assert!(!is_consistent(before, (new, [1; 32]), &proof));
            assert!(!is_consistent(after, before, &proof));
        }
    }

    #[test]
    fn every_log_begins_with_the_empty_one_and_none_shrinks() {
        let nothing = (0, Tree::new(0).root());
        assert_eq!(consistency(0, 5), Some(vec![]));
        assert!(is_consistent(nothing, (5, Tree::new(5).root()), &[]));
        assert!(!is_consistent((0, [0; 32]), (5, Tree::new(5).root()), &[]));
        assert_eq!(consistency(6, 5), None);
        let same = (5, Tree::new(5).root());
        assert!(is_consistent(same, same, &[]));
        assert!(!is_consistent(same, (5, [2; 32]), &[]));
    }
}
