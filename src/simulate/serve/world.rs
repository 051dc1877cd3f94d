//! Final state of all lives of a plan, by account and mode.

use std::collections::BTreeMap;

use super::collection::{Collection, Group, Listed};
use crate::simulate::kept::{CatalogueObjects, CustomerObjects, TestClock};
use crate::simulate::objects::checkout_session::CheckoutSession;
use crate::simulate::objects::customer::Customer;
use crate::simulate::objects::event::SimulatedEvent;
use crate::simulate::objects::features::Features;
use crate::simulate::objects::invoice::Invoice;
use crate::simulate::objects::price;
use crate::simulate::objects::product::{Offer, Product};
use crate::simulate::objects::schedule::Schedule;
use crate::simulate::objects::subscription::Subscription;

/// Objects of one account and mode.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) events: Collection<EventRow>,
    pub(super) customers: Collection<CustomerRow>,
    pub(super) subscriptions: Collection<Subscription>,
    pub(super) invoices: Collection<Invoice>,
    pub(super) sessions: Collection<CheckoutSession>,
    pub(super) schedules: Collection<Schedule>,
    pub(super) products: Collection<Product>,
    pub(super) prices: Collection<Offer>,
    pub(super) clocks: Collection<TestClock>,
}

/// Event, rendered when it was created.
pub(super) struct EventRow {
    pub(super) id: String,
    pub(super) event_type: String,
    pub(super) created: i64,
    pub(super) body: String,
}

/// Customer with its features.
pub(super) struct CustomerRow {
    pub(super) customer: Customer,
    pub(super) features: Features,
    pub(super) is_deleted: bool,
}

/// Objects by account (empty for the platform's own) and mode.
pub(super) type Shelves = BTreeMap<(String, bool), Shelf>;

/// Objects of one account and mode while they are gathered.
#[derive(Default)]
struct Gathered {
    events: Vec<EventRow>,
    customers: Vec<CustomerRow>,
    subscriptions: Vec<Subscription>,
    invoices: Vec<Invoice>,
    sessions: Vec<CheckoutSession>,
    schedules: Vec<Schedule>,
    products: Vec<Product>,
    prices: Vec<Offer>,
    clocks: Vec<TestClock>,
}

/// Gathers the objects of lives.
#[derive(Default)]
pub(super) struct Gatherer(BTreeMap<(String, bool), Gathered>);

impl Gatherer {
    fn of(&mut self, account: &str, livemode: bool) -> &mut Gathered {
        self.0.entry((account.to_owned(), livemode)).or_default()
    }

    /// Adds an event with a snapshot.
    pub(super) fn add_event(&mut self, event: SimulatedEvent) {
        let row = EventRow {
            body: delivered(event.body),
            id: event.id,
            event_type: event.event_type,
            created: event.created,
        };
        self.of(&event.account, event.livemode).events.push(row);
    }

    /// Adds the objects of a customer.
    pub(super) fn add_customer(&mut self, objects: CustomerObjects) {
        let gathered = self.of(&objects.account, objects.customer.home.livemode);
        gathered.customers.push(CustomerRow {
            is_deleted: objects.deleted_at.is_some(),
            customer: objects.customer,
            features: objects.features,
        });
        gathered.subscriptions.extend(objects.subscriptions);
        gathered.invoices.extend(objects.invoices);
        gathered.sessions.extend(objects.sessions);
        gathered.schedules.extend(objects.schedules);
        let Some(clock) = objects.clock else { return };
        // The customers of one person share a clock, and come one after the other.
        match gathered.clocks.last_mut().filter(|last| last.id == clock.id) {
            Some(last) => {
                last.created = last.created.min(clock.created);
                last.frozen_time = last.frozen_time.max(clock.frozen_time);
            }
            None => gathered.clocks.push(clock),
        }
    }

    /// Adds the objects of a catalogue.
    pub(super) fn add_catalogue(&mut self, objects: CatalogueObjects) {
        let gathered = self.of(&objects.account, objects.livemode);
        gathered.products.extend(objects.products);
        gathered.prices.extend(objects.prices);
    }

    /// Sorts and indexes what was added.
    pub(super) fn into_shelves(self) -> Shelves {
        let shelf = |gathered: Gathered| Shelf {
            events: Collection::new(gathered.events),
            customers: Collection::new(gathered.customers),
            subscriptions: Collection::new(gathered.subscriptions),
            invoices: Collection::new(gathered.invoices),
            sessions: Collection::new(gathered.sessions),
            schedules: Collection::new(gathered.schedules),
            products: Collection::new(gathered.products),
            prices: Collection::new(gathered.prices),
            clocks: Collection::new(gathered.clocks),
        };
        self.0.into_iter().map(|(scope, gathered)| (scope, shelf(gathered))).collect()
    }
}

/// Body of an event that no endpoint waits for any longer.
fn delivered(mut body: String) -> String {
    const KEY: &str = "\"pending_webhooks\":";
    if let Some(start) = body.rfind(KEY).map(|at| at + KEY.len()) {
        let length = body[start..].find(',').unwrap_or(0);
        body.replace_range(start..start + length, "0");
    }
    body.shrink_to_fit();
    body
}

macro_rules! listed {
    ($type:ty, $row:ident => $id:expr, $created:expr $(, $group:ident: $key:expr)* $(,)?) => {
        impl Listed for $type {
            const GROUPS: &'static [Group] = &[$(Group::$group),*];

            fn id(&self) -> &str {
                let $row = self;
                &$id
            }

            fn created(&self) -> i64 {
                let $row = self;
                let _ = $row;
                $created
            }

            fn group(&self, group: Group) -> Option<&str> {
                let $row = self;
                let _ = $row;
                match group {
                    $(Group::$group => $key,)*
                    #[allow(unreachable_patterns, reason = "a type may have all groups")]
                    _ => None,
                }
            }
        }
    };
}

listed!(EventRow, it => it.id, it.created);
listed!(CustomerRow, it => it.customer.id, it.customer.created,
    TestClock: it.customer.home.test_clock.as_deref());
listed!(Subscription, it => it.id, it.created,
    Customer: Some(&it.customer), TestClock: it.home.test_clock.as_deref());
listed!(Invoice, it => it.id, it.created,
    Customer: Some(&it.customer), Subscription: Some(&it.subscription));
listed!(CheckoutSession, it => it.id, it.created,
    Customer: it.customer.as_ref().map(|customer| customer.id.as_str()),
    Subscription: it.subscription.as_deref());
listed!(Schedule, it => it.id, it.created, Customer: Some(&it.customer));
listed!(Product, it => it.id, it.created);
listed!(Offer, it => it.price.id, price::CREATED);
listed!(TestClock, it => it.id, it.created);
