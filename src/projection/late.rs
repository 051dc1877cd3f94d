//! Leaves that are read when somebody asks for them.
//!
//! Most snapshots are superseded by a later second before anybody asks which of a second came first,
//! and reading an object once more costs as much as all the rest of folding it. So the text is kept
//! until then, and never stored.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::leaves::{Leaves, ObjectLeaves};
use crate::stripe::Envelope;

/// The leaves of an event, or its body to read them from.
///
/// Two of them are equal if their leaves are.
#[derive(Clone, Debug)]
pub struct LateLeaves(Kept);

#[derive(Clone, Debug)]
enum Kept {
    Body(Box<str>),
    Leaves(EventLeaves),
}

/// The leaves of an event: what order can be told from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLeaves {
    /// Of its object.
    pub object: Option<Leaves>,
    /// Of its `previous_attributes`, where there are any.
    pub previous: Option<Leaves>,
}

impl LateLeaves {
    /// In the body of an event.
    pub fn in_body(body: &str) -> Self {
        Self(Kept::Body(body.into()))
    }

    /// Of an object and of its `previous_attributes`.
    pub fn of(object: &str, previous: Option<&str>) -> Self {
        let previous = previous.and_then(Leaves::of_previous_attributes);
        Self(Kept::Leaves(EventLeaves { object: Leaves::of_object(object), previous }))
    }

    /// The leaves; none where there is no evidence of anything.
    pub fn leaves(&self) -> Cow<'_, EventLeaves> {
        match &self.0 {
            Kept::Leaves(leaves) => Cow::Borrowed(leaves),
            Kept::Body(body) => Cow::Owned(EventLeaves::in_body(body)),
        }
    }

    /// Reads them now and lets the text go.
    pub fn settle(&mut self) {
        if let Cow::Owned(leaves) = self.leaves() {
            self.0 = Kept::Leaves(leaves);
        }
    }
}

impl EventLeaves {
    fn in_body(body: &str) -> Self {
        // An object that is no evidence does not make `previous_attributes` none.
        let (object, previous) = match Envelope::<ObjectLeaves>::read(body) {
            Ok(event) => (event.object.map(|it| it.0), event.previous_attributes),
            Err(_) => (None, Envelope::parse(body).ok().and_then(|it| it.previous_attributes)),
        };
        Self { object, previous: previous.and_then(Leaves::of_previous_attributes) }
    }
}

impl PartialEq for LateLeaves {
    fn eq(&self, other: &Self) -> bool {
        self.leaves() == other.leaves()
    }
}

impl Eq for LateLeaves {}

impl Serialize for LateLeaves {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.leaves().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LateLeaves {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        EventLeaves::deserialize(deserializer).map(|leaves| Self(Kept::Leaves(leaves)))
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
            let late = LateLeaves::in_body(&body(&data));
            assert_eq!(late, LateLeaves::of(object, previous), "{data}");
            let mut settled = late.clone();
            settled.settle();
            assert_eq!(settled, late);
            let bytes = postcard::to_allocvec(&late).unwrap();
            assert_eq!(bytes, postcard::to_allocvec(&settled).unwrap());
            assert_eq!(postcard::from_bytes::<LateLeaves>(&bytes).unwrap(), late);
        }
    }
}
