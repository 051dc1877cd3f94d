//! Comparison of candidates with the read model: what says nothing new is not appended.

use std::collections::{BTreeSet, HashMap};

use super::candidate::Candidate;
use crate::ids::{CustomerKey, Scope};
use crate::projection::catalogue::{Catalogue, CatalogueEntry};
use crate::projection::effects::EventEffects;
use crate::projection::novelty::Novelty;
use crate::projection::state::CustomerState;
use crate::store::{GenerationTables, ReadModel, StoreError};

/// Outcome of a comparison.
#[derive(Default)]
pub(crate) struct Compared {
    /// Events, and observations that say something new.
    pub(crate) new: Vec<Candidate>,
    /// Number of objects that say nothing new.
    pub(crate) confirmed: u64,
}

/// Compares candidates with the live generation, which must have folded everything that was appended before.
pub(crate) async fn compare(
    read_model: &ReadModel,
    candidates: Vec<Candidate>,
) -> Result<Compared, StoreError> {
    let live = read_model.live().await?.ok_or(StoreError::ReadModelBuilding)?;
    let effects = || candidates.iter().filter_map(|it| it.effects.as_ref());
    let customers: BTreeSet<&CustomerKey> =
        effects().filter_map(EventEffects::changed_customer).collect();
    let customers: Vec<CustomerKey> = customers.into_iter().cloned().collect();
    let states = states_of(read_model, live.tables(), &customers).await?;
    let named = effects().filter_map(|it| it.catalogue.as_ref());
    let named: Vec<(Scope, &str)> = named.map(|it| (it.scope.clone(), it.id.as_str())).collect();
    let names = read_model.names(live.id, &named).await?;
    let mut compared = Compared::default();
    for candidate in candidates {
        let effects = candidate.effects.as_ref();
        let is_new =
            effects.is_none_or(|effects| novelty(effects, &states, &names) == Novelty::New);
        if is_new {
            compared.new.push(candidate);
        } else {
            compared.confirmed += 1;
        }
    }
    Ok(compared)
}

/// Folded states of customers, of those that have one.
pub(crate) async fn states_of(
    read_model: &ReadModel,
    tables: GenerationTables,
    customers: &[CustomerKey],
) -> Result<HashMap<CustomerKey, CustomerState>, StoreError> {
    let states = read_model.states(tables, customers).await?.into_iter();
    let read = states.map(|(key, bytes)| {
        let damaged = |_| {
            let what = format!("the state of {} cannot be read", key.customer);
            StoreError::ReadModelDamaged(what)
        };
        let state = postcard::from_bytes(&bytes).map_err(damaged)?;
        Ok((key, state))
    });
    read.collect()
}

fn novelty(
    effects: &EventEffects,
    states: &HashMap<CustomerKey, CustomerState>,
    names: &Catalogue,
) -> Novelty {
    if let Some(entry) = &effects.catalogue {
        return novelty_of_name(entry, names);
    }
    match (&effects.customer, &effects.change) {
        (Some(key), Some(change)) => match states.get(key) {
            Some(state) => state.novelty(change),
            None => CustomerState::default().novelty(change),
        },
        // A payment without a subscription, or a session of a guest, changes no row.
        _ => Novelty::Confirmed,
    }
}

fn novelty_of_name(seen: &CatalogueEntry, names: &Catalogue) -> Novelty {
    let Some((rank, name)) = names.get(&seen.scope, &seen.id) else { return Novelty::New };
    if name == seen.name.as_deref() && rank.deleted == seen.rank.deleted {
        Novelty::Confirmed
    } else if *rank >= seen.rank {
        Novelty::Outdated
    } else {
        Novelty::New
    }
}
