//! Expected names of products and prices.

/// Final name of a product, a price or a plan. A deleted one keeps its last name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrueName {
    /// Connected account, `acct_…`; empty for the platform's own.
    pub account: String,
    /// Live or test mode.
    pub livemode: bool,
    /// `prod_…` or `price_…`.
    pub id: String,
    /// Name of the product or nickname of the price.
    pub name: Option<String>,
}
