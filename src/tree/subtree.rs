//! Complete subtrees, and the ranges of leaves that they cover.

use std::ops::Range;

/// Complete subtree of `2^level` leaves. Its first leaf is leaf `index * 2^level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subtree {
    /// Height; 0 is a leaf.
    pub level: u32,
    /// Index among the subtrees of this height.
    pub index: u64,
}

impl Subtree {
    /// Returns the subtree of twice the size of which this one is a half.
    #[must_use]
    pub fn parent(self) -> Self {
        Self { level: self.level + 1, index: self.index / 2 }
    }

    /// Returns the indexes of the subtrees of a lower level that form this one.
    pub fn parts(self, level: u32) -> Range<u64> {
        let shift = self.level - level;
        self.index << shift..(self.index + 1) << shift
    }
}

/// Splits a range of leaves into complete subtrees, largest first. The range must be one of a proof or a whole tree:
/// it begins at a multiple of the size of its largest subtree.
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

/// Number of leaves left of the root of a tree with at least two leaves: the largest power of two below its size.
pub(super) fn left_leaves(size: u64) -> u64 {
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
