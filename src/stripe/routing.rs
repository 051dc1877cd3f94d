//! Whom an event is about: the customer and the subscription that its object names.
//!
//! This is read from every event with an object, also from those of unknown types, so that they
//! stand on the customer's timeline.

use serde::Deserialize;

use super::invoice::{Line, Parent};
use super::json::{Id, List, Text};

/// The customer and the subscription that an object names, if any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// `cus_…`, or the `acct_…` that stands for a customer.
    pub customer: Option<String>,
    /// `sub_…`.
    pub subscription: Option<String>,
}

impl Routing {
    /// Reads the routing facts of an object, tolerant of shape. A reference may be an id or the
    /// expanded object.
    ///
    /// | fact | reading order |
    /// | --- | --- |
    /// | customer | the object itself, `customer`, `customer_account` |
    /// | subscription | the object itself, `parent.subscription_details.subscription`, `subscription`, `released_subscription`, the lines |
    ///
    /// Fails where a reference is neither text nor an object with an id: then the object is of a
    /// kind that nobody here knows.
    pub fn read(object: &str) -> Result<Self, serde_json::Error> {
        let wire: Wire<'_> = serde_json::from_str(object)?;
        let is = |kind| wire.object.as_deref() == Some(kind);
        let own_id = |kind| wire.id.as_deref().filter(|_| is(kind));
        let reference = |id: &Option<Id<'_>>| id.as_ref().map(Id::to_owned_string);
        let customer = match own_id("customer") {
            Some(id) => Some(id.to_owned()),
            None => reference(&wire.customer)
                .or_else(|| wire.customer_account.as_ref().map(Text::to_owned_string)),
        };
        let subscription = own_id("subscription")
            .or_else(|| wire.parent.as_ref().and_then(Parent::subscription))
            .map(str::to_owned)
            .or_else(|| reference(&wire.subscription))
            .or_else(|| reference(&wire.released_subscription))
            .or_else(|| {
                let lines = wire.lines.as_ref()?;
                lines.data.iter().find_map(Line::subscription).map(str::to_owned)
            });
        Ok(Self { customer, subscription })
    }
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    object: Option<Text<'a>>,
    #[serde(borrow)]
    customer: Option<Id<'a>>,
    #[serde(borrow)]
    customer_account: Option<Text<'a>>,
    #[serde(borrow)]
    parent: Option<Parent<'a>>,
    #[serde(borrow)]
    subscription: Option<Id<'a>>,
    #[serde(borrow)]
    released_subscription: Option<Id<'a>>,
    #[serde(borrow)]
    lines: Option<List<Line<'a>>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customer_and_subscription_are_found_whatever_the_shape() {
        let cases = [
            (r#"{"object":"customer","id":"cus_1"}"#, Some("cus_1"), None),
            (r#"{"object":"charge","customer":"cus_1"}"#, Some("cus_1"), None),
            (
                r#"{"object":"charge","customer":{"id":"cus_1","deleted":true}}"#,
                Some("cus_1"),
                None,
            ),
            (
                r#"{"object":"invoice","customer":null,"customer_account":"acct_1"}"#,
                Some("acct_1"),
                None,
            ),
            (
                r#"{"object":"subscription","id":"sub_1","customer":"cus_1"}"#,
                Some("cus_1"),
                Some("sub_1"),
            ),
            (
                r#"{"object":"invoice","customer":"cus_1",
                "parent":{"subscription_details":{"subscription":"sub_1"}}}"#,
                Some("cus_1"),
                Some("sub_1"),
            ),
            (
                r#"{"object":"subscription_schedule","customer":"cus_1","subscription":null,
                "released_subscription":"sub_1"}"#,
                Some("cus_1"),
                Some("sub_1"),
            ),
            (r#"{"object":"product","id":"prod_1"}"#, None, None),
        ];
        for (json, customer, subscription) in cases {
            let routing = Routing::read(json).unwrap();
            assert_eq!(routing.customer.as_deref(), customer, "{json}");
            assert_eq!(routing.subscription.as_deref(), subscription, "{json}");
        }
    }
}
