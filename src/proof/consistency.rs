//! Consistency proofs of the log, in the format that a log sends to a [witness](https://c2sp.org/tlog-witness).

use super::checkpoint::Checkpoint;
use super::error::ProofError;
use super::format::{hashes, lines, number, split};
use super::key::VerifierKey;
use crate::tree::{self, Hash};

/// Proof that the log of an older checkpoint is a prefix of the log of a newer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// Number of events at the older checkpoint.
    pub old: u64,
    /// Hashes of the proof, in the order of the format.
    pub hashes: Vec<Hash>,
    /// Newer checkpoint, signed.
    pub checkpoint: String,
}

impl ConsistencyProof {
    /// Writes the proof as text.
    pub fn to_text(&self) -> String {
        format!("old {}\n{}\n{}", self.old, lines(&self.hashes), self.checkpoint)
    }

    /// True if a text has the format of a consistency proof. The origin of a checkpoint has no spaces.
    pub fn has_format(text: &str) -> bool {
        text.starts_with("old ")
    }

    /// Reads the text. Call [`check`](Self::check) to verify the proof.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let (mut head, checkpoint) = split(text)?;
        let old = head.next().and_then(|line| number(line.strip_prefix("old ")?));
        let old = old.ok_or(ProofError::Malformed("its first line is not an old size"))?;
        Ok(Self { old, hashes: hashes(head)?, checkpoint: checkpoint.to_owned() })
    }

    /// Verifies the signature and the proof, and returns the newer checkpoint.
    pub fn check(&self, old: &Checkpoint, key: &VerifierKey) -> Result<Checkpoint, ProofError> {
        let new = Checkpoint::open(&self.checkpoint, key)?;
        let is_consistent =
            tree::is_consistent((old.size, old.root), (new.size, new.root), &self.hashes);
        if old.size == self.old && is_consistent { Ok(new) } else { Err(ProofError::WrongRoot) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SigningKey;
    use super::*;

    #[test]
    fn a_proof_is_written_read_and_holds_for_its_two_checkpoints_alone() {
        let key = SigningKey::new("example.com/ledger", &[3; 32]).unwrap();
        let [first, second, third] = [[1], [2], [3]].map(|record| tree::leaf(&record));
        let old = Checkpoint { size: 2, root: tree::node(&first, &second) };
        let new = Checkpoint { size: 3, root: tree::node(&old.root, &third) };
        let checkpoint = new.sign(&key);
        let proof = ConsistencyProof { old: 2, hashes: vec![third], checkpoint };
        let text = proof.to_text();
        assert!(text.starts_with("old 2\n") && ConsistencyProof::has_format(&text), "{text}");
        assert_eq!(ConsistencyProof::parse(&text).as_ref(), Ok(&proof));
        assert_eq!(proof.check(&old, key.verifier()), Ok(new));

        let rewritten = Checkpoint { root: tree::node(&second, &first), ..old };
        assert_eq!(proof.check(&rewritten, key.verifier()), Err(ProofError::WrongRoot));
        assert_eq!(proof.check(&new, key.verifier()), Err(ProofError::WrongRoot));
        let other = Checkpoint { root: tree::node(&rewritten.root, &third), ..new }.sign(&key);
        let of_other = ConsistencyProof { checkpoint: other, ..proof };
        assert_eq!(of_other.check(&old, key.verifier()), Err(ProofError::WrongRoot));
        for text in ["", "old 2\n", "old 02\n\nx", "old 2\nxx\n\nx", "new 2\n\nx"] {
            assert!(ConsistencyProof::parse(text).is_err(), "{text:?}");
        }
    }
}
