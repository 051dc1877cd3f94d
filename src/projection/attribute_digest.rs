//! Digests of the attributes of a JSON object, to compare it long after the object itself is gone.
//!
//! The `previous_attributes` of an `updated` event hold the old values of what changed, so they tell which
//! snapshot came before. To find it, snapshots would have to be kept whole. A sorted list with one number per
//! attribute (half a hash of the path, half a hash of the value) answers the same question in a tenth of the
//! space.
//!
//! Nested objects are descended into. An array is digested whole, because Stripe sends changed arrays whole.
//! A null attribute equals an absent one.

mod hash;
mod read;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::hash::{ROOT, hash};
use self::read::{ObjectVisitor, ValueVisitor};

/// Attribute digests of an object, or of a part of one: sorted, each `path << 32 | value` in eight bytes, the
/// highest first.
///
/// A path begins with bits of its top-level attribute, so that the digests of one attribute stand together,
/// and ends with a bit that is set if that attribute is stable. The bytes are kept as they are stored, because
/// most digests are stored and read many times before they are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeDigests(Box<[u8]>);

/// Value at the path of a nested object itself, to distinguish an absent object from an empty one.
const OBJECT: u64 = 1;
/// Value at the path of a null in `previous_attributes`.
const NULL: u64 = 0;
/// The half of a digest that stands for the value.
const VALUE: u64 = 0xffff_ffff;
/// Bits of a path for its top-level attribute, and for the rest of it. Of the other two, one is set at the
/// attribute itself and one if the attribute is stable.
const ATTRIBUTE_BITS: u32 = 14;
const REST_BITS: u32 = 16;
/// Stable attributes: their name and form are the same in every API version. Only these can link two snapshots
/// that are rendered at different versions.
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

impl AttributeDigests {
    /// Digests of an object. None if the text is no readable JSON object: then there is no evidence.
    pub fn from_object(json: &str) -> Option<Self> {
        Self::parse(json, false)
    }

    /// Digests of `previous_attributes`. None if they are empty or unreadable: then there is no evidence.
    pub fn from_previous_attributes(json: &str) -> Option<Self> {
        Self::parse(json, true).filter(|digests| !digests.0.is_empty())
    }

    /// True if the object has every attribute of `previous`.
    ///
    /// Between different API versions only stable attributes are compared, and at least one is needed.
    pub fn matches(&self, previous: &Self, is_same_version: bool) -> bool {
        let present = self.numbers();
        let wanted = previous.numbers().iter().map(|digest| u64::from_be_bytes(*digest));
        let mut compared = wanted.filter(|digest| is_same_version || is_stable(*digest));
        let mut any = false;
        let all = compared.all(|wanted| {
            any = true;
            if wanted & VALUE == NULL {
                let path_of = |digest: &[u8; 8]| path(u64::from_be_bytes(*digest));
                let at = present.partition_point(|digest| path_of(digest) < path(wanted));
                present.get(at).is_none_or(|digest| path_of(digest) != path(wanted))
            } else {
                present.binary_search(&wanted.to_be_bytes()).is_ok()
            }
        });
        any && all
    }

    /// True if this object is the state that an event started from which left the object `later`: equal to
    /// it but for `previous`, the old values of what changed. Without `previous` nothing changed.
    ///
    /// Between different API versions only stable attributes are compared.
    pub fn is_state_before(
        &self,
        later: &Self,
        previous: Option<&Self>,
        is_same_version: bool,
    ) -> bool {
        let Some(previous) = previous else {
            return if is_same_version { self == later } else { self.stable() == later.stable() };
        };
        // Cheap, and false for most objects.
        if !self.matches(previous, is_same_version) {
            return false;
        }
        let [mut present, mut later, mut previous] = if is_same_version {
            [self, later, previous].map(Self::all)
        } else {
            [self, later, previous].map(Self::stable)
        }
        .map(Vec::into_iter)
        .map(Iterator::peekable);
        // Attribute by attribute, because each list is in their order.
        loop {
            let heads = [present.peek(), later.peek(), previous.peek()].into_iter().flatten();
            let Some(at) = heads.map(|digest| attribute(*digest)).min() else { return true };
            let [present, later, previous] = [&mut present, &mut later, &mut previous].map(|it| {
                let next = || it.next_if(|digest| attribute(*digest) == at);
                std::iter::from_fn(next).collect::<Vec<_>>()
            });
            let is_equal = if previous.is_empty() {
                present == later
            } else {
                restore(later, &previous).is_some_and(|before| before == present)
            };
            if !is_equal {
                return false;
            }
        }
    }

