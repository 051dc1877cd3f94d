//! Fresh fold of the log, compared with the states of the customers and the rows of every read model.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::RandomState;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::checked::{CheckedEntry, Checker};
use super::read_models::ExpectedRows;
use super::{VerifyReport, check_all, processors};
use crate::audit::beside_the_runtime;
use crate::ids::{CustomerKey, Position, Scope, SubscriptionId};
use crate::projection::catalogue::Catalogue;
use crate::projection::customers::{FoldedCustomer, FoldedCustomers};
use crate::projection::effects::{EventEffects, TimelineEntry};
use crate::projection::read_model::{Customer, RowMaker};
use crate::projection::row::SubscriptionRow;
use crate::projector::{can_fold, encode_state, logic_of};
use crate::store::{Store, StoreError, SubscriptionFilter, SubscriptionPages};
use crate::tree::Hash;

/// Rows that are compared at once.
const PAGE_ROWS: usize = 1_000;

/// Fold of the log from its beginning.
#[derive(Default)]
pub(super) struct FreshFold {
    /// Position of the last event that belongs to it.
    position: Position,
    customers: FoldedCustomers<EventCounts>,
    catalogue: Catalogue,
    /// Number of parked events of each subscription.
    parked: HashMap<(Scope, SubscriptionId), i64>,
}

/// Number of events of one customer, by subscription.
type EventCounts = BTreeMap<SubscriptionId, i64>;

/// Identity of a row.
type Identity = (CustomerKey, SubscriptionId);

impl FreshFold {
    /// Starts empty. The events up to this position are to be joined.
    pub(super) fn up_to(position: Position) -> Self {
        Self { position, ..Self::default() }
    }

    pub(super) fn join_all(&mut self, effects: impl IntoIterator<Item = EventEffects>) {
        for effects in effects {
            self.join(effects);
        }
    }

    fn join(&mut self, effects: EventEffects) {
        let EventEffects {
            timeline,
            customer,
            change,
            catalogue,
            parked,
            subscription: _,
            links: _,
            notes: _,
        } = effects;
        for TimelineEntry { customer, subscription, .. } in timeline {
            if let Some(subscription) = subscription {
                let count =
                    |counts: &mut EventCounts| *counts.entry(subscription).or_default() += 1;
                self.customers.update(customer, count);
            }
        }
        if let Some((scope, Some(subscription))) = parked.map(|it| (it.scope, it.subscription)) {
            *self.parked.entry((scope, subscription)).or_default() += 1;
        }
        if let Some(entry) = catalogue {
            self.catalogue.join(entry);
        }
        if let Some((key, change)) = customer.zip(change) {
            self.customers.join(key, change, 0, |_| 0);
        }
    }

    /// Compares it with the present rows, read in one transaction, and returns their number. None if no generation is
    /// live, if another program built it, or if its position is before this fold's.
    pub(super) async fn compare(
        mut self,
        store: &Store,
        report: &mut VerifyReport,
    ) -> Result<Option<i64>, StoreError> {
        let everything = SubscriptionFilter::default();
        let pages = store.read_model.subscription_pages(everything, None, PAGE_ROWS).await;
        let mut pages = match pages {
            Err(StoreError::ReadModelBuilding | StoreError::CannotOpen { .. }) => return Ok(None),
            pages => pages?,
        };
        let generations = store.read_model.generations().await?;
        let live = generations.iter().find(|it| it.id == pages.stamp.generation);
        let live = live.filter(|it| {
            can_fold(store.read_model.projections(), it) && pages.stamp.position >= self.position
        });
        let Some(live) = live else { return Ok(None) };
        self.follow(store, pages.stamp.position).await?;
        let ahead = self.pass(store, &mut pages).await?;
        let projections = store.read_model.projections();
        let maker = RowMaker { projections: projections.to_vec(), logic: logic_of(live)? };
        let Folded { mut rows, states, others } = self.finish(maker).await?;
        compare_states(&mut pages, states, &ahead, report).await?;
        others.compare(projections, &ahead, &mut pages, report).await?;
        let mut count = 0;
        loop {
            let page = pages.next().await?;
            if page.is_empty() {
                break;
            }
            for stored in page {
                count += 1;
                let identity = identity(&stored);
                let found = rows.remove(&identity);
                if !ahead.contains(&identity.0) {
                    compare(&stored, found.as_ref(), report);
                }
            }
        }
        pages.end().await?;
        for (_, row) in rows.into_iter().filter(|((customer, _), _)| !ahead.contains(customer)) {
            report.find(None, format!("{}: its row is missing", row.subscription_id));
        }
        Ok(Some(count))
    }

    /// Folds the events that the read model has folded meanwhile.
    async fn follow(&mut self, store: &Store, to: Position) -> Result<(), StoreError> {
        let checker = Arc::new(Checker { verifier: None, folded: to, keys: RandomState::new() });
        let mut chunks = check_all(&store.log, self.position, to, &checker);
        while let Some(chunk) = chunks.try_next().await? {
            for event in chunk {
                match event {
                    CheckedEntry::Event(event) => self.join_all(event.effects),
                    CheckedEntry::Damaged(_, effects) => self.join_all(effects),
                }
            }
        }
        self.position = to;
        Ok(())
    }

