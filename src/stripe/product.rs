//! `product`: its name.

use serde::Deserialize;

use super::json::Text;

/// Product as it is in an event. A deleted one still has its name there.
#[derive(Clone, Debug, Deserialize)]
pub struct Product<'a> {
    /// Type that the object says it has.
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    /// `prod_…`.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// Name that customers see.
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
}
