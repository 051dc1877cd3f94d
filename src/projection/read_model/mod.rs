//! Read models: tables whose rows are made from the states of customers.
//!
//! A read model is a folder `projections/<name>/` with the statements that create its tables, one module that implements
//! [`Projection`], and one line in [`PROJECTIONS`]. Creating, writing, indexing, comparing, verifying and dropping its
//! tables follow from their [`Definition`].

mod made;
mod table;

use std::cell::OnceCell;
use std::fmt;

use sha2::{Digest as _, Sha256};

pub(crate) use made::join;
pub use made::{MadeRows, RowMaker};
pub use table::{Definition, Row, RowsFrom, Table};

use super::row::SubscriptionRow;
use super::state::CustomerState;
use super::{Logic, rows};
use crate::ids::CustomerKey;

/// Read models of this program.
pub static PROJECTIONS: Projections =
    &[&super::current_subscriptions::CurrentSubscriptions, &super::user_access::AccessOfUsers];

/// List of read models, each with a name and tables of its own.
pub type Projections = &'static [&'static dyn Projection];

/// Projection: makes the rows of one read model. Its functions are pure: equal states and rules give equal rows.
pub trait Projection: fmt::Debug + Send + Sync {
    /// Name of the read model, which is that of its folder.
    fn name(&self) -> &'static str;

    /// Version of its logic. Raise it with every change that can change its rows, and [`FOLD_VERSION`](super::FOLD_VERSION)
    /// with every change that can change a state or the rows of several read models.
    fn version(&self) -> i64;

    /// Definition of its tables.
    fn definition(&self) -> Definition;

    /// Rules that its rows depend on.
    fn rules(&self) -> Rules;

    /// Makes the rows of a customer. `to` has an empty list for each table of the definition, in that order; those of
    /// [joined](RowsFrom::Joined) tables stay empty.
    ///
    /// An error parks the customer in this read model alone. It says what is wrong, without personal data.
    fn make(&self, customer: &Customer<'_>, to: &mut [Vec<Row>]) -> Result<(), String>;

    /// Joins rows into the row of a [joined](RowsFrom::Joined) table. They have equal values in that table's key, and the
    /// order of [`Table::columns`] of the table that they come from. None if they give no row.
    fn join(&self, table: &Table, rows: Vec<Row>) -> Result<Option<Row>, String> {
        let _ = (table, rows);
        Ok(None)
    }
}

/// Rules that the rows of a read model depend on, besides the states. A change of one of them makes the rows anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// True if the rows depend on the policy.
    pub policy: bool,
    /// True if the rows depend on the metadata keys that hold the application's user id.
    pub user_keys: bool,
}

impl Rules {
    /// Policy and user keys.
    pub const ALL: Self = Self { policy: true, user_keys: true };
}

/// Customer whose rows are made.
#[derive(Debug)]
pub struct Customer<'a> {
    /// Account, mode and id.
    pub key: &'a CustomerKey,
    /// State, as the events say it.
    pub state: &'a CustomerState,
    /// Rules of the generation.
    pub logic: &'a Logic,
    subscriptions: OnceCell<Vec<SubscriptionRow>>,
}

impl<'a> Customer<'a> {
    /// Customer with a state, by these rules.
    pub const fn new(key: &'a CustomerKey, state: &'a CustomerState, logic: &'a Logic) -> Self {
        Self { key, state, logic, subscriptions: OnceCell::new() }
    }

    /// Subscriptions of the customer, computed once for all read models.
    pub fn subscriptions(&self) -> &[SubscriptionRow] {
        self.subscriptions.get_or_init(|| rows::rows(self.key, self.state, self.logic))
    }
}

/// Fingerprint of a read model by this version of the fold and these rules. Equal fingerprints mean equal rows of equal
/// states.
pub fn fingerprint(
    projection: &dyn Projection,
    fold_version: i64,
    policy: &str,
    user_keys: &str,
) -> String {
    let Definition { sqlite, postgres, .. } = projection.definition();
    let rules = projection.rules();
    let policy = if rules.policy { policy } else { "" };
    let user_keys = if rules.user_keys { user_keys } else { "" };
    let versions = format!("{fold_version} {}", projection.version());
    let mut hash = Sha256::new();
    for part in [&versions, projection.name(), sqlite, postgres, policy, user_keys] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(&hash.finalize()[..8])
}
