//! Simulator of Stripe: events of whole subscription lives, and their expected final state.
//!
//! A [`Plan`] holds the size and the seed. [`simulate`] returns the events in true order and the expected final
//! state. [`deliver`] puts the events into an order in which they might arrive. [`sign`](fn@sign) signs a body as
//! Stripe does. The same plan always gives the same bytes: there is no clock, no global state, and no randomness
//! but the seed's.
//!
//! | module | contents |
//! | --- | --- |
//! | `objects` | Stripe's objects, rendered at each API version |
//! | `recorder` | clocks, and the events so far |
//! | `stage` | one subscription with its invoices, payments and schedules |
//! | `acts` | events in the life of a subscription, such as a renewal |
//! | `script` | random choice of acts, until a subscription or the simulated time ends |
//! | `life` | the subscriptions of one person |
//! | `shop` | the catalogue of products and prices |
//! | `truth` | expected final state, from the objects and not from the events |
//! | `kept` | final objects, which [`serve`] shows |
//! | [`serve`] | Stripe's API over HTTP |
//!
//! Events of one second can be ordered by a reader of all of them: by the chain of `previous_attributes`, by the
//! status, or because the order makes no difference.

mod acts;
mod changes;
mod delivery;
mod dice;
mod features;
mod kept;
mod life;
mod load;
mod objects;
mod recorder;
mod script;
pub mod serve;
mod shop;
mod sign;
mod stage;
#[cfg(test)]
mod tests;
mod thin;
mod truth;
mod version;
mod wire;

pub use delivery::{Delivery, Order, deliver};
pub use life::Life;
pub use load::bench_events;
pub use objects::event::SimulatedEvent;
pub use sign::sign;
pub use thin::thin_twin;
pub use truth::catalogue::TrueName;
pub use truth::planned::{TrueChange, TrueItem};
pub use truth::{TruePause, TruthRow};
pub use version::{ApiVersion, Versions};
pub use wire::Format;

use std::collections::BTreeSet;

use crate::time::StripeTime;
use dice::Dice;

/// Parameters of a simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Seed of all random choices.
    pub seed: u64,
    /// Number of subscriptions.
    pub subscriptions: usize,
    /// Length in months of thirty days, at most [`MAX_MONTHS`].
    pub months: u32,
    /// API versions at which events are rendered.
    pub api_version: Versions,
    /// Version whose features of Stripe are simulated. `None`: the version at which a life begins.
    pub era: Option<ApiVersion>,
    /// Start of the simulated time.
    pub start: StripeTime,
    /// White space of bodies.
    pub format: Format,
    /// Share of the subscriptions with more items than Stripe embeds in an object, in parts of a hundred.
    pub wide_percent: u64,
}

/// Greatest length of a simulation: a hundred years.
pub const MAX_MONTHS: u32 = 1_200;

/// Events of a plan in true order, and the expected final state.
#[derive(Clone, Debug, Default)]
pub struct Simulation {
    /// Events, the earliest first.
    pub events: Vec<SimulatedEvent>,
    /// One row for each subscription that had an event, by account, mode and id.
    pub truth: Vec<TruthRow>,
    /// Final names of the products and prices of each account and mode.
    pub catalogue: Vec<TrueName>,
}

impl Default for Plan {
    /// A hundred subscriptions over a year from 1 January 2026.
    fn default() -> Self {
        Self {
            seed: 1,
            subscriptions: 100,
            months: 12,
            api_version: Versions::Mixed,
            era: None,
            start: StripeTime(1_767_225_600),
            format: Format::Indented,
            wide_percent: 0,
        }
    }
}

impl Plan {
    /// The newer of version and era: an older shape cannot express everything that happens.
    fn no_older(&self, version: ApiVersion) -> ApiVersion {
        self.era.map_or(version, |era| era.max(version))
    }
}

/// Simulates a plan in memory.
pub fn simulate(plan: &Plan) -> Simulation {
    let mut simulation = Simulation::default();
    for life in lives(plan) {
        simulation.events.extend(life.events);
        simulation.truth.extend(life.truth);
        simulation.catalogue.extend(life.catalogue);
    }
    simulation.catalogue.sort();
    simulation.events.sort_by_key(|event| event.created);
    simulation.truth.sort_by(|a, b| {
        let key = |row: &TruthRow| (row.account.clone(), row.livemode, row.subscription_id.clone());
        key(a).cmp(&key(b))
    });
    simulation
}

/// Lives of a plan one by one, for plans that do not fit into memory. Each life is in true order; lives overlap in
/// time. The catalogue of an account and mode comes before its first customer.
pub fn lives(plan: &Plan) -> impl Iterator<Item = Life> {
    let for_shops = plan.clone();
    let mut shops = BTreeSet::new();
    customers(plan).flat_map(move |life| {
        let first = life.events.first();
        let scope = first.map(|event| (event.account.clone(), event.livemode));
        let new = scope.filter(|scope| shops.insert(scope.clone()));
        let shop =
            new.map(|(account, livemode)| shop::simulate_catalogue(&for_shops, &account, livemode));
        shop.into_iter().chain([life])
    })
}

/// Lives of the customers.
fn customers(plan: &Plan) -> impl Iterator<Item = Life> {
    let plan = plan.clone();
    let mut remaining = plan.subscriptions;
    let mut sizes = Dice::new(plan.seed, u64::MAX - 1);
    (0_u64..).map_while(move |number| {
        let wanted = sizes.weighted(&[(75, 1), (18, 2), (7, 3)]);
        let subscriptions = usize::min(wanted, remaining);
        remaining -= subscriptions;
        (subscriptions > 0).then(|| life::simulate_person(&plan, number, subscriptions))
    })
}

/// Short life of one person, of 5 to 40 events at any version, for tests that try many.
pub fn small_history(seed: u64) -> Life {
    const EVENTS: std::ops::RangeInclusive<usize> = 5..=40;
    let plan =
        Plan { seed, subscriptions: 100, months: 4, format: Format::Compact, ..Plan::default() };
    customers(&plan).find(|life| EVENTS.contains(&life.events.len())).unwrap_or_default()
}
