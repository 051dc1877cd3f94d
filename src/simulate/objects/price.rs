//! Prices, which are also sent as plans, and the catalogue of the simulated shop.

use chrono::{DateTime, Months, Utc};

use super::old;
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{NULL, Object, object};

/// Recurring price.
#[derive(Debug, PartialEq)]
pub(crate) struct Price {
    pub(crate) id: &'static str,
    pub(crate) product: &'static str,
    pub(crate) product_name: &'static str,
    pub(crate) nickname: Option<&'static str>,
    pub(crate) lookup_key: Option<&'static str>,
    /// In minor units of the currency.
    pub(crate) unit_amount: i64,
    pub(crate) currency: &'static str,
    pub(crate) interval: Interval,
    pub(crate) interval_count: u32,
    /// True if usage is billed. Then a subscription has no quantity.
    pub(crate) metered: bool,
}

/// Unit of a billing period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interval {
    Week,
    Month,
    Year,
}

/// Creation time of all prices, before every subscription.
pub(crate) const CREATED: i64 = 1_577_880_000;

impl Interval {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

impl Price {
    /// Quantity in a subscription: `None` for a metered price.
    pub(crate) fn shown_quantity(&self, quantity: i64) -> Option<i64> {
        (!self.metered).then_some(quantity)
    }

    const fn usage_type(&self) -> &'static str {
        if self.metered { "metered" } else { "licensed" }
    }

    /// End of the `cycle`th period since the anchor (Unix seconds). It is counted from the anchor, so that a
    /// subscription of 31 January is billed on 28 February and on 31 March.
    pub(crate) fn period_end(&self, anchor: i64, cycle: u32) -> i64 {
        let count = self.interval_count.saturating_mul(cycle);
        let months = match self.interval {
            Interval::Week => return anchor + i64::from(count) * 7 * 86_400,
            Interval::Month => count,
            Interval::Year => count * 12,
        };
        DateTime::<Utc>::from_timestamp(anchor, 0)
            .and_then(|at| at.checked_add_months(Months::new(months)))
            .map_or(anchor, |at| at.timestamp())
    }

    fn usage_fields(&self, object: &mut Object, version: ApiVersion) {
        if version < ApiVersion::Basil {
            object.set("aggregate_usage", self.metered.then_some("sum"));
        }
        if version >= ApiVersion::Acacia {
            object.set("meter", self.metered.then_some("mtr_simulated1"));
        }
    }

    /// Renders the plan, the older form of a price. Stripe sends both in every version.
    pub(crate) fn render_plan(&self, version: ApiVersion, livemode: bool) -> Object {
        let mut plan = object! {
            "id": self.id,
            "object": "plan",
            "active": true,
            "amount": self.unit_amount,
            "amount_decimal": self.unit_amount.to_string(),
            "billing_scheme": "per_unit",
            "created": CREATED,
            "currency": self.currency,
            "interval": self.interval.as_str(),
            "interval_count": self.interval_count,
            "livemode": livemode,
            "metadata": Object::EMPTY,
            "nickname": self.nickname,
            "product": self.product,
            "tiers_mode": NULL,
            "transform_usage": NULL,
            "trial_period_days": NULL,
            "usage_type": self.usage_type(),
        };
        self.usage_fields(&mut plan, version);
        if version < ApiVersion::V2020 {
            old::plan(&mut plan, version);
        }
        if version < ApiVersion::V2018 {
            plan.set("name", self.product_name);
        }
        plan
    }

    /// Renders the price.
    pub(crate) fn render_price(&self, version: ApiVersion, livemode: bool) -> Object {
        let mut recurring = object! {
            "interval": self.interval.as_str(),
            "interval_count": self.interval_count,
            "trial_period_days": NULL,
            "usage_type": self.usage_type(),
        };
        self.usage_fields(&mut recurring, version);
        let mut price = object! {
            "id": self.id,
            "object": "price",
            "active": true,
            "billing_scheme": "per_unit",
            "created": CREATED,
            "currency": self.currency,
            "livemode": livemode,
            "lookup_key": self.lookup_key,
            "metadata": Object::EMPTY,
            "nickname": self.nickname,
            "product": self.product,
            "recurring": recurring,
            "tax_behavior": "unspecified",
            "tiers_mode": NULL,
            "transform_quantity": NULL,
            "type": "recurring",
            "unit_amount": self.unit_amount,
            "unit_amount_decimal": self.unit_amount.to_string(),
        };
        if version >= ApiVersion::Acacia {
            price.set("custom_unit_amount", NULL);
        }
        price
    }
}

const fn price(id: &'static str, product: (&'static str, &'static str), unit_amount: i64) -> Price {
    Price {
        id,
        product: product.0,
        product_name: product.1,
        nickname: None,
        lookup_key: None,
        unit_amount,
        currency: "usd",
        interval: Interval::Month,
        interval_count: 1,
        metered: false,
    }
}

const STARTER: (&str, &str) = ("prod_R1xStarter0001", "Starter");
pub(crate) const TEAM: (&str, &str) = ("prod_R1xTeam0000002", "Team");
const STUDIO: (&str, &str) = ("prod_R1xStudio00003", "Studio");
const SUPPORT: (&str, &str) = ("prod_R1xSupport0004", "Priority support");
const ARCHIVED: (&str, &str) = ("prod_R1xClassic0005", "Classic");

