//! Inclusion proofs of the log. <https://c2sp.org/tlog-proof>

use super::checkpoint::Checkpoint;
use super::error::ProofError;
use super::format::{hashes, lines, number, split};
use super::key::VerifierKey;
use crate::tree::{self, Hash};

/// First line of the format.
const FORMAT: &str = "c2sp.org/tlog-proof@v1";

/// Proof that a leaf is in the log of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// Index of the leaf, from 0: one less than the position of the event.
    pub index: u64,
    /// Hashes from the leaf's sibling up to the child of the root.
    pub hashes: Vec<Hash>,
    /// Checkpoint, signed.
    pub checkpoint: String,
}

impl InclusionProof {
    /// Writes the proof as text.
    pub fn to_text(&self) -> String {
        format!("{FORMAT}\nindex {}\n{}\n{}", self.index, lines(&self.hashes), self.checkpoint)
    }

    /// True if a text has the format of an inclusion proof.
    pub fn has_format(text: &str) -> bool {
        text.lines().next() == Some(FORMAT)
    }

    /// Reads the text. Call [`check`](Self::check) to verify the proof.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let (mut head, checkpoint) = split(text)?;
        if head.next() != Some(FORMAT) {
            return Err(ProofError::Malformed("its first line is not the one of the format"));
        }
        let mut head = head.peekable();
        // Extra data is not signed and not needed.
        head.next_if(|line| line.starts_with("extra "));
        let index = head.next().and_then(|line| number(line.strip_prefix("index ")?));
        let index = index.ok_or(ProofError::Malformed("it has no index"))?;
        Ok(Self { index, hashes: hashes(head)?, checkpoint: checkpoint.to_owned() })
    }

    /// Verifies the signature and the proof for this leaf, and returns the checkpoint.
    pub fn check(&self, leaf: Hash, key: &VerifierKey) -> Result<Checkpoint, ProofError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, key)?;
        let root = tree::root_of_inclusion(self.index, checkpoint.size, leaf, &self.hashes);
        if root == Some(checkpoint.root) { Ok(checkpoint) } else { Err(ProofError::WrongRoot) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SigningKey;
    use super::*;

    fn key() -> SigningKey {
        SigningKey::new("example.com/ledger", &[3; 32]).unwrap()
    }

    /// The second of three leaves.
    fn proof() -> (InclusionProof, Hash) {
        let [first, second, third] = [[1], [2], [3]].map(|record| tree::leaf(&record));
        let root = tree::node(&tree::node(&first, &second), &third);
        let checkpoint = Checkpoint { size: 3, root }.sign(&key());
        (InclusionProof { index: 1, hashes: vec![first, third], checkpoint }, second)
    }

    #[test]
    fn a_proof_is_written_read_and_holds() {
        let (proof, leaf) = proof();
        let text = proof.to_text();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 1\n"), "{text}");
        assert_eq!(text.lines().count(), 10, "{text}");
        assert!(InclusionProof::has_format(&text));
        assert_eq!(InclusionProof::parse(&text).as_ref(), Ok(&proof));
        let with_extra = text.replace("index 1", "extra AAAA\nindex 1");
        assert_eq!(InclusionProof::parse(&with_extra).as_ref(), Ok(&proof));
        assert_eq!(proof.check(leaf, key().verifier()).unwrap().size, 3);
        assert_eq!(proof.check([9; 32], key().verifier()), Err(ProofError::WrongRoot));
    }

    #[test]
    fn no_byte_of_a_proof_can_be_changed() {
        let (proof, leaf) = proof();
        let text = proof.to_text();
        for (at, character) in text.char_indices().filter(|(_, c)| c.is_ascii()) {
            for other in ["A", "7", "", "\n"].into_iter().filter(|it| *it != character.to_string())
            {
                let tampered = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                let holds = InclusionProof::parse(&tampered)
                    .and_then(|tampered| tampered.check(leaf, key().verifier()));
                assert!(holds.is_err(), "{tampered}");
            }
        }
    }

    #[test]
    fn a_proof_in_a_log_of_one_has_no_hashes() {
        let leaf = tree::leaf(b"alone");
        let checkpoint = Checkpoint { size: 1, root: leaf }.sign(&key());
        let proof = InclusionProof { index: 0, hashes: Vec::new(), checkpoint };
        assert_eq!(InclusionProof::parse(&proof.to_text()).as_ref(), Ok(&proof));
        assert!(proof.check(leaf, key().verifier()).is_ok());
    }
}
