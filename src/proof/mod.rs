//! What leaves the machine, so that nobody who edits the log goes unnoticed, and what anybody can check
//! without the log: [signed notes](https://c2sp.org/signed-note), [checkpoints](https://c2sp.org/tlog-checkpoint)
//! and [proofs](https://c2sp.org/tlog-proof), in the formats of transparency logs.
//!
//! A [`Checkpoint`] says how many events the log has and what its root is, signed. An [`InclusionProof`]
//! shows that an event is in the log of a checkpoint; a [`ConsistencyProof`] that the log of one checkpoint
//! begins with that of an older one.
//!
//! Architecture invariant: nothing here knows a database or a clock.

mod checkpoint;
mod consistency;
mod inclusion;
mod key;
mod note;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use checkpoint::Checkpoint;
pub use consistency::ConsistencyProof;
pub use inclusion::InclusionProof;
pub use key::{KeyError, SigningKey, VerifierKey};
pub use note::{open, sign};

use crate::tree::Hash;

/// Why a note or a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The text is not of the form.
    #[error("it is not of the form: {0}")]
    Malformed(&'static str),
    /// No signature is by the key.
    #[error("it is not signed with this key")]
    NotSigned,
    /// There is a signature by the key, over another text.
    #[error("its signature is not over this text")]
    WrongSignature,
    /// Another log's, signed with this key.
    #[error("it is of another log than the key")]
    OtherOrigin,
    /// The hashes do not lead to the root.
    #[error("its hashes do not lead to the signed root")]
    WrongRoot,
}

/// Reads a decimal number as the formats have it: no sign, no leading zeros.
fn number(text: &str) -> Option<u64> {
    let number = text.parse::<u64>().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Reads a hash in base64.
fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// The lines of a proof, before the checkpoint: each hash on its own.
fn lines(hashes: &[Hash]) -> String {
    hashes.iter().map(|hash| STANDARD.encode(hash) + "\n").collect()
}

/// Splits a proof into the lines before the first empty one and the checkpoint after it.
fn split(text: &str) -> Result<(std::str::Lines<'_>, &str), ProofError> {
    let (head, checkpoint) =
        text.split_once("\n\n").ok_or(ProofError::Malformed("it has no checkpoint"))?;
    Ok((head.lines(), checkpoint))
}

/// Reads the hashes that are left of a proof's lines: more than a tree is high are none.
fn hashes<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Hash>, ProofError> {
    let hashes: Option<Vec<_>> = lines.map(hash).collect();
    let hashes = hashes.ok_or(ProofError::Malformed("a line is no SHA-256 hash in base64"))?;
    if hashes.len() > HASHES_MAX {
        return Err(ProofError::Malformed("it has more hashes than any tree is high"));
    }
    Ok(hashes)
}

/// Hashes in a proof, at most: one for each level, and the one that a consistency proof begins with.
const HASHES_MAX: usize = 65;
