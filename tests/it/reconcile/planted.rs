//! Drift that is planted: what the ledger heard, what the API lists, and the class of each customer.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};
use subledger::projection::row::SubscriptionRow;
use subledger::reconcile::Class;
use subledger::simulate::serve::{Options, SimulatedStripe};
use subledger::simulate::{Plan, SimulatedEvent, simulate, thin_twin};
use subledger::time::StripeTime;

use crate::order::{rows_of, tell_all};

/// Age in seconds at which an event is not on its way any more, with a margin.
const SURELY_OLD: i64 = 600;
/// Age in seconds up to which Stripe lists an event.
const LISTED_SECONDS: i64 = 30 * 86_400;
/// Way in which a ledger is made to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plant {
    /// The last events were lost.
    Lost { is_listed: bool },
    /// The last events happened just now.
    Young,
    /// All events were lost, and none is listed.
    AllLost,
    /// The last event cannot be folded.
    Parked,
    /// The last events arrived as thin ones.
    Thin { is_listed: bool },
    /// The deletion of the customer was lost.
    DeletionLost,
    /// The user was another one.
    OtherUser,
    /// An event of the last second, whose place in it cannot be known.
    Rival,
    /// Nothing was lost.
    Nothing,
}

/// Plants of customers of which nothing else is special.
const CYCLE: [Plant; 12] = [
    Plant::Lost { is_listed: true },
    Plant::Nothing,
    Plant::Young,
    Plant::AllLost,
    Plant::Lost { is_listed: false },
    Plant::Parked,
    Plant::Thin { is_listed: true },
    Plant::Nothing,
    Plant::OtherUser,
    Plant::Rival,
    Plant::Thin { is_listed: false },
    Plant::Nothing,
];

/// Replacements of listed events, by id. None for one that is not listed.
type Listing = HashMap<String, Option<SimulatedEvent>>;

/// Planted drift.
pub(super) struct Planted {
    pub(super) stripe: SimulatedStripe,
    /// Bodies that the ledger hears.
    pub(super) heard: Vec<String>,
    /// Class of the differences of each customer.
    pub(super) classes: BTreeMap<String, Class>,
    /// Subscriptions of which the ledger heard nothing and the API lists nothing: they are unknown, whatever the
    /// class of the customer.
    pub(super) unheard: BTreeSet<String>,
    /// Subscriptions of which only the user differs, and no event is listed that says why.
    pub(super) user_only: BTreeSet<String>,
    /// Class of each subscription that must be found.
    pub(super) expected: BTreeMap<String, Class>,
    /// Rows of a ledger that heard everything.
    pub(super) true_rows: Vec<SubscriptionRow>,
}

/// Customer with its events.
struct Customer<'a> {
    events: Vec<&'a SimulatedEvent>,
    true_rows: Vec<SubscriptionRow>,
}

/// Outcome of a plant.
#[derive(Default)]
struct Outcome {
    heard: Vec<String>,
    /// Bodies that can be folded.
    folded: Vec<String>,
    listing: Listing,
}

impl Planted {
    pub(super) fn new(plan: &Plan) -> Self {
        let simulated = simulate(plan);
        let nobody = Plan { subscriptions: 0, ..plan.clone() };
        let now = SimulatedStripe::new(&nobody, Options::default()).now();
        let (mut customers, mut others) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
        for event in &simulated.events {
            match customer_of(event) {
                Some(customer) => customers.entry(customer).or_default().push(event),
                None => others.push(event.body.clone()),
            }
        }
        let mut planted = Self {
            stripe: SimulatedStripe::new(&nobody, Options::default()),
            heard: others,
            classes: BTreeMap::new(),
            unheard: BTreeSet::new(),
            user_only: BTreeSet::new(),
            expected: BTreeMap::new(),
            true_rows: rows_of(&tell_all(simulated.events.iter().map(|it| it.body.as_str()))),
        };
        let (mut listing, mut turn) = (Listing::new(), 0);
        for (id, events) in customers {
            let true_rows = rows_of(&tell_all(events.iter().map(|it| it.body.as_str())));
            let customer = Customer { events, true_rows };
            let (plant, class) = customer.choose(&mut turn, now);
            let outcome = customer.plant(plant, now);
            let rows = rows_of(&tell_all(outcome.folded.iter().map(String::as_str)));
            if plant == Plant::Rival && !rows.iter().any(|row| row.order_ambiguous) {
                // Something else says which was the last one.
                planted.heard.extend(customer.events.iter().map(|it| it.body.clone()));
                continue;
            }
            if let Some(class) = class {
                // If nothing was heard and nothing is listed, nothing says that a delivery was missed.
                if class == Class::MissedDelivery && customer.last_is_unlisted(plant, now) {
                    planted.unheard.extend(customer.unheard(&rows));
                    planted.user_only.extend(customer.of_another_user(&rows));
                }
                planted.classes.insert(id, class);
                planted.expected.extend(customer.differing(&rows).map(|id| (id, class)));
            }
            planted.heard.extend(outcome.heard);
            listing.extend(outcome.listing);
        }
        planted.add_gone(5 + plan.subscriptions / 100);
        planted.stripe = SimulatedStripe::with_events(plan, Options::default(), |event| {
            match listing.get(&event.id) {
                None => true,
                Some(None) => false,
                Some(Some(edited)) => {
                    *event = edited.clone();
                    true
                }
            }
        });
        planted
    }

