//! Leaves that are read when somebody asks for them.
//!
//! Most snapshots are superseded by a later second before anybody asks which of a second came first,
//! and reading an object once more costs as much as all the rest of folding it. So the text is kept
//! until then, and never stored.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::leaves::Leaves;

/// The leaves of an object or of `previous_attributes`, or the text to read them from.
///
/// Two of them are equal if their leaves are.
#[derive(Clone, Debug)]
pub struct LateLeaves(Kept);

#[derive(Clone, Debug)]
enum Kept {
    Object(Box<str>),
    PreviousAttributes(Box<str>),
    Leaves(Option<Leaves>),
}

impl LateLeaves {
    /// Of an object.
    pub fn of_object(json: &str) -> Self {
        Self(Kept::Object(json.into()))
    }

    /// Of `previous_attributes`, if there are any.
    pub fn of_previous_attributes(json: Option<&str>) -> Self {
        Self(json.map_or(Kept::Leaves(None), |json| Kept::PreviousAttributes(json.into())))
    }

    /// The leaves; none where there is no evidence of anything.
    pub fn leaves(&self) -> Cow<'_, Option<Leaves>> {
        match &self.0 {
            Kept::Leaves(leaves) => Cow::Borrowed(leaves),
            Kept::Object(json) => Cow::Owned(Leaves::of_object(json)),
            Kept::PreviousAttributes(json) => Cow::Owned(Leaves::of_previous_attributes(json)),
        }
    }

    /// Reads them now and lets the text go.
    pub fn settle(&mut self) {
        if let Cow::Owned(leaves) = self.leaves() {
            self.0 = Kept::Leaves(leaves);
        }
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
        Option::deserialize(deserializer).map(|leaves| Self(Kept::Leaves(leaves)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_off_is_the_same_as_what_was_read_at_once() {
        for json in [r#"{"status":"active","n":null}"#, "{}", "null"] {
            for late in
                [LateLeaves::of_object(json), LateLeaves::of_previous_attributes(Some(json))]
            {
                let mut settled = late.clone();
                settled.settle();
                assert_eq!(settled, late);
                let bytes = postcard::to_allocvec(&late).unwrap();
                assert_eq!(bytes, postcard::to_allocvec(&settled).unwrap());
                assert_eq!(postcard::from_bytes::<LateLeaves>(&bytes).unwrap(), late);
            }
        }
        let none = LateLeaves::of_previous_attributes(None);
        assert_eq!(none, LateLeaves::of_previous_attributes(Some("{}")));
    }
}
