//! One person's life as a customer: accounts, customers, and their subscriptions side by side.

use super::dice::Dice;
use super::kept::{CatalogueObjects, CustomerObjects, TestClock};
use super::objects::customer::Customer;
use super::objects::event::SimulatedEvent;
use super::objects::features::Features;
use super::objects::other::{loyalty_tier, thin_event};
use super::objects::subscription::{STATUS_DETAILS_SINCE, Status};
use super::objects::{Home, Metadata};
use super::recorder::{Act, Endpoint, Recorder, Tracked};
use super::stage::{Naming, Stage};
use super::truth::catalogue::TrueName;
use super::truth::{self, TruthRow};
use super::version::{ApiVersion, Versions};
use super::{MAX_MONTHS, Plan};
use super::{features, script};
use crate::time::StripeTime;

const DAY: i64 = 86_400;
/// Connected accounts of the platform.
const ACCOUNTS: [&str; 3] =
    ["acct_1SimBakery00001", "acct_1SimCinema00002", "acct_1SimGarage00003"];

/// Events of a person or a catalogue in true order, and the expected final state.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// Events, the earliest first.
    pub events: Vec<SimulatedEvent>,
    /// One row for each subscription that had an event.
    pub truth: Vec<TruthRow>,
    /// Final names of products and prices; only in the life of a catalogue.
    pub catalogue: Vec<TrueName>,
    /// Final objects of the person's customers.
    pub(super) customers: Vec<CustomerObjects>,
    /// Final objects of a catalogue.
    pub(super) shop: Option<CatalogueObjects>,
}

/// Random properties of a person, drawn before the first event.
struct Person {
    endpoint: Endpoint,
    naming: Naming,
    customer_metadata: UserInMetadata,
    test_clock: Option<String>,
    end: i64,
}

/// Time at which the user id is written into the customer's metadata.
#[derive(Clone, Copy)]
enum UserInMetadata {
    Never,
    AtOnce,
    Later,
}

/// Customer with its own clock and its subscriptions.
struct SimulatedCustomer {
    recorder: Recorder,
    customer: Tracked<Customer>,
    features: Tracked<Features>,
    stages: Vec<Stage>,
    deleted_at: Option<i64>,
}

/// Simulates a person with a number of subscriptions.
pub(super) fn simulate_person(plan: &Plan, number: u64, subscriptions: usize) -> Life {
    let mut dice = Dice::new(plan.seed, number);
    let person = Person::draw(plan, number, &mut dice);
    let customers = if subscriptions > 1 && dice.percent(35) { 2 } else { 1 };
    let mut life = Life::default();
    for index in 0..customers {
        let share = (subscriptions + index) / customers;
        let customer = SimulatedCustomer::play(plan, &person, &mut dice, share);
        life.truth.extend(customer.truth());
        let (events, objects) = customer.into_parts();
        life.events.extend(events);
        life.customers.extend(objects);
    }
    life.events.sort_by_key(|event| event.created);
    life
}

impl Person {
    fn draw(plan: &Plan, number: u64, dice: &mut Dice) -> Self {
        let StripeTime(start) = plan.start;
        let end = start + i64::from(plan.months.min(MAX_MONTHS)) * 30 * DAY + 12 * 3_600;
        let version = match plan.api_version {
            Versions::One(version) => version,
            Versions::Mixed => plan.no_older(*dice.pick(&ApiVersion::MIXED)),
        };
        let upgrade = (plan.api_version == Versions::Mixed && dice.percent(15))
            .then(|| (dice.between(start, end), *dice.pick(&ApiVersion::MIXED)))
            .filter(|(_, newer)| *newer > version);
        let second = match plan.api_version {
            Versions::Mixed if upgrade.is_none() => draw_second(dice, version),
            _ => None,
        };
        let account = if dice.percent(12) { *dice.pick(&ACCOUNTS) } else { "" };
        let livemode = dice.percent(85);
        let has_test_clock = !livemode && dice.percent(50);
        // A connected account may write any id, also that of a user of the platform.
        let user = if account.is_empty() { number } else { dice.below(number + 1) };
        let mut naming = draw_naming(dice, format!("user_{user:05}"));
        let era = plan.era.unwrap_or(version);
        naming.restrict_to(era);
        let has_test_clock = has_test_clock && era >= ApiVersion::V2020;
        Self {
            endpoint: Endpoint {
                account: account.to_owned(),
                livemode,
                era,
                version,
                upgrade: upgrade.filter(|_| !has_test_clock),
                second,
                format: plan.format,
            },
            naming,
            customer_metadata: dice.weighted(&[
                (60, UserInMetadata::Never),
                (20, UserInMetadata::AtOnce),
                (20, UserInMetadata::Later),
            ]),
            test_clock: has_test_clock.then(|| format!("clock_1{}", dice.letters(23))),
            end,
        }
    }
}

