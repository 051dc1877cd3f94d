//! `product`: what is sold, of which the ledger keeps the name.

use serde::Deserialize;

use super::json::Text;

/// A product as it stands in an event. A deleted one still has its name there.
#[derive(Clone, Debug, Deserialize)]
pub struct Product<'a> {
    /// The kind of object that this says it is.
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    /// `prod_…`.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// What customers see.
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
}
