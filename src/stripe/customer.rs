//! `customer`: who pays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::json::{Metadata, Text, owned_text};

/// What the ledger keeps of one snapshot of a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerFacts {
    /// The e-mail address.
    pub email: Option<String>,
    /// The merchant's metadata.
    pub metadata: BTreeMap<String, String>,
}

/// A customer as it stands in an event. A deleted one still carries its fields there.
#[derive(Clone, Debug, Deserialize)]
pub struct Customer<'a> {
    /// The kind of object that this says it is.
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    /// `cus_…`.
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    email: Option<Text<'a>>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
}

impl Customer<'_> {
    /// The facts.
    pub fn facts(&self) -> CustomerFacts {
        CustomerFacts {
            email: owned_text(self.email.as_ref()),
            metadata: self.metadata.as_ref().map(Metadata::to_map).unwrap_or_default(),
        }
    }
}
