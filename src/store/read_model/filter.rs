//! Filters of subscriptions: conditions of a statement, with the values of their parameters.

use crate::ids::{AccountId, CustomerId, Scope, SubscriptionId};
use crate::projection::row::SubscriptionRow;
use crate::store::db::{Dialect, Query, bind_instant};
use crate::time::StripeTime;

/// Filter of subscriptions. A subscription must match all given fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionFilter {
    /// Account.
    pub account: Option<AccountId>,
    /// Mode.
    pub livemode: Option<bool>,
    /// User of the application.
    pub user_id: Option<String>,
    /// True for subscriptions without a user only.
    pub without_user: bool,
    /// Customer.
    pub customer_id: Option<CustomerId>,
    /// Subscription.
    pub subscription_id: Option<SubscriptionId>,
    /// Allowed statuses; empty allows any.
    pub statuses: Vec<String>,
    /// Expected access at this instant.
    pub active: Option<(bool, StripeTime)>,
    /// Item that the subscription must have.
    pub item: ItemFilter,
}

/// Filter of items. A single item of the subscription must match all given fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemFilter {
    /// Price.
    pub price_id: Option<String>,
    /// Product of the price.
    pub product_id: Option<String>,
    /// Lookup key of the price.
    pub lookup_key: Option<String>,
}

/// Table that a statement reads first to find subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum LeadingTable {
    /// Table of subscriptions.
    Subscriptions,
    /// Table of the properties of items.
    ItemProperties,
}

impl LeadingTable {
    /// Alias of the table in a statement.
    pub(super) const fn alias(self) -> &'static str {
        match self {
            Self::Subscriptions => "s",
            Self::ItemProperties => "k",
        }
    }
}

/// Sort key of subscriptions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubscriptionKey {
    /// Account and mode.
    pub scope: Scope,
    /// Id of the subscription.
    pub id: SubscriptionId,
}

impl SubscriptionKey {
    /// Creates the key of a row.
    pub fn from_row(row: &SubscriptionRow) -> Self {
        let scope = Scope { account: row.account.clone(), livemode: row.livemode };
        Self { scope, id: row.subscription_id.clone() }
    }
}

/// Parameters of a statement, numbered in the order in which they are added. The first is the limit.
pub(in crate::store) struct Parameters<'a> {
    dialect: Dialect,
    values: Vec<Parameter<'a>>,
}

enum Parameter<'a> {
    Text(&'a str),
    Bool(bool),
    Instant(StripeTime),
    Limit(usize),
}

impl<'a> Parameters<'a> {
    pub(in crate::store) fn new(dialect: Dialect, limit: usize) -> Self {
        Self { dialect, values: vec![Parameter::Limit(limit)] }
    }

    /// Adds a text, and returns the name of its parameter.
    pub(super) fn text(&mut self, text: &'a str) -> String {
        self.add(Parameter::Text(text))
    }

    /// Adds a boolean, and returns the name of its parameter.
    pub(super) fn bool(&mut self, truth: bool) -> String {
        self.add(Parameter::Bool(truth))
    }

    fn add(&mut self, value: Parameter<'a>) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// Binds all parameters.
    pub(super) fn bind<'q>(&self, mut query: Query<'q>) -> Query<'q> {
        for value in &self.values {
            query = match value {
                Parameter::Text(text) => query.bind(*text),
                Parameter::Bool(truth) => query.bind(*truth),
                Parameter::Instant(at) => bind_instant(query, *at),
                Parameter::Limit(limit) => query.bind(i64::try_from(*limit).unwrap_or(i64::MAX)),
            };
        }
        query
    }
}

impl SubscriptionFilter {
    /// Table that finds the subscriptions: the table of properties of items, unless a user, customer or subscription is
    /// given, which fewer subscriptions share.
    pub(in crate::store) fn leading_table(&self) -> LeadingTable {
        let of_one =
            self.user_id.is_some() || self.customer_id.is_some() || self.subscription_id.is_some();
        if of_one || self.item.is_any() {
            LeadingTable::Subscriptions
        } else {
            LeadingTable::ItemProperties
        }
    }

