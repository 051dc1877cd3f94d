//! Checkpoints: origin, size and root of a log, signed. <https://c2sp.org/tlog-checkpoint>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::ProofError;
use super::format::{hash, number};
use super::key::{SigningKey, VerifierKey};
use super::note;
use crate::tree::Hash;

/// Size and root of a log at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Number of events.
    pub size: u64,
    /// Root of the Merkle tree over the events.
    pub root: Hash,
}

impl Checkpoint {
    /// Writes the checkpoint as a signed note. Its origin, which identifies the log, is the name of the key.
    pub fn sign(&self, key: &SigningKey) -> String {
        let root = STANDARD.encode(self.root);
        note::sign(&format!("{}\n{}\n{root}\n", key.verifier().name(), self.size), key)
    }

    /// Reads a checkpoint that the key has signed. Lines after the third are extensions; the signature covers them too.
    pub fn open(text: &str, key: &VerifierKey) -> Result<Self, ProofError> {
        let mut lines = note::open(text, key)?.lines();
        let mut next = || lines.next().filter(|line| !line.is_empty());
        let (origin, size, root) = (next(), next(), next());
        if origin != Some(key.name()) {
            return Err(ProofError::OtherOrigin);
        }
        let size =
            size.and_then(number).ok_or(ProofError::Malformed("its second line is not a size"))?;
        let root =
            root.and_then(hash).ok_or(ProofError::Malformed("its third line is not a root"))?;
        Ok(Self { size, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Frontier;

    fn key() -> SigningKey {
        SigningKey::new("example.com/ledger", &[3; 32]).unwrap()
    }

    #[test]
    fn a_checkpoint_is_three_lines_and_a_signature() {
        let checkpoint = Checkpoint { size: 0, root: Frontier::default().root() };
        let signed = checkpoint.sign(&key());
        let text = "example.com/ledger\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— example.com/ledger ";
        assert!(signed.starts_with(text), "{signed}");
        assert_eq!(Checkpoint::open(&signed, key().verifier()), Ok(checkpoint));
    }

    #[test]
    fn what_is_signed_and_no_checkpoint_of_this_log_is_refused() {
        let open = |text: &str| Checkpoint::open(&note::sign(text, &key()), key().verifier());
        let root = STANDARD.encode([0; 32]);
        assert!(open(&format!("example.com/ledger\n12\n{root}\nextension\n")).is_ok());
        assert_eq!(open(&format!("example.com/other\n12\n{root}\n")), Err(ProofError::OtherOrigin));
        for body in [
            format!("012\n{root}\n"),
            format!("-1\n{root}\n"),
            format!("+1\n{root}\n"),
            "12\n".to_owned(),
            "12\nAAAA\n".to_owned(),
            format!("\n12\n{root}\n"),
        ] {
            let opened = open(&format!("example.com/ledger\n{body}"));
            assert!(matches!(opened, Err(ProofError::Malformed(_))), "{body}: {opened:?}");
        }
    }
}
