//! References to the objects of a payment.

use super::json::Text;

/// Objects of a payment. Refunds, disputes and invoice payments name some of them and no customer, so
/// these lead to the customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentReferences<'a> {
    /// `in_…`.
    pub invoice: Option<Text<'a>>,
    /// `pi_…`.
    pub payment_intent: Option<Text<'a>>,
    /// `ch_…`.
    pub charge: Option<Text<'a>>,
}

impl PaymentReferences<'_> {
    /// Ids in the order invoice, payment intent, charge: an invoice may have several payment intents, and a
    /// payment intent several charges.
    pub fn ids(&self) -> impl Iterator<Item = &str> + Clone {
        [&self.invoice, &self.payment_intent, &self.charge]
            .into_iter()
            .filter_map(|id| id.as_deref())
    }
}