/// Version of a second endpoint, which some accounts have while they move to a newer version. Only versions with the
/// same information are drawn: the expected state must not depend on the order of the two bodies.
fn draw_second(dice: &mut Dice, version: ApiVersion) -> Option<ApiVersion> {
    let has_one = dice.percent(25);
    let newer: Vec<ApiVersion> = ApiVersion::MIXED
        .into_iter()
        .filter(|newer| version >= ApiVersion::Acacia && *newer > version)
        .filter(|newer| *newer < STATUS_DETAILS_SINCE)
        .collect();
    (has_one && !newer.is_empty()).then(|| *dice.pick(&newer))
}

impl Naming {
    /// Removes the sources that Stripe did not have at the time.
    fn restrict_to(&mut self, era: ApiVersion) {
        self.subscription_metadata.take_if(|_| era < ApiVersion::V2018);
        self.client_reference &= era >= ApiVersion::V2020;
        self.session_metadata &= era >= ApiVersion::V2020;
    }
}

fn draw_naming(dice: &mut Dice, user_id: String) -> Naming {
    let subscription_metadata = if dice.percent(35) { Some(user_id.clone()) } else { None };
    // Sometimes an application confuses its users.
    let subscription_metadata =
        subscription_metadata.map(|id| if dice.percent(5) { format!("{id}_old") } else { id });
    Naming {
        user_id,
        subscription_metadata,
        client_reference: dice.percent(40),
        session_metadata: dice.percent(15),
    }
}

impl SimulatedCustomer {
    fn play(plan: &Plan, person: &Person, dice: &mut Dice, subscriptions: usize) -> Self {
        let StripeTime(start) = plan.start;
        let window = person.end - start;
        // Most stay long enough for something to happen; some are new.
        let arrival = match dice.below(100) {
            0..82 => start + dice.between(0, window * 6 / 10),
            82..96 => start + dice.between(0, window - 2 * DAY),
            _ => person.end - dice.between(3_600, DAY),
        };
        let deletion = dice.percent(8).then(|| arrival + dice.between(5 * DAY, window));
        let until = deletion.unwrap_or(person.end).min(person.end);
        let mut recorder = person.recorder(dice, (arrival, until));
        let mut customer = person.customer(&mut recorder);
        recorder.send("customer.created", &mut customer);
        customer.currency = Some("usd");
        recorder.send("customer.updated", &mut customer);
        let stages = (0..subscriptions)
            .map(|index| {
                let later = if index == 0 { 0 } else { dice.between(1, 40) * DAY };
                let own = person.recorder(dice, (arrival + later, until));
                let naming = person.naming_of(dice, index);
                let wide = plan.wide_percent > 0 && dice.percent(plan.wide_percent);
                let mut stage = Stage::new(own, Customer::clone(&customer), naming, wide);
                script::play(&mut stage);
                stage
            })
            .collect();
        let features = features::no_features(&customer);
        let mut simulated = Self { recorder, customer, features, stages, deleted_at: None };
        // The end of the simulated time may cut this off.
        let _ = simulated.update_customer(person);
        if person.endpoint.era >= ApiVersion::V2020 {
            let _ = features::grant(&mut simulated.recorder, &mut simulated.features);
        }
        if deletion.is_some_and(|at| at < person.end) {
            simulated.delete_customer();
        }
        simulated
    }

    /// Later changes of the customer: the application writes its user id, an e-mail address changes.
    fn update_customer(&mut self, person: &Person) -> Act {
        if self.recorder.dice.percent(10) {
            let tier =
                loyalty_tier(self.recorder.short_id("loy"), self.recorder.now(), &self.customer);
            self.recorder.send_once("customer.loyalty_tier.reached", tier);
        }
        let days = self.recorder.dice.between(1, 30);
        self.recorder.wait(days * DAY)?;
        if matches!(person.customer_metadata, UserInMetadata::Later) {
            let user = person.naming.user_id.clone();
            self.customer.metadata.insert("user_id".to_owned(), user);
            self.recorder.send("customer.updated", &mut self.customer);
        }
        if self.recorder.dice.percent(3) && self.recorder.endpoint.era >= ApiVersion::V2020 {
            self.recorder.send_thin_event();
        }
        self.recorder.wait(5 * DAY)?;
        if self.recorder.dice.percent(10) {
            self.customer.email = format!("new-{}", self.customer.email);
            self.recorder.send("customer.updated", &mut self.customer);
        }
        Act::Continue(())
    }

