//! Signed notes: a text, an empty line, and one signature on each line after it.
//! <https://c2sp.org/signed-note>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::ProofError;
use super::key::{SigningKey, VerifierKey};

/// Maximum number of signatures in a note. Witnesses may sign the checkpoints of a log, too.
const SIGNATURES_MAX: usize = 100;

/// Signs a text, which must end with a line break, and returns the note.
pub fn sign(text: &str, key: &SigningKey) -> String {
    let signature = [&key.verifier().hash()[..], &key.sign(text)].concat();
    format!("{text}\n— {} {}\n", key.verifier().name(), STANDARD.encode(signature))
}

/// Verifies that the key has signed a note, and returns its text. Signatures by other keys are ignored.
pub fn open<'n>(note: &'n str, key: &VerifierKey) -> Result<&'n str, ProofError> {
    let malformed = |what| Err(ProofError::Malformed(what));
    if note.contains(|c: char| c < '\u{20}' && c != '\n') {
        return malformed("it has a control character");
    }
    let Some(end) = note.rfind("\n\n") else { return malformed("it has no signatures") };
    let (text, signatures) = (&note[..=end], &note[end + 2..]);
    if !signatures.ends_with('\n') {
        return malformed("its last line has no line break");
    }
    if signatures.lines().count() > SIGNATURES_MAX {
        return malformed("it has too many signatures");
    }
    let mut signed = false;
    for line in signatures.lines() {
        let Some((name, hash, signature)) = read(line) else {
            return malformed("a line is not a signature");
        };
        if name == key.name() && hash == key.hash() {
            if !key.verifies(text, &signature) {
                return Err(ProofError::WrongSignature);
            }
            signed = true;
        }
    }
    if signed { Ok(text) } else { Err(ProofError::NotSigned) }
}

/// Splits a line into name and hash of the key, and the signature.
fn read(line: &str) -> Option<(&str, [u8; 4], Vec<u8>)> {
    let (name, signature) = line.strip_prefix("— ")?.split_once(' ')?;
    let bytes = STANDARD.decode(signature).ok()?;
    let (hash, signature) = bytes.split_first_chunk::<4>()?;
    (!name.is_empty() && !signature.is_empty()).then(|| (name, *hash, signature.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the documentation of `golang.org/x/mod/sumdb/note`.
    const SECRET: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const SIGNATURE: &str = "— PeterNeumann \
        x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn note() -> String {
        format!("{TEXT}\n{SIGNATURE}")
    }

    fn key() -> SigningKey {
        SigningKey::parse(SECRET).unwrap()
    }

    #[test]
    fn published_notes_are_signed_and_opened() {
        assert_eq!(sign(TEXT, &key()), note());
        assert_eq!(open(&note(), key().verifier()), Ok(TEXT));
        // From the specification of verifier keys.
        let other = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        let note = "This is an example message.\n\n— example.com/foo \
            Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
        assert_eq!(open(note, &other.parse().unwrap()), Ok("This is an example message.\n"));
    }

    #[test]
    fn a_text_that_was_edited_does_not_open() {
        let key = key();
        let edited = note().replace("your problem is", "my problem is");
        assert_eq!(open(&edited, key.verifier()), Err(ProofError::WrongSignature));
        let other = SigningKey::new("PeterNeumann", &[1; 32]).unwrap();
        assert_eq!(open(&note(), other.verifier()), Err(ProofError::NotSigned));
        assert_eq!(open(&sign(TEXT, &other), key.verifier()), Err(ProofError::NotSigned));
        // Also where a good signature stands beside the bad one.
        let bad = sign("another text\n", &key);
        let both = note() + bad.lines().last().unwrap() + "\n";
        assert_eq!(open(&both, key.verifier()), Err(ProofError::WrongSignature));
    }

    #[test]
    fn signatures_of_others_are_passed_over() {
        let other = sign(TEXT, &SigningKey::new("witness.example", &[1; 32]).unwrap());
        let both = other + SIGNATURE;
        assert_eq!(open(&both, key().verifier()), Ok(TEXT));
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let (note, key) = (note(), key());
        for text in [
            "",
            TEXT,
            note.trim_end(),
            &note.replace("— ", "- "),
            &note.replace("problem,", "problem,\r"),
            &format!("{note}— PeterNeumann x08=\n"),
            &format!("{note}{}", SIGNATURE.repeat(100)),
        ] {
            let error = open(text, key.verifier());
            assert!(matches!(error, Err(ProofError::Malformed(_))), "{text:?}: {error:?}");
        }
    }
}
