//! The fingerprint of a JSON object by its leaves, so that "does this match?" can be asked long
//! after the object itself is gone.
//!
//! `previous_attributes` of an `updated` event holds the old values of what changed, so it tells
//! which snapshot came before. To ask that, a snapshot would have to be kept whole. A sorted list
//! of one number a leaf (half hash of the path, half hash of the value) answers the same
//! question in a tenth of the space.
//!
//! Objects are descended into; arrays are leaves, because Stripe sends changed arrays whole. A
//! null leaf is the same as an absent one.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// The leaves of an object, or of a part of one: sorted, each `path << 32 | value` in eight bytes,
/// the highest first. They are kept as the bytes that are stored, because most of them are stored
/// and read many times before anybody asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaves(Box<[u8]>);

/// What a nested object puts at its own path, so that "absent" can be told from "an object".
const OBJECT: u64 = 1;
/// What null puts at its path where a null counts: in the attributes that are looked for.
const NULL: u64 = 0;
/// The half of a leaf that stands for the value.
const VALUE: u64 = 0xffff_ffff;
/// The hash of the empty path.
const ROOT: u64 = 0xcbf2_9ce4_8422_2325;

/// Attributes whose name and form are the same in every API version. Only these can link two
/// snapshots that are rendered at different versions.
const STABLE: [u64; 28] = [
    hash(ROOT, b"amount_paid"),
    hash(ROOT, b"amount_remaining"),
    hash(ROOT, b"attempt_count"),
    hash(ROOT, b"cancel_at"),
    hash(ROOT, b"cancel_at_period_end"),
    hash(ROOT, b"canceled_at"),
    hash(ROOT, b"client_reference_id"),
    hash(ROOT, b"collection_method"),
    hash(ROOT, b"completed_at"),
    hash(ROOT, b"current_phase"),
    hash(ROOT, b"customer"),
    hash(ROOT, b"days_until_due"),
    hash(ROOT, b"default_payment_method"),
    hash(ROOT, b"email"),
    hash(ROOT, b"end_behavior"),
    hash(ROOT, b"ended_at"),
    hash(ROOT, b"entitlements"),
    hash(ROOT, b"latest_invoice"),
    hash(ROOT, b"metadata"),
    hash(ROOT, b"next_payment_attempt"),
    hash(ROOT, b"number"),
    hash(ROOT, b"pause_collection"),
    hash(ROOT, b"quantity"),
    hash(ROOT, b"released_subscription"),
    hash(ROOT, b"schedule"),
    hash(ROOT, b"status"),
    hash(ROOT, b"trial_end"),
    hash(ROOT, b"trial_start"),
];

impl Leaves {
    /// The leaves of an object. None where the text is no readable JSON object, which then is no
    /// evidence of anything.
    pub fn of_object(json: &str) -> Option<Self> {
        Self::read(json, false)
    }

    /// The leaves that `previous_attributes` asks for. None where they are empty or unreadable,
    /// which then is no evidence either.
    pub fn of_previous_attributes(json: &str) -> Option<Self> {
        Self::read(json, true).filter(|leaves| !leaves.0.is_empty())
    }

    /// Whether an object with these leaves has every attribute of `previous`.
    ///
    /// Between different API versions only the attributes that never moved are compared, and at
    /// least one of them must be there.
    pub fn has(&self, previous: &Self, same_version: bool) -> bool {
        let present = self.numbers();
        let wanted = previous.numbers().iter().map(|leaf| u64::from_be_bytes(*leaf));
        let mut compared = wanted.filter(|leaf| same_version || is_stable(*leaf));
        let mut any = false;
        let all = compared.all(|wanted| {
            any = true;
            if wanted & VALUE == NULL {
                let path = |leaf: &[u8; 8]| u64::from_be_bytes(*leaf) >> 32;
                let at = present.partition_point(|leaf| path(leaf) < wanted >> 32);
                present.get(at).is_none_or(|leaf| path(leaf) != wanted >> 32)
            } else {
                present.binary_search(&wanted.to_be_bytes()).is_ok()
            }
        });
        any && all
    }

    /// Whether any attribute is of those that can be compared between API versions.
    pub fn has_stable(&self) -> bool {
        self.numbers().iter().any(|leaf| is_stable(u64::from_be_bytes(*leaf)))
    }

    fn numbers(&self) -> &[[u8; 8]] {
        self.0.as_chunks().0
    }

    fn read(json: &str, nulls_count: bool) -> Option<Self> {
        Self::of(&mut serde_json::Deserializer::from_str(json), nulls_count).ok()
    }