    /// Deletes the customer, which ends its subscriptions. Usually they send events too.
    fn delete_customer(&mut self) {
        let latest = self.stages.iter().map(|stage| stage.recorder.wall()).max();
        let at = latest.unwrap_or(0).max(self.recorder.wall()) + DAY;
        self.recorder.resume_at(at);
        let lost = self.recorder.dice.percent(25);
        let deleted = self.recorder.send("customer.deleted", &mut self.customer);
        self.deleted_at = Some(deleted.created);
        for stage in &mut self.stages {
            // A debt ends with the subscription, so the event of a past-due one is never lost.
            if stage.is_running() && !(lost && stage.subscription.status != Status::PastDue) {
                stage.recorder.resume_at(at);
                // The script is over already.
                let _ = stage.end(None);
            }
        }
    }

    fn truth(&self) -> Vec<TruthRow> {
        let sessions: Vec<_> = self.stages.iter().flat_map(|stage| &stage.sessions).collect();
        let of_customer = (&self.customer, &self.features);
        self.stages
            .iter()
            .filter_map(|stage| truth::row(stage, of_customer, &sessions, self.deleted_at))
            .collect()
    }

    /// Events, and the final objects.
    fn into_parts(self) -> (Vec<SimulatedEvent>, Option<CustomerObjects>) {
        let Self { recorder, customer, features, stages, deleted_at } = self;
        let frozen = stages.iter().map(|stage| stage.recorder.now()).chain([recorder.now()]).max();
        let account = recorder.endpoint.account.clone();
        let mut events = recorder.events;
        let mut objects = customer.into_sent().zip(features.into_sent()).map(|of_customer| {
            let clock = TestClock::of(&of_customer.0, frozen.unwrap_or_default());
            CustomerObjects::new(account, of_customer, deleted_at, clock)
        });
        for stage in stages {
            events.extend(match &mut objects {
                Some(objects) => objects.take(stage),
                None => stage.recorder.events,
            });
        }
        (events, objects)
    }
}

impl Person {
    fn recorder(&self, dice: &mut Dice, times: (i64, i64)) -> Recorder {
        let own = Dice::new(dice.next(), 0);
        Recorder::new(own, self.endpoint.clone(), times, self.test_clock.is_some())
    }

    fn customer(&self, recorder: &mut Recorder) -> Tracked<Customer> {
        const NAMES: [&str; 6] =
            ["Ada Byron", "Bo Öberg", "Chinua O'Hara", "Dana \"D\" Kim", "Émile Zöe", "李 雷"];
        let id = recorder.short_id("cus");
        let mut metadata = Metadata::new();
        if matches!(self.customer_metadata, UserInMetadata::AtOnce) {
            metadata.insert("user_id".to_owned(), self.naming.user_id.clone());
        }
        Tracked::new(Customer {
            created: recorder.now(),
            email: format!("{}@shop.example", id[4..].to_ascii_lowercase()),
            name: (*recorder.dice.pick(&NAMES)).to_owned(),
            currency: None,
            default_payment_method: None,
            metadata,
            home: Home { livemode: self.endpoint.livemode, test_clock: self.test_clock.clone() },
            id,
        })
    }

    /// Sources of the user id of one subscription. A second one often has none.
    fn naming_of(&self, dice: &mut Dice, index: usize) -> Naming {
        if index > 0 && dice.percent(60) {
            return Naming { user_id: self.naming.user_id.clone(), ..Naming::default() };
        }
        self.naming.clone()
    }
}

impl Recorder {
    /// Sends a v2 event: it has no snapshot, and its time is text.
    fn send_thin_event(&mut self) {
        let id = format!("evt_test_65{}", self.dice.letters(24));
        let instant = StripeTime(self.wall()).to_string().replace('Z', ".417Z");
        let body = thin_event(&id, &instant, self.endpoint.livemode);
        self.events.push(SimulatedEvent {
            id,
            account: String::new(),
            livemode: self.endpoint.livemode,
            event_type: "v1.billing.meter.error_report_triggered".to_owned(),
            created: self.wall(),
            body: body.to_body(self.endpoint.format),
            second_body: None,
            losable: false,
        });
    }
}
