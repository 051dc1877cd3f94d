//! Parts that the texts of checkpoints and proofs have in common.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::ProofError;
use crate::tree::Hash;

/// Maximum number of hashes in a proof: one for each level, and the first hash of a consistency proof.
const HASHES_MAX: usize = 65;

/// Reads a decimal number without sign and leading zeros.
pub(super) fn number(text: &str) -> Option<u64> {
    let number = text.parse::<u64>().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Reads a hash in base64.
pub(super) fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Writes the hashes of a proof, one on each line.
pub(super) fn lines(hashes: &[Hash]) -> String {
    hashes.iter().map(|hash| STANDARD.encode(hash) + "\n").collect()
}

/// Splits a proof into the lines before the first empty line and the checkpoint after it.
pub(super) fn split(text: &str) -> Result<(std::str::Lines<'_>, &str), ProofError> {
    let (head, checkpoint) =
        text.split_once("\n\n").ok_or(ProofError::Malformed("it has no checkpoint"))?;
    Ok((head.lines(), checkpoint))
}

/// Reads the remaining lines of a proof as hashes.
pub(super) fn hashes<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Hash>, ProofError> {
    let hashes: Option<Vec<_>> = lines.map(hash).collect();
    let hashes = hashes.ok_or(ProofError::Malformed("a line is no SHA-256 hash in base64"))?;
    if hashes.len() > HASHES_MAX {
        return Err(ProofError::Malformed("it has more hashes than any tree has levels"));
    }
    Ok(hashes)
}