    fn of<'de, D: Deserializer<'de>>(deserializer: D, nulls_count: bool) -> Result<Self, D::Error> {
        let mut leaves = Vec::with_capacity(96);
        deserializer.deserialize_any(Root(Node {
            path: ROOT,
            stable: false,
            nulls_count,
            leaves: &mut leaves,
        }))?;
        leaves.sort_unstable();
        leaves.dedup();
        Ok(Self(leaves.into_iter().flat_map(u64::to_be_bytes).collect()))
    }
}

/// The leaves of an object that is read as a part of something larger.
#[derive(Debug)]
pub struct ObjectLeaves(pub Leaves);

impl<'de> Deserialize<'de> for ObjectLeaves {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Leaves::of(deserializer, false).map(Self)
    }
}

/// The whole of what is read: an object, and nothing else.
struct Root<'o>(Node<'o>);

impl<'de> Visitor<'de> for Root<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.visit_map(map)
    }
}

/// The lowest bit of a path's half tells whether its top-level attribute is a stable one.
fn is_stable(leaf: u64) -> bool {
    leaf >> 32 & 1 == 1
}

/// One value at one path, which writes its leaves.
struct Node<'o> {
    path: u64,
    /// Whether the top-level attribute that this is under is a stable one.
    stable: bool,
    nulls_count: bool,
    leaves: &'o mut Vec<u64>,
}

