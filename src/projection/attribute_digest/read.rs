//! Deserializer that digests an object attribute by attribute.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::hash::{ROOT, finish, hash, value_hash};
use super::{ATTRIBUTE_BITS, NULL, OBJECT, REST_BITS, STABLE, VALUE};

/// Visitor of the whole, which must be an object.
pub(super) struct ObjectVisitor<'o>(pub(super) ValueVisitor<'o>);

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.visit_map(map)
    }
}

/// Visitor of the value at one path.
pub(super) struct ValueVisitor<'o> {
    pub(super) path: u64,
    /// Hash of the top-level attribute that holds the value; none for the object itself.
    pub(super) attribute: Option<u64>,
    /// True if that attribute is stable.
    pub(super) is_stable: bool,
    /// True for `previous_attributes`, where a null is an old value.
    pub(super) are_nulls_kept: bool,
    pub(super) digests: &'o mut Vec<u64>,
}

impl ValueVisitor<'_> {
    fn push(self, value: u64) {
        let attribute = self.attribute.unwrap_or(self.path);
        let is_top = u64::from(attribute == self.path);
        let attribute = finish(attribute) >> (64 - ATTRIBUTE_BITS);
        let rest = finish(self.path) & ((1 << REST_BITS) - 1);
        let path = ((attribute << 1 | is_top) << REST_BITS | rest) << 1 | u64::from(self.is_stable);
        self.digests.push(path << 32 | value);
    }

    fn push_value(self, tag: u8, bytes: &[u8]) {
        // 0 and 1 are `NULL` and `OBJECT`.
        self.push((value_hash(tag, bytes) & VALUE).max(2));
    }
}

impl<'de> DeserializeSeed<'de> for ValueVisitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut is_empty = true;
        while let Some(key) = map.next_key_seed(KeyPath(self.path))? {
            is_empty = false;
            map.next_value_seed(ValueVisitor {
                path: key,
                attribute: self.attribute.or(Some(key)),
                is_stable: if self.path == ROOT { STABLE.contains(&key) } else { self.is_stable },
                are_nulls_kept: self.are_nulls_kept,
                digests: &mut *self.digests,
            })?;
        }
        // In `previous_attributes` an empty object says nothing. One with a null inside it does not match an
        // absent object.
        if self.path != ROOT && !(is_empty && self.are_nulls_kept) {
            self.push(OBJECT);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        let hash = WholeValue.visit_seq(seq)?;
        self.push_value(b'[', &hash.to_le_bytes());
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        if self.are_nulls_kept {
            self.push(NULL);
        }
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, v: bool) -> Result<(), E> {
        self.push_value(b'b', &[u8::from(v)]);
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, v: i64) -> Result<(), E> {
        self.push_value(b'n', &v.to_le_bytes());
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, v: u64) -> Result<(), E> {
        self.push_value(b'n', &v.to_le_bytes());
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<(), E> {
        self.push_value(b'f', &v.to_bits().to_le_bytes());
        Ok(())
    }

    fn visit_str<E: de::Error>(self, v: &str) -> Result<(), E> {
        self.push_value(b's', v.as_bytes());
        Ok(())
    }
}

/// Hash of a whole value. The order of an object's keys does not matter.
struct WholeValue;

impl<'de> DeserializeSeed<'de> for WholeValue {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for WholeValue {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        let mut sum = 0_u64;
        while let Some(key) = map.next_key_seed(KeyPath(ROOT))? {
            let value = map.next_value_seed(WholeValue)?;
            sum = sum.wrapping_add(finish(hash(key, &value.to_le_bytes())));
        }
        Ok(value_hash(b'{', &sum.to_le_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<u64, A::Error> {
        let mut all = ROOT;
        while let Some(value) = seq.next_element_seed(WholeValue)? {
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

/// Hash of the path that a key has under this path.
struct KeyPath(u64);

impl<'de> DeserializeSeed<'de> for KeyPath {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyPath {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<u64, E> {
        Ok(hash(self.0, key.as_bytes()))
    }
}
