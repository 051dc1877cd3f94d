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

mod hash;
mod read;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::hash::{ROOT, hash};
use self::read::{Node, Root};

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

/// The lowest bit of a path's half tells whether its top-level attribute is a stable one.
fn is_stable(leaf: u64) -> bool {
    leaf >> 32 & 1 == 1
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