impl Node<'_> {
    fn leaf(self, value: u64) {
        let path = (finish(self.path) >> 32 & !1) | u64::from(self.stable);
        self.leaves.push(path << 32 | value);
    }

    fn value(self, tag: u8, bytes: &[u8]) {
        // 0 and 1 are taken, see `NULL` and `OBJECT`.
        self.leaf((value_hash(tag, bytes) & VALUE).max(2));
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut asks = false;
        while let Some(key) = map.next_key_seed(HashedKey(self.path))? {
            asks = true;
            map.next_value_seed(Node {
                path: key,
                stable: if self.path == ROOT { STABLE.contains(&key) } else { self.stable },
                nulls_count: self.nulls_count,
                leaves: &mut *self.leaves,
            })?;
        }
        // An object that is looked for asks for itself and its leaves; an empty one for nothing. A null
        // inside it is no null where there is no such object.
        if self.path != ROOT && (asks || !self.nulls_count) {
            self.leaf(OBJECT);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        let hash = Whole.visit_seq(seq)?;
        self.value(b'[', &hash.to_le_bytes());
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        if self.nulls_count {
            self.leaf(NULL);
        }
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, v: bool) -> Result<(), E> {
        self.value(b'b', &[u8::from(v)]);
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, v: i64) -> Result<(), E> {
        self.value(b'n', &v.to_le_bytes());
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, v: u64) -> Result<(), E> {
        self.value(b'n', &v.to_le_bytes());
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<(), E> {
        self.value(b'f', &v.to_bits().to_le_bytes());
        Ok(())
    }

    fn visit_str<E: de::Error>(self, v: &str) -> Result<(), E> {
        self.value(b's', v.as_bytes());
        Ok(())
    }
}

/// The hash of a whole value, the order of an object's keys aside.
struct Whole;

impl<'de> DeserializeSeed<'de> for Whole {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Whole {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        let mut sum = 0_u64;
        while let Some(key) = map.next_key_seed(HashedKey(ROOT))? {
            let value = map.next_value_seed(Whole)?;
            sum = sum.wrapping_add(finish(hash(key, &value.to_le_bytes())));
        }
        Ok(value_hash(b'{', &sum.to_le_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<u64, A::Error> {
        let mut all = ROOT;
        while let Some(value) = seq.next_element_seed(Whole)? {
            all = hash(all, &value.to_le_bytes());
        }
        Ok(value_hash(b'[', &all.to_le_bytes()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<u64, E> {
        Ok(value_hash(b'0', &[]))
    }

    fn visit_bool<E: de::Error>(self, v: bool) -> Result<u64, E> {
        Ok(value_hash(b'b', &[u8::from(v)]))
    }

    fn visit_i64<E: de::Error>(self, v: i64) -> Result<u64, E> {
        Ok(value_hash(b'n', &v.to_le_bytes()))
    }

    fn visit_u64<E: de::Error>(self, v: u64) -> Result<u64, E> {
        Ok(value_hash(b'n', &v.to_le_bytes()))
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<u64, E> {
        Ok(value_hash(b'f', &v.to_bits().to_le_bytes()))
    }

    fn visit_str<E: de::Error>(self, v: &str) -> Result<u64, E> {
        Ok(value_hash(b's', v.as_bytes()))
    }
}

/// The path of a key under a path.
struct HashedKey(u64);

impl<'de> DeserializeSeed<'de> for HashedKey {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for HashedKey {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<u64, E> {
        Ok(hash(self.0, key.as_bytes()))
    }
}

/// A plain multiplicative hash over length and bytes, eight at a time: the same on every machine and
/// in every release, which the standard library's hasher does not promise.
const fn hash(seed: u64, bytes: &[u8]) -> u64 {
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

fn value_hash(tag: u8, bytes: &[u8]) -> u64 {
    finish(hash(hash(ROOT, &[tag]), bytes))
}

/// Spreads the last bytes over all bits.
fn finish(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ hash >> 32
}

impl Serialize for Leaves {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Leaves {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(|bytes| Self(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches_with(object: &str, previous: &str, same_version: bool) -> bool {
        let previous = Leaves::of_previous_attributes(previous);
        previous.is_some_and(|p| Leaves::of_object(object).unwrap().has(&p, same_version))
    }

    fn matches(object: &str, previous: &str) -> bool {
        matches_with(object, previous, true)
    }

    const OBJECT: &str = r#"{"status":"active","cancel_at":null,"n":7,"nested":{"a":1,"b":null},
        "items":{"object":"list","data":[{"id":"si_1","quantity":1},2]},"metadata":{}}"#;

    #[test]
    fn every_attribute_must_equal() {
        assert!(matches(OBJECT, r#"{"status":"active"}"#));
        assert!(matches(OBJECT, r#"{"n":7,"status":"active"}"#));
        assert!(!matches(OBJECT, r#"{"status":"trialing"}"#));
        assert!(!matches(OBJECT, r#"{"n":7,"status":"trialing"}"#));
        assert!(!matches(OBJECT, r#"{"n":"7"}"#));
        assert!(!matches(OBJECT, r#"{"unknown":1}"#));
    }

    #[test]
    fn null_matches_null_and_absent_and_nothing_else() {
        assert!(matches(OBJECT, r#"{"cancel_at":null}"#));
        assert!(matches(OBJECT, r#"{"never_heard_of":null}"#));
        assert!(matches(OBJECT, r#"{"nested":{"b":null,"c":null}}"#));
        assert!(!matches(OBJECT, r#"{"status":null}"#));
        assert!(!matches(OBJECT, r#"{"nested":null}"#));
        assert!(!matches(OBJECT, r#"{"metadata":null}"#));
        assert!(!matches(OBJECT, r#"{"cancel_at":{"inside":null}}"#));
        assert!(!matches(OBJECT, r#"{"cancel_at":5}"#));
    }

    #[test]
    fn objects_are_compared_by_part_and_arrays_whole() {
        assert!(matches(OBJECT, r#"{"nested":{"a":1}}"#));
        assert!(!matches(OBJECT, r#"{"nested":{"a":2}}"#));
        assert!(matches(OBJECT, r#"{"items":{"data":[{"quantity":1,"id":"si_1"},2]}}"#));
        assert!(!matches(OBJECT, r#"{"items":{"data":[{"id":"si_1"},2]}}"#));
        assert!(!matches(OBJECT, r#"{"items":{"data":[2,{"quantity":1,"id":"si_1"}]}}"#));
    }

    #[test]
    fn nothing_and_the_unreadable_are_no_evidence() {
        for previous in ["{}", "null", "[]", "", "{\"a\":\"\\ud800\"}"] {
            assert!(Leaves::of_previous_attributes(previous).is_none(), "{previous}");
        }
        assert!(Leaves::of_object("null").is_none());
    }

    #[test]
    fn between_versions_only_what_never_moved_counts() {
        assert!(matches_with(OBJECT, r#"{"status":"active","n":8}"#, false));
        assert!(!matches_with(OBJECT, r#"{"status":"past_due","n":7}"#, false));
        assert!(!matches_with(OBJECT, r#"{"n":7}"#, false));
        assert!(matches_with(r#"{"metadata":{"a":"1"}}"#, r#"{"metadata":{"a":"1"}}"#, false));
    }

    #[test]
    fn leaves_survive_storage() {
        let leaves = Leaves::of_object(OBJECT).unwrap();
        let bytes = postcard::to_allocvec(&leaves).unwrap();
        assert_eq!(postcard::from_bytes::<Leaves>(&bytes).unwrap(), leaves);
    }
}
