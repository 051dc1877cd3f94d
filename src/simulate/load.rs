//! Load for benchmarks: any number of distinct events of a realistic size, at little cost.

use super::dice::Dice;
use super::objects::Home;
use super::objects::customer::Customer;
use super::objects::event::SimulatedEvent;
use super::objects::subscription::Status;
use super::recorder::{Endpoint, Recorder};
use super::stage::{Naming, Stage};
use super::version::ApiVersion;
use super::wire::Format;

/// `customer.subscription.updated` events, spread over a number of customers (at least one).
///
/// Each is a renewal, about 3.9 KB compact and 6.1 KB indented; `created` rises.
pub fn bench_events(
    count: usize,
    customers: usize,
    format: Format,
) -> impl Iterator<Item = SimulatedEvent> {
    let mut stages: Vec<Stage> =
        (0..customers.max(1)).map(|number| stage(number, format)).collect();
    (0..count).filter_map(move |index| {
        let number = index % stages.len();
        let stage = &mut stages[number];
        let item = &mut stage.subscription.items[0];
        item.roll();
        stage.subscription.latest_invoice = Some(stage.recorder.id("in"));
        stage.recorder.resume_at(START + i64::try_from(index).unwrap_or(0));
        stage.send_updated();
        stage.recorder.events.pop()
    })
}

/// 2026-01-01.
const START: i64 = 1_767_225_600;

fn stage(number: usize, format: Format) -> Stage {
    let endpoint = Endpoint {
        account: String::new(),
        livemode: true,
        era: ApiVersion::Acacia,
        version: ApiVersion::Acacia,
        upgrade: None,
        second: None,
        format,
    };
    let dice = Dice::new(number as u64, 0);
    let recorder = Recorder::new(dice, endpoint, (START, START), false);
    let customer = Customer {
        id: format!("cus_bench{number:09}"),
        created: START,
        email: format!("bench{number}@shop.example"),
        name: "Bench".to_owned(),
        currency: Some("usd"),
        default_payment_method: None,
        metadata: super::objects::Metadata::new(),
        home: Home { livemode: true, test_clock: None },
    };
    let user_id = format!("user_{number:06}");
    let naming =
        Naming { subscription_metadata: Some(user_id.clone()), user_id, ..Naming::default() };
    let mut stage = Stage::new(recorder, customer, naming, false);
    stage.subscription.items.truncate(1);
    // Metadata as applications write it: the body gets a realistic size.
    for key in ["workspace", "signup_source", "sales_region", "contract", "referrer", "cost_centre"]
    {
        let value = format!("{key}-{number:012}-{}", stage.recorder.dice.letters(10));
        stage.subscription.metadata.insert(key.to_owned(), value);
    }
    stage.subscription.status = Status::Active;
    // An update holds the previous values, so there must be a snapshot before it.
    stage.send("customer.subscription.created");
    stage.recorder.events.clear();
    stage
}
