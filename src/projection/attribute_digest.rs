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
/// the highest first. A path begins with the hash of its top-level attribute, so that the leaves of one
/// attribute stand together, and ends with a bit that is set where that attribute is a
/// stable one. They are kept as the bytes that are stored, because most of them are stored
/// and read many times before anybody asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeDigests(Box<[u8]>);

/// What a nested object puts at its own path, so that "absent" can be told from "an object".
const OBJECT: u64 = 1;
/// What null puts at its path where a null counts: in the attributes that are looked for.
const NULL: u64 = 0;
/// The half of a leaf that stands for the value.
const VALUE: u64 = 0xffff_ffff;
/// Bits of a path that stand for its top-level attribute, and for the rest of it. Of the other two, one is
/// set at the attribute itself and one where the attribute is stable.
const ATTRIBUTE_BITS: u32 = 14;
const REST_BITS: u32 = 16;
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

impl AttributeDigests {
    /// The leaves of an object. None where the text is no readable JSON object, which then is no
    /// evidence of anything.
    pub fn from_object(json: &str) -> Option<Self> {
        Self::read(json, false)
    }

    /// The leaves that `previous_attributes` asks for. None where they are empty or unreadable,
    /// which then is no evidence either.
    pub fn from_previous_attributes(json: &str) -> Option<Self> {
        Self::read(json, true).filter(|leaves| !leaves.0.is_empty())
    }

    /// Whether an object with these leaves has every attribute of `previous`.
    ///
    /// Between different API versions only the attributes that never moved are compared, and at
    /// least one of them must be there.
    pub fn matches(&self, previous: &Self, same_version: bool) -> bool {
        let present = self.numbers();
        let wanted = previous.numbers().iter().map(|leaf| u64::from_be_bytes(*leaf));
        let mut compared = wanted.filter(|leaf| same_version || is_stable(*leaf));
        let mut any = false;
        let all = compared.all(|wanted| {
            any = true;
            if wanted & VALUE == NULL {
                let path_of = |leaf: &[u8; 8]| path(u64::from_be_bytes(*leaf));
                let at = present.partition_point(|leaf| path_of(leaf) < path(wanted));
                present.get(at).is_none_or(|leaf| path_of(leaf) != path(wanted))
            } else {
                present.binary_search(&wanted.to_be_bytes()).is_ok()
            }
        });
        any && all
    }

    /// True if an object with these leaves is what `later` was before its event: equal to it but for
    /// `previous`, which holds the old values of what changed. Without `previous` nothing changed.
    ///
    /// Between different API versions only the attributes that never moved are compared.
    pub fn is_state_before(
        &self,
        later: &Self,
        previous: Option<&Self>,
        same_version: bool,
    ) -> bool {
        let Some(previous) = previous else {
            return if same_version { self == later } else { self.stable() == later.stable() };
        };
        // Most objects that are asked about are another one already in what changed.
        if !self.matches(previous, same_version) {
            return false;
        }
        let [mut present, mut later, mut previous] = if same_version {
            [self, later, previous].map(Self::all)
        } else {
            [self, later, previous].map(Self::stable)
        }
        .map(Vec::into_iter)
        .map(Iterator::peekable);
        // Attribute by attribute, because each list is in their order.
        loop {
            let heads = [present.peek(), later.peek(), previous.peek()].into_iter().flatten();
            let Some(at) = heads.map(|leaf| attribute(*leaf)).min() else { return true };
            let [present, later, previous] = [&mut present, &mut later, &mut previous].map(|it| {
                std::iter::from_fn(|| it.next_if(|leaf| attribute(*leaf) == at)).collect::<Vec<_>>()
            });
            let is_equal = if previous.is_empty() {
                present == later
            } else {
                before(later, &previous).is_some_and(|before| before == present)
            };
            if !is_equal {
                return false;
            }
        }
    }

    fn all(&self) -> Vec<u64> {
        self.numbers().iter().map(|leaf| u64::from_be_bytes(*leaf)).collect()
    }

    fn stable(&self) -> Vec<u64> {
        let all = self.numbers().iter().map(|leaf| u64::from_be_bytes(*leaf));
        all.filter(|leaf| is_stable(*leaf)).collect()
    }

