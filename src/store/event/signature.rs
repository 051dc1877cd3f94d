//! Hash of a signature header, which the leaf of the event commits to.
//!
//! The hash is salted: after an erasure neither the signature nor the salt is left, so that the hash cannot confirm a
//! guessed body. The hash of a signature that an earlier version logged has no salt.

use sha2::{Digest, Sha256};

use crate::tree::Hash;

/// Derives the salt of the signature hash from the salt of the event. The derived salt reveals nothing about the
/// event's salt, so that it can be shown to check a signature without allowing anybody to guess a payload.
pub fn signature_salt(salt: &[u8; 16]) -> [u8; 16] {
    let digest: Hash =
        Sha256::new().chain_update(SIGNATURE_SALT).chain_update(salt).finalize().into();
    let mut derived = [0; 16];
    derived.copy_from_slice(&digest[..16]);
    derived
}

/// Computes `SHA-256(signature salt || signature)`, or `SHA-256(signature)` without a salt.
pub fn signature_hash(signature_salt: Option<&[u8; 16]>, signature: &str) -> Hash {
    let salt = signature_salt.map_or(&[][..], |salt| salt);
    Sha256::new().chain_update(salt).chain_update(signature).finalize().into()
}

/// Prefix that separates the derived salt from other hashes of the event's salt.
const SIGNATURE_SALT: &str = "subledger-signature-salt-v1\n";

/// Computes the hash of a signature with the salt derived from the event's salt.
pub(super) fn salted(salt: &[u8; 16], signature: &str) -> Hash {
    signature_hash(Some(&signature_salt(salt)), signature)
}

/// Returns the signature hash that the leaf commits to: the stored one, or the unsalted one.
pub(super) fn committed(signature: Option<&str>, stored: Option<Hash>) -> Option<Hash> {
    stored.or_else(|| signature.map(|it| signature_hash(None, it)))
}

/// True if the signature has the stored hash, and is missing only if the salt is missing too. Without the salt nothing
/// can be checked.
pub(super) fn fits(
    signature: Option<&str>,
    stored: Option<&Hash>,
    salt: Option<&[u8; 16]>,
) -> bool {
    match (signature, stored, salt) {
        (Some(signature), Some(hash), Some(salt)) => salted(salt, signature) == *hash,
        (None, Some(_), Some(_)) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_salt_of_a_signature_hides_the_salt_it_is_made_of() {
        let salt = signature_salt(&[7; 16]);
        assert_eq!(hex::encode(salt), "3aa05befdbbcdfd205aa4c1d53820a7d");
        assert_ne!(signature_hash(Some(&salt), "t=1,v1=ab"), signature_hash(None, "t=1,v1=ab"));
    }
}
