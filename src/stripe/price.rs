//! Prices, the plans that they replaced, and the subscription items that contain them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::json::{Id, Seconds, Text, owned_text};
use crate::time::StripeTime;

/// Facts of one subscription item: price, quantity and (since 2025-03-31.basil) period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemFacts {
    /// `si_…`; none before items existed.
    pub item_id: Option<String>,
    /// Price, or the plan before prices existed.
    pub price: PriceFacts,
    /// Quantity; none for a metered price.
    pub quantity: Option<i64>,
    /// Start of the period, of the item or else of its subscription.
    pub current_period_start: Option<StripeTime>,
    /// End of the period, of the item or else of its subscription.
    pub current_period_end: Option<StripeTime>,
}

/// Facts of a price, read from a `price` or a `plan`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceFacts {
    /// `price_…`, `plan_…`, or a name that the merchant chose.
    pub price_id: Option<String>,
    /// `prod_…`; a plan has one since 2018-02-05.
    pub product_id: Option<String>,
    /// Name of the product, which plans contained as `name` until 2018-02-05.
    pub product_name: Option<String>,
    /// Nickname.
    pub nickname: Option<String>,
    /// Lookup key; plans have none.
    pub lookup_key: Option<String>,
    /// Three-letter currency of the amount, lower case.
    pub currency: Option<String>,
    /// Price of one unit, or of one package, in minor units of that currency.
    pub unit_amount: Option<i64>,
    /// The same as decimal text.
    pub unit_amount_decimal: Option<String>,
    /// Package that the amount buys; none if it buys one unit.
    pub package: Option<Package>,
    /// `day`, `week`, `month` or `year`.
    pub interval: Option<String>,
    /// Number of intervals in a period.
    pub interval_count: Option<i64>,
}

/// Package of units that are sold together: `transform_quantity`, and `transform_usage` of plans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Units in a package.
    pub divide_by: i64,
    /// `up` or `down`: rounding of a package that is not full.
    pub round: Option<String>,
}

/// `items.data[]`. Reading order of the price: `price`, then `plan`.
#[derive(Clone, Debug, Deserialize)]
pub struct Item<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    price: Option<Price<'a>>,
    #[serde(borrow)]
    plan: Option<Plan<'a>>,
    quantity: Option<i64>,
    current_period_start: Option<Seconds>,
    current_period_end: Option<Seconds>,
}

/// Price as it is in an event, on an item since 2020-03-02.
#[derive(Clone, Debug, Deserialize)]
pub struct Price<'a> {
    /// Type that the object says it has.
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    /// `price_…`, or the id of the plan that it was before.
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    #[serde(borrow)]
    product: Option<Id<'a>>,
    #[serde(borrow)]
    nickname: Option<Text<'a>>,
    #[serde(borrow)]
    lookup_key: Option<Text<'a>>,
    #[serde(borrow)]
    currency: Option<Text<'a>>,
    unit_amount: Option<i64>,
    #[serde(borrow)]
    unit_amount_decimal: Option<Text<'a>>,
    /// Amounts in other currencies, by currency; embedded only if the endpoint expands it.
    #[serde(borrow)]
    currency_options: Option<&'a RawValue>,
    #[serde(borrow)]
    transform_quantity: Option<Transform<'a>>,
    #[serde(borrow)]
    recurring: Option<Recurring<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct CurrencyOption<'a> {
    unit_amount: Option<i64>,
    #[serde(borrow)]
    unit_amount_decimal: Option<Text<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Transform<'a> {
    divide_by: Option<i64>,
    #[serde(borrow)]
    round: Option<Text<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Recurring<'a> {
    #[serde(borrow)]
    interval: Option<Text<'a>>,
    interval_count: Option<i64>,
}

/// Plan as it is in an event: on the subscription until 2020, and still beside the price today.
#[derive(Clone, Debug, Deserialize)]
pub struct Plan<'a> {
    /// Type that the object says it has.
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    /// `plan_…`, or a name that the merchant chose.
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    #[serde(borrow)]
    product: Option<Id<'a>>,
    #[serde(borrow)]
    nickname: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    currency: Option<Text<'a>>,
    amount: Option<i64>,
    #[serde(borrow)]
    amount_decimal: Option<Text<'a>>,
    #[serde(borrow)]
    transform_usage: Option<Transform<'a>>,
    #[serde(borrow)]
    interval: Option<Text<'a>>,
    interval_count: Option<i64>,
}

