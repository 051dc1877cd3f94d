//! An object walked through, leaf by leaf.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::hash::{ROOT, finish, hash, value_hash};
use super::{ATTRIBUTE_BITS, NULL, OBJECT, REST_BITS, STABLE, VALUE};

/// The whole of what is read: an object, and nothing else.
pub(super) struct Root<'o>(pub(super) Node<'o>);

impl<'de> Visitor<'de> for Root<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.visit_map(map)
    }
}

/// One value at one path, which writes its leaves.
pub(super) struct Node<'o> {
    pub(super) path: u64,
    /// The hash of the top-level attribute that this is or is under; none for the object itself.
    pub(super) attribute: Option<u64>,
    /// Whether the top-level attribute that this is under is a stable one.
    pub(super) stable: bool,
    pub(super) nulls_count: bool,
    pub(super) leaves: &'o mut Vec<u64>,
}

impl Node<'_> {
    fn leaf(self, value: u64) {
        let attribute = self.attribute.unwrap_or(self.path);
        let is_top = u64::from(attribute == self.path);
        let attribute = finish(attribute) >> (64 - ATTRIBUTE_BITS);
        let rest = finish(self.path) & ((1 << REST_BITS) - 1);
        let path = ((attribute << 1 | is_top) << REST_BITS | rest) << 1 | u64::from(self.stable);
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
                attribute: self.attribute.or(Some(key)),
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
