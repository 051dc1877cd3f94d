//! The `Stripe-Signature` header: `t=<unix seconds>,v1=<64 hex>[,v1=…][,v0=…]`.
//!
//! Stripe signs `<t>.<raw body>` with HMAC-SHA256. The key is the whole endpoint secret with its `whsec_` prefix.
//! While a secret is being rolled (up to 24 hours), a delivery has one `v1` for each active secret, in any order,
//! so every `v1` is compared with every secret. `v0` is a decoy on test events and never counts. Each retry has a
//! new `t` and a new signature.
//!
//! A header is checked in two steps, so that a server can refuse a request before it reads the body:
//! [`Verifier::read_header`] checks form and timestamp, [`Verifier::verify_body`] the signature.

mod binding;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

pub use binding::{Binding, NotASigner, SecretId, SignedWith, Signers, WrongBinding};

use crate::time::StripeTime;

/// Maximum length of a header, in bytes. Stripe's are below 400.
pub const HEADER_BYTES_MAX: usize = 4096;

/// Tolerance of Stripe's own libraries, in seconds.
pub const DEFAULT_TOLERANCE_SECONDS: u32 = 300;

/// Text whose keyed hash begins with the identifier of the secret.
const ID_LABEL: &[u8] = b"subledger: identifier of a signing secret";

/// Verifier of signatures, with the configured endpoint secrets.
#[derive(Clone)]
pub struct Verifier {
    keys: Vec<Key>,
    tolerance_seconds: Option<u32>,
}

/// Secret and its binding.
#[derive(Clone)]
struct Key {
    /// Keyed state, so that a verification does not hash the key again.
    mac: Hmac<Sha256>,
    signer: SignedWith,
}

/// Reason why a delivery is refused. It contains nothing of the body or of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no header.
    #[error("the Stripe-Signature header is missing")]
    Missing,
    /// The header cannot be read.
    #[error("the Stripe-Signature header is malformed: expected t=<unix seconds>,v1=<hex>")]
    Malformed,
    /// The header has only schemes that do not count, such as `v0`.
    #[error("the Stripe-Signature header has no v1 signature")]
    NoV1,
    /// No `v1` is the signature of these bytes by a configured secret.
    #[error(
        "no v1 signature matches: the signing secret is another endpoint's, or something on the \
         way changed the body"
    )]
    NoMatch,
    /// The timestamp is too far in the past.
    #[error(
        "the signature's timestamp is older than the tolerance: a replay, or a clock that is wrong"
    )]
    TooOld,
    /// The timestamp is too far in the future.
    #[error("the signature's timestamp lies ahead by more than the tolerance: a clock is wrong")]
    TooNew,
}

impl Verifier {
    /// Verifier with secrets that are not bound. See [`Self::bound`].
    pub fn new<S: AsRef<str>>(
        secrets: impl IntoIterator<Item = S>,
        tolerance_seconds: Option<u32>,
    ) -> Self {
        Self::bound(secrets.into_iter().map(|secret| (Binding::Any, secret)), tolerance_seconds)
    }

    /// Verifier with bound secrets, which are used as they are. The tolerance is the maximum difference between a
    /// timestamp and the current time, in seconds; `None` accepts any timestamp.
    pub fn bound<S: AsRef<str>>(
        secrets: impl IntoIterator<Item = (Binding, S)>,
        tolerance_seconds: Option<u32>,
    ) -> Self {
        let key = |(binding, secret): (Binding, S)| {
            let mac = keyed(secret.as_ref());
            let mut label = mac.clone();
            label.update(ID_LABEL);
            let digest: [u8; 32] = label.finalize().into_bytes().into();
            let [a, b, c, d, ..] = digest;
            Key { mac, signer: SignedWith { binding, secret: SecretId([a, b, c, d]) } }
        };
        Self { keys: secrets.into_iter().map(key).collect(), tolerance_seconds }
    }

    /// Secrets, as the log names them.
    pub fn signers(&self) -> impl Iterator<Item = SignedWith> {
        self.keys.iter().map(|key| key.signer)
    }

    /// Finds the secrets that signed these raw bytes near `now`. [`Signers::signer_for`] checks whether one of
    /// them is bound to the event.
    pub fn verify(
        &self,
        header: Option<&[u8]>,
        body: &[u8],
        now: StripeTime,
    ) -> Result<Signers, SignatureError> {
        self.verify_body(&self.read_header(header, now)?, body)
    }