    /// Passes over the events that the fold layer has folded and the generation has not: a follower or a rebuild is about
    /// to. Returns their customers, whose rows and states may be either those before or those after these events.
    async fn pass(
        &mut self,
        store: &Store,
        pages: &mut SubscriptionPages,
    ) -> Result<BTreeSet<CustomerKey>, StoreError> {
        let (mut ahead, to) = (BTreeSet::new(), pages.layer_position().await?);
        if to <= self.position {
            return Ok(ahead);
        }
        let checker = Arc::new(Checker { verifier: None, folded: to, keys: RandomState::new() });
        let mut chunks = check_all(&store.log, self.position, to, &checker);
        while let Some(chunk) = chunks.try_next().await? {
            for entry in chunk {
                let effects = match entry {
                    CheckedEntry::Event(event) => event.effects.into_iter().collect(),
                    CheckedEntry::Damaged(_, effects) => effects,
                };
                for effects in effects {
                    ahead.extend(effects.changed_customer().cloned());
                    ahead.extend(effects.timeline.iter().map(|entry| entry.customer.clone()));
                    // Names and parked events are joined into every row.
                    self.join(EventEffects { customer: None, change: None, ..effects });
                }
            }
        }
        Ok(ahead)
    }

    /// Computes the rows and the hashes of the states on all processors.
    async fn finish(self, maker: RowMaker) -> Result<Folded, StoreError> {
        let mut customers = self.customers.take_all().into_iter();
        let shared = Arc::new((maker, self.catalogue, self.parked));
        let each = customers.len().div_ceil(processors()).max(1);
        let parts = std::iter::from_fn(|| {
            let part: Vec<_> = customers.by_ref().take(each).collect();
            let shared = Arc::clone(&shared);
            (!part.is_empty()).then(|| beside_the_runtime(move || finish(part, &shared)))
        });
        let parts = futures_util::future::try_join_all(parts).await?;
        let mut folded = Folded::default();
        for part in parts {
            let Folded { rows, states, others } = part?;
            folded.rows.extend(rows);
            folded.states.extend(states);
            folded.others.extend(others);
        }
        Ok(folded)
    }
}

/// Expected content of the read model.
#[derive(Default)]
struct Folded {
    rows: BTreeMap<Identity, SubscriptionRow>,
    /// Hashes of the stored forms of the states.
    states: BTreeMap<CustomerKey, Hash>,
    /// Rows of all other tables of the read models.
    others: ExpectedRows,
}

/// Rows of these customers, with the names of what they bought and the numbers of their events, and the hashes of their
/// states.
fn finish(
    customers: Vec<FoldedCustomer<EventCounts>>,
    (maker, catalogue, parked): &(RowMaker, Catalogue, HashMap<(Scope, SubscriptionId), i64>),
) -> Result<Folded, StoreError> {
    let (mut folded, mut made) = (Folded::default(), maker.nothing());
    for FoldedCustomer { key, state, extra: events, .. } in customers {
        let Some(mut state) = state else { continue };
        state.materialize();
        folded.states.insert(key.clone(), hash_of(&encode_state(&state)?));
        let customer = Customer::new(&key, &state, &maker.logic);
        maker.add_customer(&customer, &mut made);
        for mut row in customer.subscriptions().iter().cloned() {
            catalogue.apply_names(&mut row);
            let id = row.subscription_id.clone();
            row.event_count = events.get(&id).copied().unwrap_or_default();
            row.parked = parked.get(&(key.scope.clone(), id)).copied().unwrap_or_default();
            folded.rows.insert(identity(&row), row);
        }
    }
    folded.others.add(&maker.projections, made);
    Ok(folded)
}

/// Compares the stored states with those of the fresh fold.
async fn compare_states(
    pages: &mut SubscriptionPages,
    mut folded: BTreeMap<CustomerKey, Hash>,
    ahead: &BTreeSet<CustomerKey>,
    report: &mut VerifyReport,
) -> Result<(), StoreError> {
    folded.retain(|key, _| !ahead.contains(key));
    let mut after = CustomerKey::default();
    loop {
        let page = pages.states_after(&after, PAGE_ROWS).await?;
        let Some((last, _)) = page.last() else { break };
        after.clone_from(last);
        for (key, state) in page.into_iter().filter(|(key, _)| !ahead.contains(key)) {
            if let Some(message) =
                difference(folded.remove(&key).as_ref(), &hash_of(&state), "state")
            {
                report.find(None, format!("{}: {message}", key.customer));
            }
        }
    }
    for key in folded.into_keys() {
        report.find(None, format!("{}: its state is missing", key.customer));
    }
    Ok(())
}

/// Difference of a stored value from that of the fresh fold, if there is one.
fn difference<V: PartialEq>(folded: Option<&V>, stored: &V, name: &str) -> Option<String> {
    match folded {
        Some(folded) if folded == stored => None,
        Some(_) => Some(format!("a fresh fold of the log differs in the {name}")),
        None => Some(format!("the log gives no {name}")),
    }
}

fn hash_of(state: &[u8]) -> Hash {
    Sha256::digest(state).into()
}

fn identity(row: &SubscriptionRow) -> Identity {
    let SubscriptionRow { account, livemode, customer_id, subscription_id, .. } = row;
    let scope = Scope { account: account.clone(), livemode: *livemode };
    (CustomerKey { scope, customer: customer_id.clone() }, subscription_id.clone())
}

fn compare(stored: &SubscriptionRow, folded: Option<&SubscriptionRow>, report: &mut VerifyReport) {
    let id = &stored.subscription_id;
    match folded {
        None => report.find(None, format!("{id}: the log knows no such subscription")),
        Some(folded) if folded != stored => {
            let fields = differing_fields(stored, folded).join(", ");
            report.find(None, format!("{id}: a fresh fold of the log differs in {fields}"));
        }
        Some(_) => {}
    }
}

fn differing_fields(a: &SubscriptionRow, b: &SubscriptionRow) -> Vec<&'static str> {
    let (a, b) = (a.to_values(), b.to_values());
    let columns = SubscriptionRow::COLUMNS.iter().zip(a.iter().zip(&b));
    columns.filter(|(_, (a, b))| a != b).map(|(column, _)| column.name).collect()
}
