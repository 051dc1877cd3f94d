//! Amounts of money in the usual notation.

/// Currencies whose minor unit is the unit itself in Stripe's API. (`isk` and `ugx` no longer have cents, but the API
/// still counts in them.)
const WITHOUT_CENTS: [&str; 15] = [
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf",
    "xof", "xpf",
];
/// Currencies with a thousand minor units.
const OF_A_THOUSAND: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];

/// Formats minor units: 2000 as `20.00 USD`.
pub(super) fn amount(minor_units: i64, currency: Option<&str>) -> String {
    amount_of_decimal(&minor_units.to_string(), currency)
}

/// Formats minor units in decimal text, which may have fractions: `0.5` as `0.005 USD`. Without a currency the size of a
/// minor unit is unknown, so the number is not converted.
pub(super) fn amount_of_decimal(minor_units: &str, currency: Option<&str>) -> String {
    let Some(currency) = currency.filter(|currency| !currency.is_empty()) else {
        return format!("{minor_units} minor units");
    };
    let (sign, digits) = match minor_units.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", minor_units),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let places = exponent(currency);
    let padded = format!("{whole:0>width$}", width = places + 1);
    let (units, cents) = padded.split_at_checked(padded.len() - places).unwrap_or((&padded, ""));
    let decimals = format!("{cents}{}", fraction.trim_end_matches('0'));
    let point = if decimals.is_empty() { "" } else { "." };
    format!("{sign}{units}{point}{decimals} {}", currency.to_uppercase())
}

/// Number of decimal places between the unit and the minor unit.
fn exponent(currency: &str) -> usize {
    let currency = currency.to_lowercase();
    if WITHOUT_CENTS.contains(&&*currency) {
        0
    } else if OF_A_THOUSAND.contains(&&*currency) {
        3
    } else {
        2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_the_decimals_of_its_currency() {
        for (minor_units, currency, text) in [
            (2000, "usd", "20.00 USD"),
            (5, "eur", "0.05 EUR"),
            (0, "usd", "0.00 USD"),
            (-1999, "usd", "-19.99 USD"),
            (500, "jpy", "500 JPY"),
            (-5, "krw", "-5 KRW"),
            (12_345, "kwd", "12.345 KWD"),
            (7, "BHD", "0.007 BHD"),
            (990_000, "isk", "9900.00 ISK"),
        ] {
            assert_eq!(amount(minor_units, Some(currency)), text);
        }
        assert_eq!(amount(5, None), "5 minor units");
    }

    #[test]
    fn fractions_of_a_minor_unit_are_kept() {
        for (minor_units, currency, text) in [
            ("0.5", "usd", "0.005 USD"),
            ("12.50", "usd", "0.125 USD"),
            ("2000.00", "usd", "20.00 USD"),
            ("-0.25", "eur", "-0.0025 EUR"),
            ("0.5", "jpy", "0.5 JPY"),
            ("3", "kwd", "0.003 KWD"),
        ] {
            assert_eq!(amount_of_decimal(minor_units, Some(currency)), text);
        }
    }
}
