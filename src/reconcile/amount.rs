//! Recurring amount of subscriptions, for a month.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::projection::row::{ItemRow, SubscriptionRow};
use crate::stripe::price::Package;

/// Decimal places of an amount that are read. Stripe writes twelve.
const DECIMALS: u32 = 12;

/// Recurring amounts for a month, of list prices: discounts and taxes do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthlyAmount {
    /// Amounts in minor units, by three-letter currency in lower case.
    pub by_currency: BTreeMap<String, i64>,
    /// Number of items whose amount is unknown: metered and tiered prices.
    pub items_without_amount: u64,
}

impl MonthlyAmount {
    /// Recurring amount of one subscription. A month is a twelfth of a year of 365 days.
    pub fn of(row: &SubscriptionRow) -> Self {
        let mut exact: BTreeMap<String, Fraction> = BTreeMap::new();
        let mut amount = Self::default();
        for item in &row.items.0 {
            let currency = item.currency.clone().or_else(|| row.billing_currency.clone());
            match (currency, monthly(item)) {
                (Some(currency), Some(monthly)) => {
                    exact.entry(currency).or_default().add(monthly);
                }
                _ => amount.items_without_amount += 1,
            }
        }
        let rounded = exact.into_iter().map(|(currency, it)| (currency, it.rounded()));
        amount.by_currency = rounded.collect();
        amount
    }

    /// Adds another amount.
    pub fn add(&mut self, other: &Self) {
        let Self { by_currency, items_without_amount } = other;
        for (currency, amount) in by_currency {
            let sum = self.by_currency.entry(currency.clone()).or_default();
            *sum = sum.saturating_add(*amount);
        }
        self.items_without_amount += items_without_amount;
    }
}

/// Amount in parts of a minor unit: twelve decimal places, times 84, because a week is 12 · 7 / 365 of a month.
#[derive(Clone, Copy, Debug, Default)]
struct Fraction(i128);

impl Fraction {
    const ONE: i128 = 84 * 10_i128.pow(DECIMALS);

    fn add(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }

    /// Whole minor units, half away from zero.
    fn rounded(self) -> i64 {
        let half = if self.0 < 0 { -Self::ONE / 2 } else { Self::ONE / 2 };
        i64::try_from(self.0.saturating_add(half) / Self::ONE).unwrap_or(i64::MAX)
    }
}

/// None if the amount is unknown.
fn monthly(item: &ItemRow) -> Option<Fraction> {
    let unit = match &item.unit_amount_decimal {
        Some(text) => decimal(text)?,
        None => i128::from(item.unit_amount?) * 10_i128.pow(DECIMALS),
    };
    let units = i128::from(units(item.quantity?, item.transform_quantity.as_ref()));
    // 84ths of a month's intervals.
    let intervals = match item.interval.as_deref()? {
        "day" => 84 * 365 / 12,
        "week" => 365,
        "month" => 84,
        "year" => 84 / 12,
        _ => return None,
    };
    let count = i128::from(item.interval_count.unwrap_or(1).max(1));
    Some(Fraction(unit.checked_mul(units)?.checked_mul(intervals)? / count))
}

/// Number of packages that a quantity needs.
fn units(quantity: i64, package: Option<&Package>) -> i64 {
    match package {
        Some(Package { divide_by, round }) if *divide_by > 0 => {
            let whole = quantity.div_euclid(*divide_by);
            let has_rest = quantity.rem_euclid(*divide_by) > 0;
            whole + i64::from(has_rest && round.as_deref() != Some("down"))
        }
        _ => quantity,
    }
}

/// Reads a decimal number as an integer of twelve decimal places. Further places are cut off.
fn decimal(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let places = DECIMALS as usize;
    let fraction = fraction.get(..fraction.len().min(places))?;
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    Some(sign * format!("{whole}{fraction:0<places$}").parse::<i128>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::column::Json;

    fn item(amount: i64, quantity: i64, interval: &str, count: i64) -> ItemRow {
        ItemRow {
            unit_amount: Some(amount),
            quantity: Some(quantity),
            currency: Some("eur".to_owned()),
            interval: Some(interval.to_owned()),
            interval_count: Some(count),
            ..ItemRow::default()
        }
    }

    fn of(items: Vec<ItemRow>) -> MonthlyAmount {
        MonthlyAmount::of(&SubscriptionRow { items: Json(items), ..SubscriptionRow::default() })
    }

    fn euros(items: Vec<ItemRow>) -> i64 {
        of(items).by_currency["eur"]
    }

    #[test]
    fn intervals_are_normalised_to_a_month() {
        assert_eq!(euros(vec![item(1_000, 1, "month", 1)]), 1_000);
        assert_eq!(euros(vec![item(1_000, 3, "month", 1)]), 3_000);
        assert_eq!(euros(vec![item(3_000, 1, "month", 3)]), 1_000);
        assert_eq!(euros(vec![item(12_000, 2, "year", 1)]), 2_000);
        assert_eq!(euros(vec![item(12_000, 1, "year", 2)]), 500);
        assert_eq!(euros(vec![item(1_200, 1, "day", 1)]), 36_500);
        assert_eq!(euros(vec![item(8_400, 1, "week", 1)]), 36_500);
        assert_eq!(euros(vec![item(8_400, 1, "week", 2)]), 18_250);
    }

    #[test]
    fn fractions_are_added_before_they_are_rounded() {
        assert_eq!(euros(vec![item(5, 1, "year", 1), item(1, 1, "year", 1)]), 1);
        let decimal = ItemRow {
            unit_amount: None,
            unit_amount_decimal: Some("0.05".to_owned()),
            ..item(0, 30, "month", 1)
        };
        assert_eq!(euros(vec![decimal]), 2);
    }

    #[test]
    fn packages_are_rounded_as_their_price_says() {
        let package = |round: &str| ItemRow {
            transform_quantity: Some(Package { divide_by: 10, round: Some(round.to_owned()) }),
            ..item(500, 25, "month", 1)
        };
        assert_eq!(euros(vec![package("up")]), 1_500);
        assert_eq!(euros(vec![package("down")]), 1_000);
    }

    #[test]
    fn currencies_and_unknown_amounts_stay_apart() {
        let metered = ItemRow { quantity: None, ..item(5, 1, "month", 1) };
        let tiered = ItemRow { unit_amount: None, ..item(5, 1, "month", 1) };
        let dollars = ItemRow { currency: Some("usd".to_owned()), ..item(700, 1, "month", 1) };
        let mut amount = of(vec![metered, tiered, dollars, item(300, 1, "month", 1)]);
        assert_eq!(amount.items_without_amount, 2);
        amount.add(&of(vec![item(300, 1, "month", 1)]));
        assert_eq!(amount.by_currency, [("eur".into(), 600), ("usd".into(), 700)].into());
    }

    #[test]
    fn what_is_no_decimal_number_is_unknown() {
        assert_eq!(decimal("12.5"), Some(12_500_000_000_000));
        assert_eq!(decimal("-1"), Some(-1_000_000_000_000));
        assert_eq!([decimal(""), decimal("1e5"), decimal("x"), decimal("1.é")], [None; 4]);
    }
}
