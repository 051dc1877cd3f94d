//! Description of a price: its name, amount and interval.

use super::money::{amount, amount_of_decimal};
use crate::projection::row::{ItemRow, SubscriptionRow};
use crate::stripe::price::Package;

/// Price as rows and items hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Price<'a> {
    id: Option<&'a str>,
    product: Option<&'a str>,
    names: [Option<&'a str>; 2],
    lookup_key: Option<&'a str>,
    currency: Option<&'a str>,
    unit_amount: Option<i64>,
    unit_amount_decimal: Option<&'a str>,
    package: Option<&'a Package>,
    interval: Option<&'a str>,
    interval_count: Option<i64>,
}

macro_rules! price_of {
    ($row:expr, $package:expr) => {
        Price {
            id: $row.price_id.as_deref(),
            product: $row.product_id.as_deref(),
            names: [$row.product_name.as_deref(), $row.price_nickname.as_deref()],
            lookup_key: $row.lookup_key.as_deref(),
            currency: $row.currency.as_deref(),
            unit_amount: $row.unit_amount,
            unit_amount_decimal: $row.unit_amount_decimal.as_deref(),
            package: $package,
            interval: $row.interval.as_deref(),
            interval_count: $row.interval_count,
        }
    };
}

impl<'a> Price<'a> {
    pub(super) fn from_row(row: &'a SubscriptionRow) -> Self {
        price_of!(row, row.transform_quantity.as_ref().map(|it| &it.0))
    }

    pub(super) fn from_item(item: &'a ItemRow) -> Self {
        price_of!(item, item.transform_quantity.as_ref())
    }

    /// Description: `Pro 20.00 USD/month`, or `Pro 20.00 USD per 5/month` for packages of five. None if nothing is known
    /// of it.
    pub(super) fn describe(&self) -> Option<String> {
        let [product, nickname] = self.names;
        let name = product.or(nickname).or(self.id);
        let amount = match (self.unit_amount, self.unit_amount_decimal) {
            (Some(minor_units), _) => Some(amount(minor_units, self.currency)),
            (None, Some(decimal)) => Some(amount_of_decimal(decimal, self.currency)),
            (None, None) => None,
        };
        let amount = match (amount, self.package) {
            (Some(amount), Some(package)) => Some(format!("{amount} per {}", package.divide_by)),
            (amount, _) => amount,
        };
        let every = self.interval.map(|interval| match self.interval_count {
            None | Some(1) => interval.to_owned(),
            Some(count) => format!("{count} {interval}s"),
        });
        let text = match (amount, every) {
            (Some(amount), Some(every)) => Some(format!("{amount}/{every}")),
            (Some(amount), None) => Some(amount),
            (None, Some(every)) => Some(format!("every {every}")),
            (None, None) => None,
        };
        let parts: Vec<&str> = name.into_iter().chain(text.as_deref()).collect();
        Some(parts.join(" ")).filter(|text| !text.is_empty())
    }

    /// All parts of a price, to find the difference of two with the same description.
    fn details(&self) -> [(&'static str, Option<String>); 9] {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        [
            ("id", owned(self.id)),
            ("nickname", owned(self.names[1])),
            ("currency", owned(self.currency)),
            ("unit amount", self.unit_amount.map(|it| it.to_string())),
            ("unit amount", owned(self.unit_amount_decimal)),
            ("package", self.package.map(Package::describe)),
            ("interval", owned(self.interval)),
            ("interval count", self.interval_count.map(|it| it.to_string())),
            ("product", owned(self.product)),
        ]
    }
}

impl Package {
    /// Description: `5, rounded up`.
    fn describe(&self) -> String {
        match &self.round {
            Some(round) => format!("{}, rounded {round}", self.divide_by),
            None => self.divide_by.to_string(),
        }
    }
}

/// Sentences about the difference between two prices. `of` names the thing that has the price.
pub(super) fn sentences(of: &str, before: &Price<'_>, after: &Price<'_>) -> Vec<String> {
    let mut sentences = Vec::new();
    let none = || "none".to_owned();
    match (before.describe(), after.describe()) {
        (Some(old), Some(new)) if old != new => sentences.push(format!("{of}: {old} → {new}")),
        (None, Some(new)) => sentences.push(format!("{of}: {new}")),
        (Some(old), None) => sentences.push(format!("{of}: {old} → none")),
        _ => {
            let details = before.details().into_iter().zip(after.details());
            sentences.extend(details.filter(|(old, new)| old.1 != new.1).map(
                |((name, old), (_, new))| {
                    format!(
                        "{of} {name}: {} → {}",
                        old.unwrap_or_else(none),
                        new.unwrap_or_else(none)
                    )
                },
            ));
        }
    }
    match (before.lookup_key, after.lookup_key) {
        (old, new) if old == new => {}
        (None, Some(new)) => sentences.push(format!("lookup key: {new}")),
        (old, new) => {
            let (old, new) = (old.unwrap_or("none"), new.unwrap_or("none"));
            sentences.push(format!("lookup key: {old} → {new}"));
        }
    }
    sentences
}
