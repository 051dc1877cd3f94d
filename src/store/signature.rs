//! Hash of a signature header, which the event's leaf commits to.
//!
//! It is salted, so that nobody can confirm a guessed body with it once the event is erased: neither the signature nor
//! the salt is left then. The hash of a signature that an earlier version logged has no salt.

use sha2::{Digest, Sha256};

use crate::tree::Hash;

/// Salt of the signature's hash, made of the event's salt. Whoever is shown it learns nothing about the
/// event's salt, and so can check a signature without being able to guess a payload.
pub fn signature_salt(salt: &[u8; 16]) -> [u8; 16] {
    let digest: Hash =
        Sha256::new().chain_update(SIGNATURE_SALT).chain_update(salt).finalize().into();
    let mut derived = [0; 16];
    derived.copy_from_slice(&digest[..16]);
    derived
}

/// `SHA-256(signature salt || signature)`, or `SHA-256(signature)` without a salt.
pub fn signature_hash(signature_salt: Option<&[u8; 16]>, signature: &str) -> Hash {
    let salt = signature_salt.map_or(&[][..], |salt| salt);
    Sha256::new().chain_update(salt).chain_update(signature).finalize().into()
}

/// Prefix that separates the derived salt from other hashes of the event's salt.
const SIGNATURE_SALT: &str = "subledger-signature-salt-v1\n";

/// Hash of a signature with the salt that is derived from the event's.
pub(super) fn salted(salt: &[u8; 16], signature: &str) -> Hash {
    signature_hash(Some(&signature_salt(salt)), signature)
}

/// The hash of the signature that the leaf commits to.
pub(super) fn committed(signature: Option<&str>, stored: Option<Hash>) -> Option<Hash> {
    stored.or_else(|| signature.map(|it| signature_hash(None, it)))
}

/// True if a signature is the one that was hashed, as far as its salt is known; and whether it is gone only
/// where the salt is gone too.
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
