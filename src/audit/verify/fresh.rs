//! The fold of the log from nothing, held against the rows of the read model.

use std::collections::{BTreeMap, HashMap};

use super::Report;
use super::checked::Folding;
use crate::ids::{CustomerKey, Position};
use crate::projection::catalogue::Catalogue;
use crate::projection::row::SubscriptionRow;
use crate::projection::state::CustomerState;
use crate::projection::{Logic, rows};
use crate::projector::{can_fold, logic_of};
use crate::store::{Store, StoreError, SubscriptionFilter};

/// Changes until the evidence of order in them is read. Many are superseded before, and need never be.
const UNSETTLED_MAX: usize = 1 << 15;

/// The fold of the log from nothing, up to where the live generation stands.
pub(super) struct FreshFold {
    logic: Logic,
    until: Position,
    stored: Vec<SubscriptionRow>,
    states: HashMap<CustomerKey, CustomerState>,
    /// The customers that were changed and not settled since.
    unsettled: Vec<CustomerKey>,
    catalogue: Catalogue,
}

impl FreshFold {
    /// Nothing yet, to be compared with the rows as they are now. None where there are none, or where
    /// another program made them.
    pub(super) async fn of_live(store: &Store) -> Result<Option<Self>, StoreError> {
        let everything = SubscriptionFilter::default();
        let rows = store.read_model.subscriptions(&everything, None, usize::MAX).await;
        let (stamp, stored) = match rows {
            Err(StoreError::ReadModelBuilding) => return Ok(None),
            rows => rows?,
        };
        let generations = store.read_model.generations().await?;
        // One that was dropped meanwhile has nothing to compare with either.
        let of_rows = generations.iter().find(|generation| generation.id == stamp.generation);
        let Some(of_rows) = of_rows.filter(|it| can_fold(it)) else { return Ok(None) };
        Ok(Some(Self {
            logic: logic_of(of_rows)?,
            until: stamp.position,
            stored,
            states: HashMap::new(),
            unsettled: Vec::new(),
            catalogue: Catalogue::default(),
        }))
    }

    /// The last event that the rows hold.
    pub(super) const fn until(&self) -> Position {
        self.until
    }

    pub(super) fn join(&mut self, Folding { change, catalogue }: Folding) {
        catalogue.into_iter().for_each(|entry| self.catalogue.join(entry));
        if let Some((key, change)) = change {
            self.states.entry(key.clone()).or_default().add(change);
            self.unsettled.push(key);
        }
        if self.unsettled.len() >= UNSETTLED_MAX {
            self.settle();
        }
    }

    /// Reads the evidence of order in what was joined, and lets its text go.
    fn settle(&mut self) {
        self.unsettled.sort_unstable();
        self.unsettled.dedup();
        for key in self.unsettled.drain(..) {
            self.states.get_mut(&key).into_iter().for_each(CustomerState::settle);
        }
    }

    /// Compares, and says how many rows there were.
    pub(super) fn compare(mut self, report: &mut Report) -> i64 {
        self.settle();
        let identity = |row: &SubscriptionRow| {
            let SubscriptionRow { account, livemode, customer_id, subscription_id, .. } = row;
            (account.clone(), *livemode, customer_id.clone(), subscription_id.clone())
        };
        let folded = self.states.iter().flat_map(|(key, s)| rows::rows(key, s, &self.logic));
        let mut folded: BTreeMap<_, _> = folded
            .map(|mut row| {
                self.catalogue.name(&mut row);
                (identity(&row), row)
            })
            .collect();
        let count = self.stored.len();
        for mut stored in self.stored {
            let id = stored.subscription_id.clone();
            // What the view counts is not folded.
            (stored.parked, stored.event_count) = (0, 0);
            match folded.remove(&identity(&stored)) {
                None => report.find(None, format!("{id}: the log knows no such subscription")),
                Some(row) if row != stored => {
                    let fields = differing_fields(&stored, &row).join(", ");
                    report.find(None, format!("{id}: a fresh fold of the log differs in {fields}"));
                }
                Some(_) => {}
            }
        }
        for row in folded.into_values() {
            report.find(None, format!("{}: its row is missing", row.subscription_id));
        }
        i64::try_from(count).unwrap_or(i64::MAX)
    }
}

fn differing_fields(a: &SubscriptionRow, b: &SubscriptionRow) -> Vec<&'static str> {
    let (a, b) = (a.to_values(), b.to_values());
    let columns = SubscriptionRow::COLUMNS.iter().zip(a.iter().zip(&b));
    columns.filter(|(_, (a, b))| a != b).map(|(column, _)| column.name).collect()
}
