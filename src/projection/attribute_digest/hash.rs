//! Hash function of the digests. Digests are stored, so it never changes.

/// Hash of the empty path.
pub(super) const ROOT: u64 = 0xcbf2_9ce4_8422_2325;

/// Multiplicative hash of length and bytes, eight at a time. It is the same on every machine and in every
/// release, which the hasher of the standard library does not promise.
pub(super) const fn hash(seed: u64, bytes: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = (seed ^ bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut at = 0;
    while at < words.len() {
        let word = u64::from_le_bytes(words[at]);
        hash = ((hash ^ word).wrapping_mul(MULTIPLIER)).rotate_left(29);
        at += 1;
    }
    let mut last = 0;
    at = 0;
    while at < rest.len() {
        last |= (rest[at] as u64) << (8 * at);
        at += 1;
    }
    ((hash ^ last).wrapping_mul(MULTIPLIER)).rotate_left(29)
}

pub(super) fn value_hash(tag: u8, bytes: &[u8]) -> u64 {
    finish(hash(hash(ROOT, &[tag]), bytes))
}

/// Spreads the entropy of the last bytes over all bits.
pub(super) fn finish(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ hash >> 32
}
