//! Table of users and their customers, from a CSV file.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use crate::cli::csv_table::CsvTable;
use crate::ids::{AccountId, CustomerId, CustomerKey, Scope};

const COLUMNS: [&str; 3] = ["user_id", "customer_id", "account"];
const USER: usize = 0;
const CUSTOMER: usize = 1;
const ACCOUNT: usize = 2;
/// Beginning of a customer's id.
const CUSTOMER_PREFIX: &str = "cus_";

/// User of each customer. None if the file says that the customer has none.
pub(super) type UserTable = BTreeMap<CustomerKey, Option<String>>;

/// Reads a whole file, or standard input for `-`. Each customer has one user.
pub(super) fn read(path: &Path, livemode: bool) -> anyhow::Result<UserTable> {
    let mut csv = CsvTable::open(path, &COLUMNS)?;
    for column in [USER, CUSTOMER] {
        if !csv.has(column) {
            return Err(csv.without_column(COLUMNS[column], "user_id,customer_id"));
        }
    }
    let mut users = UserTable::new();
    while let Some(row) = csv.next()? {
        let user = csv.id(&row, USER, COLUMNS[USER])?;
        let customer = csv.id(&row, CUSTOMER, COLUMNS[CUSTOMER])?;
        let account = csv.id(&row, ACCOUNT, COLUMNS[ACCOUNT])?;
        if customer.is_empty() {
            let hint = "leave out users that have no customer in Stripe";
            return Err(csv.wrong_row(&row, "`customer_id` is empty", hint));
        }
        if user.starts_with(CUSTOMER_PREFIX) && !customer.starts_with(CUSTOMER_PREFIX) {
            let message = "`user_id` is the id of a customer, and `customer_id` is not";
            return Err(csv.wrong_row(&row, message, "swap the names of the two columns"));
        }
        let scope = Scope { account: AccountId::new(account), livemode };
        let key = CustomerKey { scope, customer: CustomerId::new(customer) };
        let user = Some(user).filter(|user| !user.is_empty());
        match users.entry(key) {
            Entry::Vacant(place) => {
                place.insert(user);
            }
            Entry::Occupied(present) if *present.get() == user => {}
            Entry::Occupied(_) => {
                let message = "the customer has another user in a row before";
                return Err(csv.wrong_row(&row, message, "keep one row for each customer"));
            }
        }
    }
    Ok(users)
}
