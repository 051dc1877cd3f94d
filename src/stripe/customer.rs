//! `customer`: e-mail address and metadata.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::json::{Metadata, Text, owned_text};

/// Facts of one snapshot of a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerFacts {
    /// The e-mail address.
    pub email: Option<String>,
    /// Metadata of the merchant.
    pub metadata: BTreeMap<String, String>,
}

/// Customer as it is in an event. A deleted one still has its fields there.
#[derive(Clone, Debug, Deserialize)]
pub struct Customer<'a> {
    /// Type that the object says it has.
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
