//! Merkle tree over the log, as defined by [RFC 6962](https://www.rfc-editor.org/rfc/rfc6962#section-2). Its root
//! commits to every event and to their order.
//!
//! An append needs only the right edge of the tree, the [`Frontier`]. A proof is a list of hashes of ranges of leaves:
//! this module computes the ranges and their order, and checks proofs. It does not read hashes from storage.

mod consistency;
mod frontier;
mod hash;
mod inclusion;
#[cfg(test)]
mod oracle;
mod subtree;

pub use consistency::{consistency, is_consistent};
pub use frontier::Frontier;
pub use hash::{Hash, combine, leaf, node};
pub use inclusion::{inclusion, root_of_inclusion};
pub use subtree::{Subtree, subtrees};
