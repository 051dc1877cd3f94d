//! JSON types that the readers of Stripe's objects share.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::time::StripeTime;

/// Text of a body, borrowed if it has no escapes.
///
/// A lone surrogate (`"\ud800"`) is legal in JSON and not in Unicode; U+0000 is legal in Unicode and not in
/// database text. Both become U+FFFD here, so that no later code needs to handle them. The log keeps the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The text, owned.
    pub fn to_owned_string(&self) -> String {
        self.0.clone().into_owned()
    }
}

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes, because a lone surrogate in a string would make the whole body unreadable.
        deserializer.deserialize_bytes(TextVisitor).map(Self)
    }
}

/// Owned text of an optional field.
pub(super) fn owned_text(text: Option<&Text<'_>>) -> Option<String> {
    text.map(Text::to_owned_string)
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(match std::str::from_utf8(bytes) {
            Ok(text) if !bytes.contains(&0) => Cow::Borrowed(text),
            _ => Cow::Owned(repaired(bytes)),
        })
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(repaired(bytes)))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        self.visit_borrowed_bytes(text.as_bytes())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        self.visit_bytes(text.as_bytes())
    }
}

/// UTF-8 with every encoded lone surrogate (`ED A0..BF xx`) and every U+0000 replaced.
fn repaired(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let (valid, after) = match std::str::from_utf8(rest) {
            Ok(valid) => (valid, &rest[rest.len()..]),
            Err(error) => {
                let (valid, bad) = rest.split_at(error.valid_up_to());
                let width = if bad.len() >= 3 && bad[0] == 0xED { 3 } else { 1 };
                (std::str::from_utf8(valid).unwrap_or_default(), &bad[width..])
            }
        };
        text.extend(valid.chars().map(|c| if c == '\0' { '\u{FFFD}' } else { c }));
        if after.len() + valid.len() < rest.len() {
            text.push('\u{FFFD}');
        }
        rest = after;
    }
    text
}

/// Reference to an object: its id, or the whole object if the endpoint expands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id<'a>(pub Text<'a>);

impl Id<'_> {
    /// The id, owned.
    pub fn to_owned_string(&self) -> String {
        self.0.to_owned_string()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;

        impl<'de> Visitor<'de> for IdVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id or an object with an id")
            }

            fn visit_borrowed_str<E: de::Error>(self, id: &'de str) -> Result<Self::Value, E> {
                TextVisitor.visit_borrowed_str(id).map(Text)
            }

            fn visit_str<E: de::Error>(self, id: &str) -> Result<Self::Value, E> {
                TextVisitor.visit_str(id).map(Text)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut id = None;
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    if &*key == "id" {
                        id = map.next_value()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                id.ok_or_else(|| de::Error::missing_field("id"))
            }
        }

        deserializer.deserialize_any(IdVisitor).map(Self)
    }
}

/// Reference in an object of an unknown type. A value that is neither text nor an object with an id is read as
/// none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaybeId<'a>(pub Option<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for MaybeId<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let may_be_one = raw.starts_with(['"', '{']);
        let id = if may_be_one { serde_json::from_str::<Id<'a>>(raw).ok() } else { None };
        Ok(Self(id.map(|id| id.0)))
    }
}

/// Text that may be of another type in later API versions. Any other type is read as none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaybeText<'a>(pub Option<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for MaybeText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        Ok(Self(serde_json::from_str(raw).ok()))
    }
}

/// Instant in whole seconds since 1970. One beyond the year 9999 (milliseconds by mistake) is an error here,
/// because no database takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(StripeTime);

impl From<Seconds> for StripeTime {
    fn from(seconds: Seconds) -> Self {
        seconds.0
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let at = StripeTime(i64::deserialize(deserializer)?);
        if at.is_representable() {
            Ok(Self(at))
        } else {
            Err(de::Error::custom("not an instant between the years 0000 and 9999"))
        }
    }
}

