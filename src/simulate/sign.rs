//! Signatures as Stripe makes them. Independent of the verifier, so that each can test the other.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// `Stripe-Signature` header for a body sent at this instant (Unix seconds).
///
/// The key is the whole secret, `whsec_` included. As on test events of Stripe, there is a `v0` that proves nothing
/// and must not be accepted.
pub fn sign(secret: &str, timestamp: i64, body: &[u8]) -> String {
    let v1 = signature(secret, timestamp, body);
    // A signature of the right length that no secret makes.
    let v0 = signature("", timestamp, &body[..body.len().min(16)]);
    format!("t={timestamp},v1={v1},v0={v0}")
}

fn signature(secret: &str, timestamp: i64, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected value is from `openssl dgst -sha256 -hmac`.
    #[test]
    fn a_signature_is_the_one_that_openssl_makes() {
        let header = sign("whsec_test_secret", 1_492_774_577, b"{\n  \"id\": \"evt_1\"\n}");
        let v1 = header.split(',').find_map(|part| part.strip_prefix("v1=")).unwrap();
        assert_eq!(v1, "028d838a37b96bedf211fa6c5caaf9fedb3de45ce0af812c4ac8201e7d41006e");
        assert!(header.starts_with("t=1492774577,"));
        assert_ne!(header.split(',').find_map(|part| part.strip_prefix("v0=")), Some(v1));
    }
}