    /// Parses a header and compares its timestamp with `now`. Needs no body.
    ///
    /// The result reveals the time of this machine's clock, which the `Date` of every response contains as well.
    pub fn read_header<'a>(
        &self,
        header: Option<&'a [u8]>,
        now: StripeTime,
    ) -> Result<SignatureHeader<'a>, SignatureError> {
        let header = SignatureHeader::parse(header.ok_or(SignatureError::Missing)?)?;
        let Some(tolerance) = self.tolerance_seconds.map(i64::from) else { return Ok(header) };
        match now.0.saturating_sub(header.timestamp) {
            age if age > tolerance => Err(SignatureError::TooOld),
            age if age < -tolerance => Err(SignatureError::TooNew),
            _ => Ok(header),
        }
    }

    /// Finds the secrets that signed the body, by a header that was read before.
    ///
    /// Runs in constant time: it depends on the header's form and the body's length, not on which signature or
    /// secret matches.
    pub fn verify_body(
        &self,
        header: &SignatureHeader<'_>,
        body: &[u8],
    ) -> Result<Signers, SignatureError> {
        let fits = |key: &Key| {
            let mut mac = key.mac.clone();
            mac.update(header.timestamp_text);
            mac.update(b".");
            mac.update(body);
            let expected = mac.finalize().into_bytes();
            header.v1.iter().fold(Choice::from(0), |fits, signature| {
                fits | signature.as_slice().ct_eq(expected.as_slice())
            })
        };
        // All are compared before the result depends on one.
        let fitting: Vec<Choice> = self.keys.iter().map(fits).collect();
        let signers = self.signers().zip(fitting).filter(|(_, fits)| bool::from(*fits));
        let signers = Signers(signers.map(|(signer, _)| signer).collect());
        if signers.0.is_empty() { Err(SignatureError::NoMatch) } else { Ok(signers) }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} secrets, tolerance {:?} s)", self.keys.len(), self.tolerance_seconds)
    }
}

fn keyed(secret: &str) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length")
}

/// Parsed header: timestamp and `v1` signatures.
#[derive(Clone, Debug)]
pub struct SignatureHeader<'a> {
    /// Timestamp as it was signed, byte for byte.
    timestamp_text: &'a [u8],
    timestamp: i64,
    v1: Vec<[u8; 32]>,
}

impl<'a> SignatureHeader<'a> {
    fn parse(header: &'a [u8]) -> Result<Self, SignatureError> {
        if header.len() > HEADER_BYTES_MAX {
            return Err(SignatureError::Malformed);
        }
        let mut timestamp: Option<(&[u8], i64)> = None;
        let mut saw_v1 = false;
        let mut v1 = Vec::with_capacity(2);
        for part in header.split(|byte| *byte == b',') {
            let part = part.trim_ascii();
            let Some(equals) = part.iter().position(|byte| *byte == b'=') else { continue };
            let (scheme, value) = (&part[..equals], &part[equals + 1..]);
            match scheme {
                b"t" => {
                    let seconds = parse_seconds(value).ok_or(SignatureError::Malformed)?;
                    // With two different timestamps it is unknown which was signed. Equal ones come from a proxy
                    // that repeats or joins header lines.
                    if timestamp.replace((value, seconds)).is_some_and(|it| it.0 != value) {
                        return Err(SignatureError::Malformed);
                    }
                }
                b"v1" => {
                    saw_v1 = true;
                    let mut signature = [0; 32];
                    // A value that is not a SHA-256 in hex cannot match; another may.
                    if hex::decode_to_slice(value, &mut signature).is_ok() {
                        v1.push(signature);
                    }
                }
                _ => {}
            }
        }
        let (timestamp_text, timestamp) = timestamp.ok_or(SignatureError::Malformed)?;
        match (saw_v1, v1.is_empty()) {
            (false, _) => Err(SignatureError::NoV1),
            (true, true) => Err(SignatureError::NoMatch),
            (true, false) => Ok(Self { timestamp_text, timestamp, v1 }),
        }
    }
}

/// Parses decimal digits. A sign or space is refused, because other parsers read it otherwise.
fn parse_seconds(text: &[u8]) -> Option<i64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
