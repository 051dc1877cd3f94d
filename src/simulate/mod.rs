//! A Stripe of our own: whole lives of subscriptions as signed events, with the truth known.
//!
//! A [`Plan`] says how much and from which seed; [`simulate`] returns the events in true order and
//! what is true at the end; [`deliver`] brings them into an order in which they might arrive;
//! [`sign`](fn@sign) signs a body as Stripe does. The same plan gives the same bytes, always: there is no
//! clock, no global state, and no chance but the seed's.
//!
//! How it is made, from the inside out: `objects` are Stripe's objects and how each version renders
//! them, `recorder` writes their snapshots down as time goes by, `stage` is where one subscription
//! lives, `acts` are what can happen to it, `script` composes a life of acts, `life` puts the
//! subscriptions of a person side by side, and `truth` tells from the objects what is so.
//!
//! Whatever shares a second can be put in order by who reads all of it: by the chain of
//! `previous_attributes`, by the status, or because it makes no difference.

mod acts;
mod changes;
mod delivery;
mod dice;
mod features;
mod life;
mod load;
mod objects;
mod recorder;
mod script;
mod shop;
mod sign;
mod stage;
#[cfg(test)]
mod tests;
mod truth;
mod version;
mod wire;

pub use delivery::{Delivery, Order, deliver};
pub use life::Life;
pub use load::bench_events;
pub use objects::event::SimulatedEvent;
pub use shop::TrueName;
pub use sign::sign;
pub use truth::planned::{TrueChange, TrueItem};
pub use truth::{TruePause, TruthRow};
pub use version::{ApiVersion, Versions};
pub use wire::Format;

use std::collections::BTreeSet;

use crate::time::StripeTime;
use dice::Dice;

/// What to simulate.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How many subscriptions in all.
    pub subscriptions: usize,
    /// How long, in months of thirty days; no longer than [`MAX_MONTHS`].
    pub months: u32,
    /// At which API versions events are rendered.
    pub api_version: Versions,
    /// What can happen: only what Stripe had at this version. Without one, what it had at the
    /// version that a life begins with.
    pub era: Option<ApiVersion>,
    /// When it begins.
    pub start: StripeTime,
    /// How bodies are written.
    pub format: Format,
}

/// The longest simulation: a hundred years.
pub const MAX_MONTHS: u32 = 1_200;

/// The events of a plan, in true order, and what is true at the end.
#[derive(Clone, Debug, Default)]
pub struct Simulation {
    /// Every event, the earliest first.
    pub events: Vec<SimulatedEvent>,
    /// One row for each subscription that had an event, by account, mode and id.
    pub truth: Vec<TruthRow>,
    /// What the products and prices of each account and mode are called at the end.
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
        }
    }
}

impl Plan {
    /// The version, or the era where it is newer: an older shape could not tell what happens.
    fn no_older(&self, version: ApiVersion) -> ApiVersion {
        self.era.map_or(version, |era| era.max(version))
    }
}

/// All lives of a plan at once.
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

/// The lives of a plan one by one, for plans that do not fit into memory. Each life is in true
/// order by itself; together they overlap in time. Before the first customer of an account and mode
/// comes the life of its shop.
pub fn lives(plan: &Plan) -> impl Iterator<Item = Life> {
    let of_shops = plan.clone();
    let mut open = BTreeSet::new();
    people(plan).flat_map(move |life| {
        let first = life.events.first();
        let scope = first.map(|event| (event.account.clone(), event.livemode));
        let new = scope.filter(|scope| open.insert(scope.clone()));
        let shop = new.map(|(account, livemode)| shop::open(&of_shops, &account, livemode));
        shop.into_iter().chain([life])
    })
}

/// The lives of the customers.
fn people(plan: &Plan) -> impl Iterator<Item = Life> {
    let plan = plan.clone();
    let mut left = plan.subscriptions;
    let mut sizes = Dice::new(plan.seed, u64::MAX - 1);
    (0_u64..).map_while(move |number| {
        let wanted = sizes.weighted(&[(75, 1), (18, 2), (7, 3)]);
        let subscriptions = usize::min(wanted, left);
        left -= subscriptions;
        (subscriptions > 0).then(|| life::live(&plan, number, subscriptions))
    })
}

/// One person's short life, of 5 to 40 events, for tests that try many: any of the scripts, at
/// any version.
pub fn small_history(seed: u64) -> Life {
    const EVENTS: std::ops::RangeInclusive<usize> = 5..=40;
    let plan =
        Plan { seed, subscriptions: 100, months: 4, format: Format::Compact, ..Plan::default() };
    people(&plan).find(|life| EVENTS.contains(&life.events.len())).unwrap_or_default()
}
