//! `discount`: the coupon or promotion code of a reduced price.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::json::{Id, Text};

/// Facts of one discount in a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscountFacts {
    /// `di_…`; none before 2020-08-27.
    pub id: Option<String>,
    /// Promotion code that the customer typed, or else the id of the coupon; none if the snapshot has the
    /// discount's id alone, as since 2024-04-10.
    pub code: Option<String>,
}

/// Discount as it is in an event.
#[derive(Clone, Debug, Deserialize)]
pub struct Discount<'a> {
    /// Type that the object says it has.
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    /// Id of the customer, or the expanded customer.
    #[serde(borrow)]
    pub customer: Option<Id<'a>>,
    /// Subscription of the discount; none if it applies to all of the customer's.
    #[serde(borrow)]
    pub subscription: Option<Id<'a>>,
    #[serde(borrow)]
    coupon: Option<Id<'a>>,
    #[serde(borrow)]
    promotion_code: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<Source<'a>>,
}

/// `source`, which contains the coupon since 2025-09-30.clover.
#[derive(Clone, Debug, Deserialize)]
struct Source<'a> {
    #[serde(borrow)]
    coupon: Option<Id<'a>>,
}

impl DiscountFacts {
    /// Reads an id or an object. None if it is neither.
    pub fn read(json: &RawValue) -> Option<Self> {
        if let Ok(id) = serde_json::from_str::<Text<'_>>(json.get()) {
            return Some(Self { id: Some(id.to_owned_string()), code: None });
        }
        let discount: Discount<'_> = serde_json::from_str(json.get()).ok()?;
        Some(discount.facts()).filter(|it| *it != Self::default())
    }

    /// Label: the code, or else the id.
    pub fn label(&self) -> &str {
        self.code.as_deref().or(self.id.as_deref()).unwrap_or_default()
    }
}

impl Discount<'_> {
    /// The facts.
    pub fn facts(&self) -> DiscountFacts {
        #[derive(Deserialize)]
        struct PromotionCode<'a> {
            #[serde(borrow)]
            code: Text<'a>,
        }
        // Only an expanded promotion code contains what the customer typed.
        let typed = self.promotion_code.and_then(|it| serde_json::from_str(it.get()).ok());
        let typed = typed.map(|it: PromotionCode<'_>| it.code.to_owned_string());
        let of_source = self.source.as_ref().and_then(|it| it.coupon.as_ref());
        let coupon = self.coupon.as_ref().or(of_source).map(Id::to_owned_string);
        DiscountFacts { id: self.id.as_ref().map(Text::to_owned_string), code: typed.or(coupon) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discount_goes_by_its_code_then_its_coupon_then_its_id() {
        for (json, label) in [
            (r#""di_1""#, Some("di_1")),
            (r#"{"id":"di_1"}"#, Some("di_1")),
            (r#"{"id":"di_1","coupon":{"id":"half","name":"Half off"}}"#, Some("half")),
            (r#"{"coupon":{"id":"half"}}"#, Some("half")),
            (r#"{"id":"di_1","source":{"type":"coupon","coupon":"half"}}"#, Some("half")),
            (r#"{"id":"di_1","coupon":"half","promotion_code":"promo_1"}"#, Some("half")),
            (
                r#"{"coupon":"half","promotion_code":{"id":"promo_1","code":"SPRING"}}"#,
                Some("SPRING"),
            ),
            ("{}", None),
            ("7", None),
        ] {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            let read = DiscountFacts::read(raw);
            assert_eq!(read.as_ref().map(DiscountFacts::label), label, "{json}");
        }
    }
}