/// Products with their first names.
pub(crate) const PRODUCTS: [(&str, &str); 5] = [STARTER, TEAM, STUDIO, SUPPORT, ARCHIVED];

/// Prices on sale. A plan is changed to another price of its currency.
pub(crate) static PRICES: [Price; 9] = [
    Price {
        nickname: Some("Starter, monthly"),
        lookup_key: Some("starter_monthly"),
        ..price("price_1Q4mStarterMonthlyUsd01", STARTER, 900)
    },
    Price {
        nickname: Some("Team, monthly"),
        lookup_key: Some("team_monthly"),
        ..price("price_1Q4mTeamMonthlyUsd00002", TEAM, 2_900)
    },
    Price {
        nickname: Some("Team, yearly"),
        lookup_key: Some("team_yearly"),
        interval: Interval::Year,
        ..price("price_1Q4mTeamYearlyUsd000003", TEAM, 29_000)
    },
    price("price_1Q4mStudioMonthlyUsd004", STUDIO, 12_100),
    Price { interval_count: 3, ..price("price_1Q4mStudioQuarterUsd005", STUDIO, 33_000) },
    Price { interval: Interval::Week, ..price("price_1Q4mStarterWeeklyUsd006", STARTER, 300) },
    Price { currency: "eur", ..price("price_1Q4mStarterMonthlyEur07", STARTER, 1_000) },
    Price {
        currency: "eur",
        interval: Interval::Year,
        ..price("price_1Q4mStarterYearlyEur008", STARTER, 10_000)
    },
    Price { currency: "jpy", ..price("price_1Q4mTeamMonthlyJpy00009", TEAM, 3_000) },
];

/// Price of a second item, monthly and in dollars.
pub(crate) static ADD_ON: Price = Price {
    nickname: Some("Priority support"),
    ..price("price_1Q4mSupportMonthlyUsd10", SUPPORT, 4_900)
};

/// Prices of modules, monthly and in dollars: a subscription to all of them has more items than Stripe embeds. They
/// are in the catalogue only of a plan with [wide subscriptions](crate::simulate::Plan::wide_percent).
pub(crate) static MODULES: [Price; 12] = [
    price("price_1Q4mModuleMonthlyUsd101", STUDIO, 110),
    price("price_1Q4mModuleMonthlyUsd102", STUDIO, 120),
    price("price_1Q4mModuleMonthlyUsd103", STUDIO, 130),
    price("price_1Q4mModuleMonthlyUsd104", STUDIO, 140),
    price("price_1Q4mModuleMonthlyUsd105", STUDIO, 150),
    price("price_1Q4mModuleMonthlyUsd106", STUDIO, 160),
    price("price_1Q4mModuleMonthlyUsd107", STUDIO, 170),
    price("price_1Q4mModuleMonthlyUsd108", STUDIO, 180),
    price("price_1Q4mModuleMonthlyUsd109", STUDIO, 190),
    price("price_1Q4mModuleMonthlyUsd110", STUDIO, 200),
    price("price_1Q4mModuleMonthlyUsd111", STUDIO, 210),
    price("price_1Q4mModuleMonthlyUsd112", STUDIO, 220),
];

/// Price of a product that is deleted later. Its subscriptions go on.
pub(crate) static CLASSIC: Price =
    Price { nickname: Some("Classic"), ..price("price_1Q4mClassicMonthlyUsd11", ARCHIVED, 700) };

/// Price of usage.
pub(crate) static METERED: Price = Price {
    nickname: Some("Rendering, by the minute"),
    metered: true,
    ..price("price_1Q4mRenderingUsageUsd13", STUDIO, 3)
};

/// Price that nobody has, before and after a change of its nickname.
pub(crate) static OLD_TEAM: Price =
    Price { nickname: Some("Team, old"), ..price("price_1Q4mTeamMonthlyOldUsd12", TEAM, 1_900) };
pub(crate) static OLD_TEAM_RENAMED: Price = Price {
    nickname: Some("Team, not for sale"),
    ..price("price_1Q4mTeamMonthlyOldUsd12", TEAM, 1_900)
};

/// All prices of the catalogue.
pub(crate) fn every_price() -> impl Iterator<Item = &'static Price> {
    PRICES.iter().chain([&ADD_ON, &CLASSIC, &METERED, &OLD_TEAM])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_that_began_on_the_last_of_january_ends_on_the_last_of_february_and_of_march() {
        let anchor = crate::time::StripeTime::parse("2026-01-31T10:00:00Z").unwrap().0;
        let end = |cycle| crate::time::StripeTime(PRICES[0].period_end(anchor, cycle)).to_string();
        assert_eq!(end(1), "2026-02-28T10:00:00Z");
        assert_eq!(end(2), "2026-03-31T10:00:00Z");
    }

    #[test]
    fn ids_are_unique_and_the_usage_fields_follow_the_version() {
        let ids: std::collections::BTreeSet<_> =
            PRICES.iter().chain([&ADD_ON]).map(|p| p.id).collect();
        assert_eq!(ids.len(), PRICES.len() + 1);
        let has = |version, key| PRICES[0].render_plan(version, true).get(key).is_some();
        assert!(has(ApiVersion::V2020, "aggregate_usage") && !has(ApiVersion::V2020, "meter"));
        assert!(!has(ApiVersion::Basil, "aggregate_usage") && has(ApiVersion::Basil, "meter"));
    }
}
