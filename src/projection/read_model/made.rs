//! Making of rows: of one customer in all read models, and of what is joined from them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Customer, Projection, Row, Table};
use crate::ids::CustomerKey;
use crate::projection::Logic;
use crate::projection::state::CustomerState;

/// Reason that is kept where the program failed. The text of a panic may hold personal data.
const PANICKED: &str = "the program failed on its state: report this";

/// Rows that read models make of customers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeRows {
    /// Read model.
    pub read_model: &'static str,
    /// Customers whose rows these are, each once.
    pub customers: Vec<CustomerKey>,
    /// Rows of each table, in the order of the definition.
    pub tables: Vec<Vec<Row>>,
    /// Customers whose rows cannot be made, and the reasons.
    pub parked: Vec<(CustomerKey, String)>,
}

impl MadeRows {
    /// No rows yet.
    pub fn new(projection: &dyn Projection) -> Self {
        let tables = projection.definition().tables.iter().map(|_| Vec::new()).collect();
        let read_model = projection.name();
        Self { read_model, customers: Vec::new(), tables, parked: Vec::new() }
    }

    /// True if no customer has rows in it, and none is parked.
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty() && self.parked.is_empty()
    }

    /// Adds the rows of a customer, or parks the customer.
    fn add(&mut self, projection: &dyn Projection, customer: &Customer<'_>) {
        let mut made: Vec<Vec<Row>> = self.tables.iter().map(|_| Vec::new()).collect();
        let rows = || projection.make(customer, &mut made);
        match catch_unwind(AssertUnwindSafe(rows)) {
            Ok(Ok(())) => {
                self.customers.push(customer.key.clone());
                for (all, of_customer) in self.tables.iter_mut().zip(made) {
                    all.extend(of_customer);
                }
            }
            Ok(Err(reason)) => self.parked.push((customer.key.clone(), reason)),
            Err(_) => self.parked.push((customer.key.clone(), PANICKED.to_owned())),
        }
    }
}

/// Maker of the rows of read models by the rules of one generation.
#[derive(Clone, Debug)]
pub struct RowMaker {
    /// Read models.
    pub projections: Vec<&'static dyn Projection>,
    /// Rules.
    pub logic: Logic,
}

impl RowMaker {
    /// No rows yet, for each read model.
    pub fn nothing(&self) -> Vec<MadeRows> {
        self.projections.iter().map(|it| MadeRows::new(*it)).collect()
    }

    /// Adds the rows of a customer in each read model. `to` comes from [`Self::nothing`]. A customer whose rows cannot be
    /// made in one read model is parked there, and has rows in the others.
    pub fn add(&self, key: &CustomerKey, state: &CustomerState, to: &mut [MadeRows]) {
        self.add_customer(&Customer::new(key, state, &self.logic), to);
    }

    /// Like [`Self::add`], for a customer with this logic, whose subscriptions the caller needs as well.
    pub fn add_customer(&self, customer: &Customer<'_>, to: &mut [MadeRows]) {
        for (projection, made) in self.projections.iter().zip(to) {
            made.add(*projection, customer);
        }
    }
}

/// Joins rows into the row of a joined table, and parks nobody: an error says what is wrong.
pub(crate) fn join(
    projection: &dyn Projection,
    table: &Table,
    rows: Vec<Row>,
) -> Result<Option<Row>, String> {
    catch_unwind(AssertUnwindSafe(|| projection.join(table, rows)))
        .unwrap_or_else(|_| Err(PANICKED.to_owned()))
}