    fn all(&self) -> Vec<u64> {
        self.numbers().iter().map(|digest| u64::from_be_bytes(*digest)).collect()
    }

    fn stable(&self) -> Vec<u64> {
        let all = self.numbers().iter().map(|digest| u64::from_be_bytes(*digest));
        all.filter(|digest| is_stable(*digest)).collect()
    }

    /// True if any attribute can be compared between API versions.
    pub fn has_stable_attribute(&self) -> bool {
        self.numbers().iter().any(|digest| is_stable(u64::from_be_bytes(*digest)))
    }

    fn numbers(&self) -> &[[u8; 8]] {
        self.0.as_chunks().0
    }

    fn parse(json: &str, are_nulls_kept: bool) -> Option<Self> {
        Self::read(&mut serde_json::Deserializer::from_str(json), are_nulls_kept).ok()
    }

    fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        are_nulls_kept: bool,
    ) -> Result<Self, D::Error> {
        let mut digests = Vec::with_capacity(96);
        deserializer.deserialize_any(ObjectVisitor(ValueVisitor {
            path: ROOT,
            attribute: None,
            is_stable: false,
            are_nulls_kept,
            digests: &mut digests,
        }))?;
        digests.sort_unstable();
        digests.dedup();
        Ok(Self(digests.into_iter().flat_map(u64::to_be_bytes).collect()))
    }
}

/// Digests of an object that is deserialized as a part of something larger.
#[derive(Debug)]
pub struct ObjectDigests(pub AttributeDigests);

impl<'de> Deserialize<'de> for ObjectDigests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AttributeDigests::read(deserializer, false).map(Self)
    }
}

fn is_stable(digest: u64) -> bool {
    digest >> 32 & 1 == 1
}

/// The top-level attribute that a digest belongs to.
fn attribute(digest: u64) -> u64 {
    digest >> (64 - ATTRIBUTE_BITS)
}

/// True if a digest is that of its top-level attribute itself.
fn is_top(digest: u64) -> bool {
    digest >> (33 + REST_BITS) & 1 == 1
}

fn path(digest: u64) -> u64 {
    digest >> 32
}

fn is_object(digest: u64) -> bool {
    digest & VALUE == OBJECT
}

/// One attribute before a change: the digests after it, with the old values in place of the new ones. None if
/// an object came or went inside the attribute, because its digests cannot be found among the others.
fn restore(later: Vec<u64>, previous: &[u64]) -> Option<Vec<u64>> {
    let mut before = later;
    for old in previous {
        let new = before
            .iter()
            .position(|digest| path(*digest) == path(*old))
            .map(|at| before.swap_remove(at));
        if new.is_some_and(is_object) && !is_object(*old) {
            // The digests that came with the object go with it. They are known only if it is the attribute.
            if !is_top(*old) {
                return None;
            }
            before.retain(|digest| is_top(*digest));
        }
    }
    before.extend(previous.iter().filter(|digest| **digest & VALUE != NULL));
    before.sort_unstable();
    Some(before)
}

impl Serialize for AttributeDigests {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for AttributeDigests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(|bytes| Self(bytes.into()))
    }
}

#[cfg(test)]
mod tests;
