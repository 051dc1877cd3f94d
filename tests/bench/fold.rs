//! Benchmark of the fold: events per second on one core, and the share of reading JSON.
//!
//! Simulated bodies, in the order of their arrival. One run prints (a) parsing alone: the envelope, and
//! the object of a folded type into the borrowed structs that the fold reads it with; (b) understanding:
//! that, the facts that are kept, and the evidence of order; (c) the whole fold: that, joined into the
//! customers' states; (d) the rows of all customers at the end. The ratio of (c) to (a) is the figure
//! to watch; for comparison stands what it takes to skip through the JSON, and to read it into a tree.
//!
//! `cargo bench --bench fold`; `BENCH_SUBSCRIPTIONS` changes how many lives the events come from.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(missing_docs, reason = "a program, not a library")]

mod parse;

use std::collections::{HashMap, HashSet};
use std::hint::black_box;

use comfy_table::{Table, presets};
use serde::de::IgnoredAny;
use subledger::clock::Clock;
use subledger::ids::CustomerKey;
use subledger::projection::Logic;
use subledger::projection::observe::observe_as;
use subledger::projection::rows::rows;
use subledger::projection::state::CustomerState;
use subledger::simulate::{self, Delivery, Format, Plan};

/// The one that the program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Lives, of which each has some 45 events a year.
const SUBSCRIPTIONS: usize = 2_000;
/// Events in a batch, as many as the projector's.
const BATCH: usize = 4_096;
/// Of so many rounds, the fastest gives the rates and the one in the middle the ratios.
const ROUNDS: usize = 9;

fn main() -> anyhow::Result<()> {
    let subscriptions = match std::env::var("BENCH_SUBSCRIPTIONS") {
        Ok(number) => number.parse()?,
        Err(_) => SUBSCRIPTIONS,
    };
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["body", "", "events/s", "MB/s", "time of (a)"]);
    for format in [Format::Compact, Format::Indented] {
        let plan = Plan { subscriptions, format, ..Plan::default() };
        let events = simulate::deliver(simulate::simulate(&plan).events, &Delivery::default());
        let events: Vec<(String, String)> =
            events.into_iter().map(|event| (event.event_type, event.body)).collect();
        let each = |run: fn(&str, &str)| {
            let events = &events;
            move || events.iter().for_each(|(event_type, body)| run(event_type, body))
        };
        let bytes: usize = events.iter().map(|(_, body)| body.len()).sum();
        let size = bytes / events.len();
        let states = fold(&events);
        let logic = Logic::default();
        let figures: [(&str, &dyn Fn()); 6] = [
            ("(a) parsing", &each(parse::parse)),
            ("(b) understanding", &each(understand)),
            ("(c) folding", &|| drop(black_box(fold(&events)))),
            ("(d) rows at the end", &|| rows_of(&states, &logic)),
            ("skipping through", &each(skip)),
            ("a tree of values", &each(tree)),
        ];
        let seconds = rounds(&figures);
        for (at, (name, _)) in figures.iter().enumerate() {
            let fastest = seconds.iter().map(|round| round[at]).fold(f64::INFINITY, f64::min);
            let ratios = seconds.iter().map(|round| round[at] / round[0]);
            table.add_row([
                format!("{size} bytes"),
                (*name).to_owned(),
                per_second(events.len(), fastest, 1.0),
                per_second(bytes, fastest, 1e6),
                format!("{:.2}", median(ratios.collect())),
            ]);
        }
    }
    println!("{table}");
    Ok(())
}

/// The seconds of each figure, round by round: each ratio is of one round, so that what else the
/// machine does falls on both of its sides.
fn rounds(figures: &[(&str, &dyn Fn())]) -> Vec<Vec<f64>> {
    let time = |(_, run): &(&str, &dyn Fn())| {
        let stopwatch = Clock::stopwatch();
        run();
        stopwatch.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(|_| figures.iter().map(time).collect()).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn per_second(count: usize, seconds: f64, unit: f64) -> String {
    format!("{:.0}", count as f64 / seconds / unit)
}

/// Batch by batch, as the projector does: at the end of each, the states that it changed are settled as
/// they are before they are stored.
fn fold(events: &[(String, String)]) -> HashMap<CustomerKey, CustomerState> {
    let mut states: HashMap<CustomerKey, CustomerState> = HashMap::new();
    for batch in events.chunks(BATCH) {
        let mut changed = HashSet::new();
        for (event_type, body) in batch {
            let Ok(observation) = observe_as(event_type, body) else { continue };
            if let (Some(customer), Some(change)) = (observation.customer, observation.change) {
                if !changed.contains(&customer) {
                    changed.insert(customer.clone());
                }
                states.entry(customer).or_default().apply(change);
            }
        }
        for customer in &changed {
            states.get_mut(customer).map(CustomerState::materialize);
        }
    }
    states
}

fn rows_of(states: &HashMap<CustomerKey, CustomerState>, logic: &Logic) {
    for (key, state) in states {
        black_box(rows(key, state, logic));
    }
}

fn understand(event_type: &str, body: &str) {
    drop(black_box(observe_as(event_type, body)));
}

fn skip(_: &str, body: &str) {
    let _ = black_box(serde_json::from_str::<IgnoredAny>(body));
}

fn tree(_: &str, body: &str) {
    drop(black_box(serde_json::from_str::<serde_json::Value>(body)));
}
