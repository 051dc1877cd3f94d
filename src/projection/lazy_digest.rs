//! Attribute digests that are computed on first use.
//!
//! Most snapshots are superseded by a later second before anything compares them, and to digest an object
//! costs as much as to fold it. So an event carries its body until its digests are needed. The stored form
//! always holds digests, never the body.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::attribute_digest::{AttributeDigests, ObjectDigests};
use crate::stripe::Envelope;

/// Attribute digests of an event, or the body to compute them from.
///
/// Two values are equal if their digests are.
#[derive(Clone, Debug)]
pub struct LazyDigest(Inner);

#[derive(Clone, Debug)]
enum Inner {
    Body(Box<str>),
    Digests(EventDigests),
}

/// Attribute digests of an event, by which its place within a second is found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventDigests {
    /// Digests of the object; none if it is unreadable.
    pub object: Option<AttributeDigests>,
    /// Digests of `previous_attributes`; none if they are absent, empty or unreadable.
    pub previous: Option<AttributeDigests>,
}

impl LazyDigest {
    /// Defers the work: keeps the body.
    pub fn from_body(body: &str) -> Self {
        Self(Inner::Body(body.into()))
    }

    /// Digests an object and its `previous_attributes` at once.
    pub fn from_object(object: &str, previous: Option<&str>) -> Self {
        let previous = previous.and_then(AttributeDigests::from_previous_attributes);
        Self(Inner::Digests(EventDigests {
            object: AttributeDigests::from_object(object),
            previous,
        }))
    }

    /// The digests, computed here if they are not there yet.
    pub fn get(&self) -> Cow<'_, EventDigests> {
        match &self.0 {
            Inner::Digests(digests) => Cow::Borrowed(digests),
            Inner::Body(body) => Cow::Owned(EventDigests::from_body(body)),
        }
    }

    /// Replaces the body by its digests.
    pub fn materialize(&mut self) {
        if let Cow::Owned(digests) = self.get() {
            self.0 = Inner::Digests(digests);
        }
    }
}

impl EventDigests {
    fn from_body(body: &str) -> Self {
        // An unreadable object does not make `previous_attributes` unreadable.
        let (object, previous) = match Envelope::<ObjectDigests>::read(body) {
            Ok(event) => (event.object.map(|it| it.0), event.previous_attributes),
            Err(_) => (None, Envelope::parse(body).ok().and_then(|it| it.previous_attributes)),
        };
        let previous = previous.and_then(AttributeDigests::from_previous_attributes);
        Self { object, previous }
    }
}

impl PartialEq for LazyDigest {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for LazyDigest {}

impl Serialize for LazyDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LazyDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        EventDigests::deserialize(deserializer).map(|digests| Self(Inner::Digests(digests)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(data: &str) -> String {
        format!(
            r#"{{"id":"evt_1","object":"event","type":"customer.updated","created":7,"livemode":true,
            "data":{data}}}"#
        )
    }

    #[test]
    fn what_was_put_off_is_the_same_as_what_was_read_at_once() {
        for (object, previous) in [
            (r#"{"status":"active","n":null,"deep":{"a":[1]}}"#, Some(r#"{"status":"trialing"}"#)),
            ("{}", None),
            (r#"{"name":"\ud800"}"#, Some(r#"{"name":"a"}"#)),
            ("[]", Some("{}")),
        ] {
            let data = match previous {
                None => format!(r#"{{"object":{object}}}"#),
                Some(it) => format!(r#"{{"object":{object},"previous_attributes":{it}}}"#),
            };
            let lazy = LazyDigest::from_body(&body(&data));
            assert_eq!(lazy, LazyDigest::from_object(object, previous), "{data}");
            let mut materialized = lazy.clone();
            materialized.materialize();
            assert_eq!(materialized, lazy);
            let bytes = postcard::to_allocvec(&lazy).unwrap();
            assert_eq!(bytes, postcard::to_allocvec(&materialized).unwrap());
            assert_eq!(postcard::from_bytes::<LazyDigest>(&bytes).unwrap(), lazy);
        }
    }
}