    fn add_gone(&mut self, count: usize) {
        for number in 0..count {
            let (subscription, customer) =
                (format!("sub_gone{number}"), format!("cus_gone{number}"));
            let body = json!({
                "id": format!("evt_gone{number}"), "object": "event", "livemode": true,
                "type": "customer.subscription.updated", "created": 1_767_300_000,
                "data": {"object": {"id": subscription, "object": "subscription",
                    "customer": customer, "status": "active"}},
            });
            self.heard.push(body.to_string());
            self.classes.insert(customer, Class::GoneAtStripe);
            self.expected.insert(subscription, Class::GoneAtStripe);
        }
    }
}

impl Customer<'_> {
    /// Plant, and class of the differences that it makes.
    fn choose(&self, turn: &mut usize, now: StripeTime) -> (Plant, Option<Class>) {
        let has = |is: &dyn Fn(&SubscriptionRow) -> bool| self.true_rows.iter().any(is);
        let last = self.events.iter().map(|it| it.created).max().unwrap_or_default();
        let unlisted = Plant::Lost { is_listed: false };
        if has(&|row| row.items_truncated || row.features_truncated) {
            let class = if has(&|row| row.test_clock_id.is_some()) {
                Class::TestClock
            } else {
                Class::CutList
            };
            return (Plant::Nothing, Some(class));
        }
        if self.true_rows.is_empty() || last > now.0 - SURELY_OLD {
            return (Plant::Nothing, None);
        }
        if has(&|row| row.test_clock_id.is_some()) {
            return (unlisted, Some(Class::TestClock));
        }
        if self.events.iter().any(|it| it.event_type == "customer.deleted") {
            return (Plant::DeletionLost, Some(Class::DeletedCustomer));
        }
        if has(&|row| row.status.starts_with("incomplete")) {
            if has(&|row| !row.status.starts_with("incomplete")) {
                return (Plant::Nothing, None);
            }
            return (Plant::AllLost, Some(Class::AbandonedCheckout));
        }
        let plant = CYCLE[*turn % CYCLE.len()];
        *turn += 1;
        let class = match plant {
            Plant::Lost { .. } => Class::MissedDelivery,
            Plant::Young => Class::NotYetDelivered,
            Plant::AllLost => Class::UnknownHere,
            Plant::Parked => Class::Parked,
            Plant::Thin { .. } => Class::ThinNotFetched,
            Plant::OtherUser => Class::UserDiffers,
            Plant::Rival => Class::AmbiguousOrder,
            Plant::DeletionLost | Plant::Nothing => return (plant, None),
        };
        (plant, Some(class))
    }

    /// Second of the last event of a subscription.
    fn last_second(&self) -> i64 {
        let own = self.events.iter().filter(|it| is_own(it));
        own.map(|it| it.created).max().unwrap_or(i64::MAX)
    }

    /// True if the last events are lost, and too old to be listed or planted so.
    fn last_is_unlisted(&self, plant: Plant, now: StripeTime) -> bool {
        match plant {
            Plant::Lost { is_listed } => !is_listed || self.last_second() < now.0 - LISTED_SECONDS,
            _ => false,
        }
    }

    fn plant(&self, plant: Plant, now: StripeTime) -> Outcome {
        let mut outcome = Outcome::default();
        let last_second = self.last_second();
        let deletion = self.events.iter().find(|it| it.event_type == "customer.deleted");
        let deletion = deletion.map_or(i64::MAX, |it| it.created);
        let users: Vec<&str> =
            self.true_rows.iter().filter_map(|row| row.user_id.as_deref()).collect();
        let mut young = 0;
        for &event in &self.events {
            let is_last = event.created >= last_second;
            match plant {
                Plant::Lost { is_listed: false } if is_last => outcome.unlist(event),
                Plant::AllLost => outcome.unlist(event),
                Plant::Lost { is_listed: true } if is_last => {}
                Plant::DeletionLost if event.created >= deletion => {}
                Plant::Young if is_last => {
                    young += 1;
                    let created = now.0 - 100 + young.min(90);
                    let edited = edited(event, |body| body["created"] = created.into());
                    let edited = SimulatedEvent { created, ..edited };
                    outcome.listing.insert(event.id.clone(), Some(edited));
                }
                Plant::Parked if is_last && is_own(event) => {
                    let parked = edited(event, |body| body["data"]["object"]["status"] = 7.into());
                    outcome.heard.push(parked.body);
                }
                Plant::Thin { is_listed } if is_last => {
                    // A summary of features has no id, so there is no thin event of it.
                    let Some(thin) = thin_twin(event) else {
                        outcome.hear(event.body.clone());
                        continue;
                    };
                    outcome.heard.push(thin.body);
                    if !is_listed {
                        outcome.unlist(event);
                    }
                }
                Plant::OtherUser => {
                    let body = users.iter().fold(event.body.clone(), |body, user| {
                        body.replace(user, &format!("former_{user}"))
                    });
                    outcome.hear(body);
                }
                Plant::Rival if is_last && event.event_type == "customer.subscription.updated" => {
                    let alone = |body: &mut Value| {
                        body["data"].as_object_mut().unwrap().remove("previous_attributes");
                    };
                    outcome.hear(edited(event, alone).body);
                    let rival = edited(event, |body| {
                        alone(body);
                        body["id"] = format!("{}z", event.id).into();
                        let quantity = &mut body["data"]["object"]["items"]["data"][0]["quantity"];
                        *quantity = (quantity.as_i64().unwrap_or(1) + 7).into();
                    });
                    outcome.hear(rival.body);
                }
                _ => outcome.hear(event.body.clone()),
            }
        }
        outcome
    }

    /// Subscriptions that are not among these rows.
    fn unheard(&self, rows: &[SubscriptionRow]) -> impl Iterator<Item = String> {
        let heard = |row: &&SubscriptionRow| {
            rows.iter().any(|it| it.subscription_id == row.subscription_id)
        };
        self.true_rows
            .iter()
            .filter(move |row| !heard(row))
            .map(|row| row.subscription_id.to_string())
    }

    /// Subscriptions of which a ledger with these rows knows another user, and everything else.
    fn of_another_user(&self, rows: &[SubscriptionRow]) -> Vec<String> {
        let ignored = &["user_id", "user_id_source", "user_id_conflict", "metadata"];
        let otherwise: BTreeSet<_> = self.differing_beside(rows, ignored).collect();
        let user_in = |rows: &[SubscriptionRow], id: &str| {
            let row = rows.iter().find(|row| row.subscription_id.as_str() == id);
            row.map(|row| row.user_id.clone())
        };
        let is_of_another = |id: &String| {
            !otherwise.contains(id) && user_in(rows, id) != user_in(&self.true_rows, id)
        };
        self.differing(rows).filter(is_of_another).collect()
    }

    /// Subscriptions of which a ledger with these rows differs in what the API shows.
    fn differing(&self, rows: &[SubscriptionRow]) -> impl Iterator<Item = String> {
        self.differing_beside(rows, &[])
    }

    /// Like [`Self::differing`], without these fields.
    fn differing_beside(
        &self,
        rows: &[SubscriptionRow],
        ignored: &'static [&'static str],
    ) -> impl Iterator<Item = String> {
        const OF_EVENTS: [&str; 16] = [
            "api_version",
            "last_event_at",
            "last_event_id",
            "order_ambiguous",
            "payment_failed_at",
            "past_due_since",
            "event_count",
            "observed_at",
            "product_name",
            "price_nickname",
            "items",
            "features",
            "cancellation_reason",
            "paused_reason",
            "next_payment_attempt",
            "email",
        ];
        let content = |row: &SubscriptionRow| {
            let mut row = serde_json::to_value(row).unwrap();
            for name in OF_EVENTS.iter().chain(ignored).copied() {
                row.as_object_mut().unwrap().remove(name);
            }
            row
        };
        let rows: HashMap<_, _> =
            rows.iter().map(|row| (row.subscription_id.clone(), content(row))).collect();
        let differs = |row: &&SubscriptionRow| {
            // Of a subscription that is over nobody asks for the features.
            row.items_truncated
                || (row.features_truncated && row.ended_at.is_none())
                || rows.get(&row.subscription_id) != Some(&content(row))
        };
        let differing: Vec<String> = (self.true_rows.iter().filter(differs))
            .map(|row| row.subscription_id.to_string())
            .collect();
        differing.into_iter()
    }
}

impl Outcome {
    fn hear(&mut self, body: String) {
        self.folded.push(body.clone());
        self.heard.push(body);
    }

    fn unlist(&mut self, event: &SimulatedEvent) {
        self.listing.insert(event.id.clone(), None);
    }
}

/// True for an event of a subscription itself.
fn is_own(event: &SimulatedEvent) -> bool {
    event.event_type.starts_with("customer.subscription.")
}

fn edited(event: &SimulatedEvent, edit: impl FnOnce(&mut Value)) -> SimulatedEvent {
    let mut body: Value = event.body.parse().unwrap();
    edit(&mut body);
    SimulatedEvent { body: body.to_string(), ..event.clone() }
}

fn customer_of(event: &SimulatedEvent) -> Option<String> {
    let body: Value = event.body.parse().unwrap();
    let object = &body["data"]["object"];
    let id = if object["object"] == "customer" { &object["id"] } else { &object["customer"] };
    let id = id.as_str().or(object["customer_account"].as_str())?;
    Some(id.to_owned())
}
