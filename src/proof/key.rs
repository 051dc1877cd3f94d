//! Keys of a log: a named Ed25519 pair.
//!
//! The text of the public key is `name+hash+base64(0x01 || public key)`. The text of the secret key is
//! `PRIVATE+KEY+name+hash+base64(0x01 || seed)`, as written by `golang.org/x/mod/sumdb/note`.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _};
use sha2::{Digest, Sha256};

/// Prefix of the text of a secret key.
const PRIVATE: &str = "PRIVATE+KEY+";
/// Algorithm identifier of Ed25519.
const ED25519: u8 = 0x01;

/// Reason why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, or has a character that separates the parts of the text.
    #[error("the name of a key must not be empty and must have neither spaces nor `+`")]
    Name,
    /// The text does not have the expected format.
    #[error("it does not have the format {0}")]
    Format(&'static str),
    /// The hash does not belong to the name and key.
    #[error("its hash does not match its name and key")]
    Hash,
}

/// Secret key, which signs checkpoints. Its `Debug` output does not show the secret.
#[derive(Clone)]
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    verifier: VerifierKey,
}

/// Public key, which verifies signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: ed25519_dalek::VerifyingKey,
}

impl SigningKey {
    /// Creates the key of this name from 32 secret random bytes.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        check_name(name)?;
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let verifier = VerifierKey { name: name.to_owned(), key: key.verifying_key() };
        Ok(Self { key, verifier })
    }

    /// Reads the text of a secret key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        const FORMAT: KeyError = KeyError::Format("PRIVATE+KEY+name+hash+base64");
        let (name, hash, seed) = fields(text.strip_prefix(PRIVATE).ok_or(FORMAT)?).ok_or(FORMAT)?;
        let key = Self::new(name, &seed)?;
        if key.verifier.hash() != hash {
            return Err(KeyError::Hash);
        }
        Ok(key)
    }

    /// Writes the text of the secret key.
    pub fn to_secret_text(&self) -> String {
        let seed = [&[ED25519][..], self.key.as_bytes()].concat();
        let VerifierKey { name, .. } = &self.verifier;
        format!("{PRIVATE}{name}+{}+{}", hex::encode(self.verifier.hash()), STANDARD.encode(seed))
    }

    /// Public key that belongs to this secret key.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    pub(super) fn sign(&self, text: &str) -> [u8; 64] {
        self.key.sign(text.as_bytes()).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl VerifierKey {
    /// Name, which is also the origin of the log's checkpoints.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Short hash that assigns a signature to a key. It is no protection by itself.
    pub(super) fn hash(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    pub(super) fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        const FORMAT: KeyError = KeyError::Format("name+hash+base64");
        let (name, hash, key) = fields(text.trim()).ok_or(FORMAT)?;
        check_name(name)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&key).map_err(|_| FORMAT)?;
        let verifier = Self { name: name.to_owned(), key };
        if verifier.hash() == hash { Ok(verifier) } else { Err(KeyError::Hash) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519][..], self.key.as_bytes()].concat();
        write!(f, "{}+{}+{}", self.name, hex::encode(self.hash()), STANDARD.encode(key))
    }
}

/// Splits `name+hash+base64(0x01 || key)` into name, hash and key. The base64 text may have a `+`, too.
fn fields(text: &str) -> Option<(&str, [u8; 4], [u8; 32])> {
    let mut parts = text.splitn(3, '+');
    let (name, hash, key) = (parts.next()?, parts.next()?, parts.next()?);
    let hash = hex::decode(hash).ok()?.try_into().ok()?;
    match STANDARD.decode(key).ok()?.split_first()? {
        (&ED25519, key) => Some((name, hash, key.try_into().ok()?)),
        _ => None,
    }
}

fn check_name(name: &str) -> Result<(), KeyError> {
    let refused = |c: char| c == '+' || c.is_whitespace() || c.is_control();
    if name.is_empty() || name.contains(refused) { Err(KeyError::Name) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the documentation of `golang.org/x/mod/sumdb/note`.
    const SECRET: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn published_keys_are_read_and_written_back() {
        let key = SigningKey::parse(SECRET).unwrap();
        assert_eq!(key.verifier().to_string(), PUBLIC);
        assert_eq!(key.to_secret_text(), SECRET);
        for text in [
            PUBLIC,
            "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        ] {
            assert_eq!(text.parse::<VerifierKey>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let public = |text: &str| text.parse::<VerifierKey>().unwrap_err();
        assert_eq!(public(&PUBLIC.replace("c74f20a3", "c74f20a4")), KeyError::Hash);
        assert_eq!(public(&PUBLIC.replace("Peter", "Paul")), KeyError::Hash);
        assert_eq!(public(&PUBLIC.replace("PeterNeumann", "")), KeyError::Name);
        assert!(matches!(
            public(&PUBLIC.replace("+AR", "+AB")),
            KeyError::Format(_) | KeyError::Hash
        ));
        assert!(matches!(public(&PUBLIC.replace("+AR", "+BR")), KeyError::Format(_)));
        assert!(matches!(public(SECRET), KeyError::Format(_)));
        assert!(matches!(SigningKey::parse(PUBLIC), Err(KeyError::Format(_))));
        for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b"] {
            assert_eq!(SigningKey::new(name, &[1; 32]).unwrap_err(), KeyError::Name, "{name:?}");
        }
    }

    #[test]
    fn debugging_shows_no_secret() {
        let shown = format!("{:?}", SigningKey::new("example.com/log", &[7; 32]).unwrap());
        assert!(shown.contains("example.com/log") && !shown.contains("7, 7"), "{shown}");
    }
}
