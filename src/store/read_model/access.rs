//! Access of a user or customer. The database computes it over all of their subscriptions; the list of subscriptions is
//! paged.

use super::filter::{ItemFilter, Parameters};
use super::generation::GenerationStamp;
use super::handle::ReadModel;
use super::row_values;
use super::subscriptions::{STAMP_COLUMNS, read};
use crate::ids::{CustomerId, Scope, SubscriptionId};
use crate::projection::row::SubscriptionRow;
use crate::store::db::Row;
use crate::store::error::StoreError;
use crate::time::StripeTime;

/// Question about access: the holder, and the item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessQuestion {
    /// Account and mode.
    pub scope: Scope,
    /// User or customer.
    pub holder: AccessHolder,
    /// Item that a subscription must have.
    pub item: ItemFilter,
}

/// Holder of the subscriptions that grant access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessHolder {
    /// User of the application.
    User(String),
    /// Customer in Stripe.
    Customer(CustomerId),
}

/// Sort key of the listed subscriptions: first those that the policy grants access, then by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// True if the policy grants access.
    pub entitled: bool,
    /// Id of the subscription.
    pub id: SubscriptionId,
}

/// Answer to an [`AccessQuestion`].
#[derive(Clone, Debug, PartialEq)]
pub struct AccessAnswer {
    /// Access that all subscriptions grant together.
    pub grant: Grant,
    /// True if Stripe truncated the items of a subscription, and its known items do not include the item.
    pub incomplete: bool,
    /// Page of the subscriptions with the item, and of those that make the answer incomplete.
    pub rows: Vec<SubscriptionRow>,
}

/// Access that several subscriptions grant together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// No access.
    None,
    /// Access until this instant, which is the latest end.
    Until(StripeTime),
    /// Access without a known end.
    Endless,
}

impl Grant {
    /// True if access is granted at this instant.
    pub fn is_active_at(self, now: StripeTime) -> bool {
        match self {
            Self::None => false,
            Self::Until(end) => now < end,
            Self::Endless => true,
        }
    }

    /// Latest end. None if access has no end, or is not granted.
    pub fn until(self) -> Option<StripeTime> {
        match self {
            Self::Until(end) => Some(end),
            Self::None | Self::Endless => None,
        }
    }
}

impl AccessKey {
    /// Creates the key of a row.
    pub fn from_row(row: &SubscriptionRow) -> Self {
        Self { entitled: row.entitled, id: row.subscription_id.clone() }
    }
}

impl AccessQuestion {
    /// Fills the template of the statement.
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
        let livemode = parameters.bool(self.scope.livemode);
        let holder = parameters.text(holder);
        let held =
            format!("s.account = {account} AND s.livemode = {livemode} AND s.{column} = {holder}");
        let item = self.item.condition(parameters).unwrap_or_else(|| "TRUE".to_owned());
        let after = after.map_or_else(String::new, |AccessKey { entitled, id }| {
            let entitled = parameters.bool(*entitled);
            let id = parameters.text(id.as_str());
            sql::AFTER.replace("{entitled}", &entitled).replace("{id}", &id)
        });
        template.replace("{held}", &held).replace("{item}", &item).replace("{after}", &after)
    }
}

impl ReadModel {
    /// Reads the access of a holder, and at most `limit` of their subscriptions after a key, in the order of
    /// [`AccessKey`], all at one moment.
    ///
    /// [`StoreError::ReadModelBuilding`] if no generation is live.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn access(
        &self,
        question: &AccessQuestion,
        after: Option<&AccessKey>,
        limit: usize,
    ) -> Result<(GenerationStamp, AccessAnswer), StoreError> {
        let page = self.stamped(|schema, session| {
            let mut parameters = Parameters::new(session.dialect(), limit);
            let statement = question.fill(schema.access()?, after, &mut parameters);
            Ok(parameters.bind(session.query(statement)))
        });
        let (stamp, rows) = page.await?;
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

/// Number of columns of the statement before those of a subscription.
const BEFORE_THE_PAGE: usize = STAMP_COLUMNS + 3;

fn read_grant(row: &Row) -> Result<Grant, StoreError> {
    if row.get(STAMP_COLUMNS)? {
        return Ok(Grant::Endless);
    }
    Ok(row_values::instant(row, STAMP_COLUMNS + 1)?.map_or(Grant::None, Grant::Until))
}

mod sql {
    /// Condition that a row comes after a key.
    pub(super) const AFTER: &str =
        " AND (s.entitled < {entitled} OR (s.entitled = {entitled} AND s.subscription_id > {id}))";
}