    /// Whether any attribute is of those that can be compared between API versions.
    pub fn has_stable_attribute(&self) -> bool {
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
            attribute: None,
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
pub struct ObjectDigests(pub AttributeDigests);

impl<'de> Deserialize<'de> for ObjectDigests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AttributeDigests::of(deserializer, false).map(Self)
    }
}

/// The lowest bit of a path's half tells whether its top-level attribute is a stable one.
fn is_stable(leaf: u64) -> bool {
    leaf >> 32 & 1 == 1
}

/// The top-level attribute that a leaf belongs to.
fn attribute(leaf: u64) -> u64 {
    leaf >> (64 - ATTRIBUTE_BITS)
}

/// True if a leaf is that of its top-level attribute itself.
fn is_top(leaf: u64) -> bool {
    leaf >> (33 + REST_BITS) & 1 == 1
}

fn path(leaf: u64) -> u64 {
    leaf >> 32
}

fn is_object(leaf: u64) -> bool {
    leaf & VALUE == OBJECT
}

/// One attribute before a change: its leaves after it, with the old values in the place of the new ones.
/// None where that cannot be told, because an object came or went inside the attribute.
fn before(later: Vec<u64>, previous: &[u64]) -> Option<Vec<u64>> {
    let mut before = later;
    for old in previous {
        let new = before
            .iter()
            .position(|leaf| path(*leaf) == path(*old))
            .map(|at| before.swap_remove(at));
        if new.is_some_and(is_object) && !is_object(*old) {
            // The leaves that came with the object go with it; inside the attribute they cannot be told
            // from others.
            if !is_top(*old) {
                return None;
            }
            before.retain(|leaf| is_top(*leaf));
        }
    }
    before.extend(previous.iter().filter(|leaf| **leaf & VALUE != NULL));
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
mod tests {
    use super::*;

    fn matches_with(object: &str, previous: &str, same_version: bool) -> bool {
        let previous = AttributeDigests::from_previous_attributes(previous);
        previous.is_some_and(|p| {
            AttributeDigests::from_object(object).unwrap().matches(&p, same_version)
        })
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
            assert!(AttributeDigests::from_previous_attributes(previous).is_none(), "{previous}");
        }
        assert!(AttributeDigests::from_object("null").is_none());
    }

    #[test]
    fn between_versions_only_what_never_moved_counts() {
        assert!(matches_with(OBJECT, r#"{"status":"active","n":8}"#, false));
        assert!(!matches_with(OBJECT, r#"{"status":"past_due","n":7}"#, false));
        assert!(!matches_with(OBJECT, r#"{"n":7}"#, false));
        assert!(matches_with(r#"{"metadata":{"a":"1"}}"#, r#"{"metadata":{"a":"1"}}"#, false));
    }

    fn was(before: &str, later: &str, previous: &str, same_version: bool) -> bool {
        let of = |json| AttributeDigests::from_object(json).unwrap();
        let previous = AttributeDigests::from_previous_attributes(previous);
        of(before).is_state_before(&of(later), previous.as_ref(), same_version)
    }

    #[test]
    fn what_an_object_was_is_equal_to_it_but_for_what_changed() {
        let object = |fields: &str| format!(r#"{{"status":"active","kept":[1],{fields}}}"#);
        for (before, later, previous) in [
            (r#""n":1"#, r#""n":2"#, r#"{"n":1}"#),
            (r#""n":null"#, r#""n":2"#, r#"{"n":null}"#),
            (r#""n":1"#, r#""n":null"#, r#"{"n":1}"#),
            (r#""n":[1,2]"#, r#""n":[2]"#, r#"{"n":[1,2]}"#),
            (r#""n":{"a":1,"b":2}"#, r#""n":{"a":1,"b":3}"#, r#"{"n":{"b":2}}"#),
            (r#""n":{"a":1}"#, r#""n":{"a":1,"b":3}"#, r#"{"n":{"b":null}}"#),
            (r#""n":{"a":{"x":1,"y":2}}"#, r#""n":{"a":{"x":1,"y":3}}"#, r#"{"n":{"a":{"y":2}}}"#),
            (r#""n":{"a":{"x":1}}"#, r#""n":{"a":null}"#, r#"{"n":{"a":{"x":1}}}"#),
            (r#""n":{"a":1,"b":null}"#, r#""n":null"#, r#"{"n":{"a":1,"b":null}}"#),
            (r#""n":null"#, r#""n":{"a":{"b":1}}"#, r#"{"n":null}"#),
            (r#""n":2"#, r#""n":2"#, "{}"),
        ] {
            assert!(was(&object(before), &object(later), previous, true), "{before} {later}");
            // Another change, which `previous` does not tell, came between.
            let other = object(before).replace("[1]", "[2]");
            assert!(!was(&other, &object(later), previous, true), "{before} {later}");
            let other = object(&format!(r#"{before},"more":1"#));
            assert!(!was(&other, &object(later), previous, true), "{before} {later}");
        }
        for (before, later, previous) in [
            (r#""n":3"#, r#""n":2"#, r#"{"n":1}"#),
            (r#""n":{"a":9,"b":2}"#, r#""n":{"a":1,"b":3}"#, r#"{"n":{"b":2}}"#),
            (r#""n":{"a":1,"b":2,"c":1}"#, r#""n":{"a":1,"b":3}"#, r#"{"n":{"b":2}}"#),
            (r#""n":null"#, r#""n":2"#, "{}"),
            // It cannot be told whether `x` was inside `a`.
            (r#""n":{"a":null}"#, r#""n":{"a":{"x":1}}"#, r#"{"n":{"a":null}}"#),
        ] {
            assert!(!was(&object(before), &object(later), previous, true), "{before} {later}");
        }
    }

    #[test]
    fn no_two_attributes_of_stripes_objects_share_their_place() {
        let names = "id object account amount_due amount_paid amount_remaining application attempt_count \
            attempted auto_advance automatic_tax billing_cycle_anchor billing_mode billing_reason \
            billing_thresholds cancel_at cancel_at_period_end canceled_at cancellation_details \
            client_reference_id closed collection_method completed_at created currency current_phase \
            current_period_end current_period_start customer customer_account customer_details \
            customer_email days_until_due default_payment_method default_settings default_source \
            default_tax_rates description discount discounts due_date email end_behavior ended_at \
            ending_balance entitlements expires_at footer forgiven from_invoice invoice invoice_settings \
            items last_finalization_error latest_invoice latest_revision lines livemode managed_payments \
            metadata mode name next_payment_attempt next_pending_invoice_item_invoice number on_behalf_of \
            paid parent pause_collection payment_intent payment_settings payment_status payments \
            pending_invoice_item_interval pending_setup_intent pending_update period_end period_start phases \
            phone plan presentment_details quantity released_at released_subscription schedule start \
            start_date starting_balance status status_details status_transitions subscription \
            subscription_details subtotal tax tax_percent test_clock total total_count transfer_data \
            trial_end trial_settings trial_start url webhooks_delivered_at";
        let mut places: Vec<u64> = names
            .split_whitespace()
            .map(|name| {
                let leaves = AttributeDigests::from_object(&format!("{{\"{name}\":1}}")).unwrap();
                attribute(u64::from_be_bytes(leaves.numbers()[0]))
            })
            .collect();
        let count = places.len();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), count);
    }

    #[test]
    fn between_versions_an_object_was_another_in_what_never_moved() {
        let (before, later) = (r#"{"status":"a","n":1}"#, r#"{"status":"b","n":2,"m":[1]}"#);
        assert!(was(before, later, r#"{"status":"a"}"#, false));
        assert!(!was(before, later, r#"{"status":"a"}"#, true));
        assert!(!was(r#"{"status":"a","cancel_at":7}"#, later, r#"{"status":"a"}"#, false));
    }

    #[test]
    fn leaves_survive_storage() {
        let leaves = AttributeDigests::from_object(OBJECT).unwrap();
        let bytes = postcard::to_allocvec(&leaves).unwrap();
        assert_eq!(postcard::from_bytes::<AttributeDigests>(&bytes).unwrap(), leaves);
    }
}