    /// Writes the conditions, including the condition that a row comes after a key.
    pub(in crate::store) fn conditions<'a>(
        &'a self,
        leading: LeadingTable,
        after: Option<&'a SubscriptionKey>,
        parameters: &mut Parameters<'a>,
    ) -> String {
        let texts = [
            ("user_id", self.user_id.as_deref()),
            ("customer_id", self.customer_id.as_ref().map(CustomerId::as_str)),
            ("subscription_id", self.subscription_id.as_ref().map(SubscriptionId::as_str)),
        ];
        let mut conditions = vec!["TRUE".to_owned()];
        let account = self.account.as_ref().map(|it| parameters.text(it.as_str()));
        conditions.extend(account.iter().map(|it| format!("s.account = {it}")));
        for (column, text) in texts.into_iter().filter_map(|(column, text)| Some((column, text?))) {
            conditions.push(format!("s.{column} = {}", parameters.text(text)));
        }
        if self.without_user {
            conditions.push("s.user_id IS NULL".to_owned());
        }
        let statuses: Vec<_> = self.statuses.iter().map(|it| parameters.text(it)).collect();
        if !statuses.is_empty() {
            conditions.push(format!("s.status IN ({})", statuses.join(", ")));
        }
        let livemode = self.livemode.map(|it| parameters.bool(it));
        conditions.extend(livemode.iter().map(|it| format!("s.livemode = {it}")));
        if let Some((active, now)) = self.active {
            let condition = sql::ACTIVE.text(parameters.dialect);
            let condition = condition.replace("{now}", &parameters.add(Parameter::Instant(now)));
            conditions.push(condition.replace("{active}", &parameters.bool(active)));
        }
        if let (LeadingTable::ItemProperties, Some((property, value))) =
            (leading, self.item.properties().next())
        {
            let (property, value) = (parameters.text(property), parameters.text(value));
            conditions.push(format!("k.property = {property} AND k.value = {value}"));
            conditions.extend(account.map(|it| format!("k.account = {it}")));
            conditions.extend(livemode.map(|it| format!("k.livemode = {it}")));
        }
        conditions.extend(self.item.condition(parameters));
        if let Some(SubscriptionKey { scope, id }) = after {
            let account = parameters.text(scope.account.as_str());
            let livemode = parameters.bool(scope.livemode);
            let id = parameters.text(id.as_str());
            let key = [account, livemode, id].join(", ");
            conditions.push(sql::AFTER.replace("{by}", leading.alias()).replace("{key}", &key));
        }
        conditions.join(" AND ")
    }
}

impl ItemFilter {
    /// True if any item matches.
    pub(super) fn is_any(&self) -> bool {
        *self == Self::default()
    }

    /// Given properties and their values. A property that few items share comes first.
    fn properties(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("price_id", &self.price_id),
            ("lookup_key", &self.lookup_key),
            ("product_id", &self.product_id),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// Writes the condition that a row has a matching item. None if any row matches.
    pub(super) fn condition<'a>(&'a self, parameters: &mut Parameters<'a>) -> Option<String> {
        let (one, between) = match parameters.dialect {
            Dialect::Sqlite => ("item.value ->> '{name}' = {value}", " AND "),
            Dialect::Postgres => ("'{name}', {value}::text", ", "),
        };
        let all = self.properties().map(|(name, value)| {
            one.replace("{name}", name).replace("{value}", &parameters.text(value))
        });
        let all: Vec<_> = all.collect();
        let condition = sql::HAS_ITEM.text(parameters.dialect);
        (!all.is_empty()).then(|| condition.replace("{properties}", &all.join(between)))
    }

    /// True if a row has a matching item. Equivalent to the condition in SQL.
    pub fn matches(&self, row: &SubscriptionRow) -> bool {
        let asks = |wanted: &Option<String>, has| wanted.is_none() || wanted == has;
        self.is_any()
            || row.items.0.iter().any(|item| {
                asks(&self.price_id, &item.price_id)
                    && asks(&self.product_id, &item.product_id)
                    && asks(&self.lookup_key, &item.lookup_key)
            })
    }
}

/// Templates of conditions.
mod sql {
    use crate::store::db::Statement;

    pub(super) const ACTIVE: Statement = Statement::new(
        "(s.entitled AND (s.entitled_until IS NULL OR s.entitled_until > {now})) = {active}",
        "(s.entitled AND (s.entitled_until IS NULL OR s.entitled_until > to_timestamp({now}))) = {active}",
    );
    pub(super) const HAS_ITEM: Statement = Statement::new(
        "EXISTS (SELECT 1 FROM json_each(s.items) AS item WHERE {properties})",
        "s.items @> jsonb_build_array(jsonb_build_object({properties}))",
    );
    pub(super) const AFTER: &str = "({by}.account, {by}.livemode, {by}.subscription_id) > ({key})";
}