impl Item<'_> {
    /// The facts. The period is the item's own, or else the subscription's. `currency` is the one that the
    /// subscription is billed in, if it is known.
    pub fn facts(
        &self,
        start: Option<StripeTime>,
        end: Option<StripeTime>,
        currency: Option<&str>,
    ) -> ItemFacts {
        let price = match (&self.price, &self.plan) {
            (Some(price), _) => price.facts(currency),
            (None, Some(plan)) => plan.facts(),
            (None, None) => PriceFacts::default(),
        };
        ItemFacts {
            item_id: owned_text(self.id.as_ref()),
            price,
            quantity: self.quantity,
            current_period_start: self.current_period_start.map(StripeTime::from).or(start),
            current_period_end: self.current_period_end.map(StripeTime::from).or(end),
        }
    }
}

impl Price<'_> {
    /// The nickname.
    pub fn nickname(&self) -> Option<&str> {
        self.nickname.as_deref()
    }

    fn facts(&self, billed_in: Option<&str>) -> PriceFacts {
        let recurring = self.recurring.as_ref();
        // An amount is never shown with another currency than its own. If the billed currency is not embedded,
        // the price shows its base.
        let option = billed_in.and_then(|it| Some((it.to_owned(), self.option(it)?)));
        let (currency, unit_amount, unit_amount_decimal) = if let Some((currency, it)) = option {
            (Some(currency), it.unit_amount, it.unit_amount_decimal)
        } else {
            let decimal = self.unit_amount_decimal.clone();
            (owned_text(self.currency.as_ref()), self.unit_amount, decimal)
        };
        PriceFacts {
            price_id: owned_text(self.id.as_ref()),
            product_id: self.product.as_ref().map(Id::to_owned_string),
            product_name: None,
            nickname: owned_text(self.nickname.as_ref()),
            lookup_key: owned_text(self.lookup_key.as_ref()),
            currency,
            unit_amount,
            unit_amount_decimal: owned_text(unit_amount_decimal.as_ref()),
            package: self.transform_quantity.as_ref().and_then(Transform::package),
            interval: recurring.and_then(|recurring| owned_text(recurring.interval.as_ref())),
            interval_count: recurring.and_then(|recurring| recurring.interval_count),
        }
    }

    /// Amount in another currency than the price's own, if it is embedded.
    fn option(&self, currency: &str) -> Option<CurrencyOption<'_>> {
        if self.currency.as_deref() == Some(currency) {
            return None;
        }
        let options = self.currency_options?.get();
        let mut options: BTreeMap<String, CurrencyOption<'_>> =
            serde_json::from_str(options).ok()?;
        options.remove(currency)
    }
}

impl Transform<'_> {
    fn package(&self) -> Option<Package> {
        let round = owned_text(self.round.as_ref());
        self.divide_by.map(|divide_by| Package { divide_by, round })
    }
}

impl Plan<'_> {
    /// The nickname.
    pub fn nickname(&self) -> Option<&str> {
        self.nickname.as_deref()
    }

    /// Name of the product, which plans contained until 2018-02-05.
    pub fn product_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The facts, as those of a price.
    pub fn facts(&self) -> PriceFacts {
        PriceFacts {
            price_id: owned_text(self.id.as_ref()),
            product_id: self.product.as_ref().map(Id::to_owned_string),
            product_name: owned_text(self.name.as_ref()),
            nickname: owned_text(self.nickname.as_ref()),
            lookup_key: None,
            currency: owned_text(self.currency.as_ref()),
            unit_amount: self.amount,
            unit_amount_decimal: owned_text(self.amount_decimal.as_ref()),
            package: self.transform_usage.as_ref().and_then(Transform::package),
            interval: owned_text(self.interval.as_ref()),
            interval_count: self.interval_count,
        }
    }
}
