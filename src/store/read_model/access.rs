//! Access of a user or a customer: the answer is computed by the database over all of their
//! subscriptions, however many there are. What is listed beside it comes in pages.

use super::filter::{ItemFilter, Parameters};
use super::schema::GenerationSchema;
use super::subscriptions::{STAMP_COLUMNS, read};
use super::{GenerationStamp, ReadModel, row_values};
use crate::ids::{CustomerId, Scope, SubscriptionId};
use crate::projection::row::SubscriptionRow;
use crate::store::StoreError;
use crate::store::db::{Dialect, Row};
use crate::time::StripeTime;

/// Question about access: whose, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessQuestion {
    /// The account and mode.
    pub scope: Scope,
    /// The user or customer.
    pub holder: AccessHolder,
    /// The item that must have been bought.
    pub item: ItemFilter,
}

/// AccessHolder of subscriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessHolder {
    /// A user of the application.
    User(String),
    /// A customer of Stripe's.
    Customer(CustomerId),
}

/// Sort key of the subscriptions that are listed: those that the policy grants access come first,
/// then the id decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// True if the policy grants access.
    pub entitled: bool,
    /// The subscription.
    pub id: SubscriptionId,
}

/// Answer to an [`AccessQuestion`].
#[derive(Clone, Debug, PartialEq)]
pub struct AccessAnswer {
    /// The access that all of the subscriptions grant together.
    pub grant: Grant,
    /// True if Stripe cut the items of a subscription short, and those that are known are not what
    /// is asked for.
    pub incomplete: bool,
    /// Some of the subscriptions: those with the item, and those that make the answer incomplete.
    pub rows: Vec<SubscriptionRow>,
}

/// Access that several subscriptions grant together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// The policy grants none.
    None,
    /// Until this instant: the latest end.
    Until(StripeTime),
    /// Without a known end.
    Endless,
}

impl Grant {
    /// True if access is granted at this instant: if any of the subscriptions is active then, because
    /// the one with the latest end decides.
    pub fn is_active_at(self, now: StripeTime) -> bool {
        match self {
            Self::None => false,
            Self::Until(end) => now < end,
            Self::Endless => true,
        }
    }

    /// The latest end; none where there is none, and where nothing is granted.
    pub fn until(self) -> Option<StripeTime> {
        match self {
            Self::Until(end) => Some(end),
            Self::None | Self::Endless => None,
        }
    }
}

impl AccessKey {
    /// The key of a row.
    pub fn from_row(row: &SubscriptionRow) -> Self {
        Self { entitled: row.entitled, id: row.subscription_id.as_str().into() }
    }
}

impl AccessQuestion {
    /// Fills the statement in.
    pub(in crate::store) fn fill<'a>(
        &'a self,
        template: &str,
        after: Option<&'a AccessKey>,
        parameters: &mut Parameters<'a>,
    ) -> String {
        let (column, holder) = match &self.holder {
            AccessHolder::User(id) => ("user_id", id.as_str()),
            AccessHolder::Customer(id) => ("customer_id", id.as_str()),
        };
        let account = parameters.text(self.scope.account.as_str());
        let livemode = parameters.truth(self.scope.livemode);
        let holder = parameters.text(holder);
        let held =
            format!("s.account = {account} AND s.livemode = {livemode} AND s.{column} = {holder}");
        let item = self.item.condition(parameters).unwrap_or_else(|| "TRUE".to_owned());
        let after = after.map_or_else(String::new, |AccessKey { entitled, id }| {
            let entitled = parameters.truth(*entitled);
            let id = parameters.text(id.as_str());
            sql::AFTER.replace("{entitled}", &entitled).replace("{id}", &id)
        });
        template.replace("{held}", &held).replace("{item}", &item).replace("{after}", &after)
    }
}

impl ReadModel {
    /// The access of a holder, and of their subscriptions those after a key, at most `limit`, in the
    /// order of [`AccessKey`]. All of it is of one moment.
    ///
    /// [`StoreError::ReadModelBuilding`] where no generation is live yet.
    pub async fn access(
        &self,
        question: &AccessQuestion,
        after: Option<&AccessKey>,
        limit: usize,
    ) -> Result<(GenerationStamp, AccessAnswer), StoreError> {
        let fill = |schema: &GenerationSchema, dialect: Dialect| {
            let mut parameters = Parameters::new(dialect, limit);
            let statement = question.fill(schema.access()?, after, &mut parameters);
            Ok((statement, parameters))
        };
        let (stamp, rows) = self.stamped(fill).await?;
        let first = &rows[0];
        let answer = AccessAnswer {
            grant: read_grant(first)?,
            incomplete: first.get(STAMP_COLUMNS + 2)?,
            rows: Vec::new(),
        };
        let is_none = first.get::<Option<&str>, _>(BEFORE_THE_PAGE)?.is_none();
        let page = rows.iter().skip(usize::from(is_none)).map(|row| read(row, BEFORE_THE_PAGE));
        Ok((stamp, AccessAnswer { rows: page.collect::<Result<_, _>>()?, ..answer }))
    }
}

/// Columns of [`sql::ACCESS`] before those of a subscription.
const BEFORE_THE_PAGE: usize = STAMP_COLUMNS + 3;

fn read_grant(row: &Row) -> Result<Grant, StoreError> {
    if row.get(STAMP_COLUMNS)? {
        return Ok(Grant::Endless);
    }
    Ok(row_values::instant(row, STAMP_COLUMNS + 1)?.map_or(Grant::None, Grant::Until))
}

pub(in crate::store) mod sql {
    /// The live generation, the answer over all of the subscriptions, and some of them.
    ///
    /// The greatest end decides, so the instant of asking is no parameter. `= TRUE`, because SQLite looks up a comparison in an index and not a bare column.
    pub(in crate::store) const ACCESS: &str = "SELECT g.id, g.position, g.folded_received_at,
                EXISTS (SELECT 1 FROM current_subscriptions_g{g} AS s WHERE {held} AND {item}
                    AND s.entitled = TRUE AND s.entitled_until IS NULL) AS endless,
                (SELECT max(s.entitled_until) FROM current_subscriptions_g{g} AS s WHERE {held} AND {item} AND s.entitled = TRUE) AS latest,
                EXISTS (SELECT 1 FROM current_subscriptions_g{g} AS s WHERE {held} AND s.items_truncated AND NOT {item}) AS incomplete,
                page.*
            FROM generations AS g LEFT JOIN (SELECT {columns} FROM {tables} WHERE {held} AND ({item} OR s.items_truncated){after}
                ORDER BY s.entitled DESC, s.subscription_id LIMIT CAST($1 AS bigint)) AS page ON TRUE
            WHERE g.status = 'live' ORDER BY page.entitled DESC, page.subscription_id";

    /// That a row comes after a key.
    pub(super) const AFTER: &str =
        " AND (s.entitled < {entitled} OR (s.entitled = {entitled} AND s.subscription_id > {id}))";
}