/// Embedded first page of a list: `{"object":"list","data":[…],"has_more":…}`.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct List<T> {
    /// Elements of this page; empty if null or absent.
    #[serde(default = "Vec::new", deserialize_with = "or_empty")]
    pub data: Vec<T>,
    /// True if Stripe cut the list.
    pub has_more: Option<bool>,
    /// Number of all elements, if Stripe says it.
    pub total_count: Option<i64>,
    /// The same, under the name that it had until 2014.
    pub count: Option<i64>,
}

/// Field that distinguishes absent from null. Use it with `#[serde(default)]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(from = "Option<T>")]
pub enum Field<T> {
    /// The object does not have the field, as in older API versions.
    #[default]
    Absent,
    /// The field is null.
    Null,
    /// The field has a value.
    Value(T),
}

impl<T> From<Option<T>> for Field<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Value)
    }
}

fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl<T> List<T> {
    /// True if the list has more elements than this page.
    pub fn is_truncated(&self) -> bool {
        self.has_more.unwrap_or(false)
            || self.total_count.or(self.count).is_some_and(|count| {
                usize::try_from(count).is_ok_and(|count| count > self.data.len())
            })
    }
}

/// Metadata: a map of text. Values that are not text, which only hand-made bodies contain, are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata<'a>(pub Vec<(Text<'a>, Text<'a>)>);

impl Metadata<'_> {
    /// Owned entries, in the order of their keys.
    pub fn to_map(&self) -> std::collections::BTreeMap<String, String> {
        self.0.iter().map(|(k, v)| (k.to_owned_string(), v.to_owned_string())).collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Metadata<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MetadataVisitor;

        impl<'de> Visitor<'de> for MetadataVisitor {
            type Value = Metadata<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of text")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    // Raw, because to look at its type would fail on a lone surrogate.
                    let raw: &'de RawValue = map.next_value()?;
                    if let Ok(value) = serde_json::from_str(raw.get()) {
                        entries.push((key, value));
                    }
                }
                Ok(Metadata(entries))
            }

            // Some old bodies have an empty list instead of the map.
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Metadata::default())
            }
        }

        deserializer.deserialize_any(MetadataVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        serde_json::from_str::<Text<'_>>(json).unwrap().to_owned_string()
    }

    #[test]
    fn what_no_database_can_hold_becomes_the_replacement_character() {
        assert_eq!(text(r#""a\u0000b""#), "a\u{FFFD}b");
        assert_eq!(text(r#""a\ud800b""#), "a\u{FFFD}b");
        assert_eq!(text(r#""\udc00\ud800""#), "\u{FFFD}\u{FFFD}");
        assert_eq!(text(r#""\ud83d\ude00 ok é""#), "😀 ok é");
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let text: Text<'_> = serde_json::from_str("\"sub_1\"").unwrap();
        assert!(matches!(text.0, Cow::Borrowed("sub_1")));
    }

    #[test]
    fn a_reference_is_an_id_or_an_object() {
        for json in [
            r#""cus_1""#,
            r#""cus\u005f1""#,
            r#"{"object":"customer","id":"cus_1","deleted":true}"#,
        ] {
            assert_eq!(&*serde_json::from_str::<Id<'_>>(json).unwrap().0, "cus_1");
        }
        assert!(serde_json::from_str::<Id<'_>>("7").is_err());
        assert!(serde_json::from_str::<Id<'_>>("{}").is_err());
    }

    #[test]
    fn what_is_no_reference_may_be_passed_over() {
        for (json, id) in [
            (r#""ch_1""#, Some("ch_1")),
            (r#"{"id":"ch_1","n":[1]}"#, Some("ch_1")),
            (r#"{"n":1}"#, None),
            ("[\"ch_1\"]", None),
            ("null", None),
            ("7", None),
        ] {
            let read = serde_json::from_str::<MaybeId<'_>>(json).unwrap();
            assert_eq!(read.0.as_deref(), id, "{json}");
        }
    }

    #[test]
    fn metadata_keeps_text_alone() {
        let json = r#"{"user_id":"7","n":8,"none":null,"list":[1]}"#;
        let metadata: Metadata<'_> = serde_json::from_str(json).unwrap();
        assert_eq!(
            metadata.to_map().into_iter().collect::<Vec<_>>(),
            [("user_id".to_owned(), "7".to_owned())]
        );
    }
}
