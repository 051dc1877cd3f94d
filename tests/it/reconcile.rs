//! Reconciliation against a simulated Stripe whose truth is known.

mod planted;
mod run_once;
mod runs;

use std::collections::{BTreeMap, BTreeSet};

use subledger::projection::row::SubscriptionRow;
use subledger::reconcile::{Class, Difference, Report};
use subledger::simulate::Plan;
use subledger::simulate::serve::{Options, SimulatedStripe};

use crate::backfill::comparison::Known;
use crate::backfill::world::{Losses, World};
use crate::ledger::{append_bodies, open, rows};
use planted::Planted;
use runs::reconcile_all;

/// No losses.
const NONE: Losses = Losses { days_before: 0, outage: 0..0, percent: 0 };

fn differences(reports: &[Report]) -> Vec<&Difference> {
    reports.iter().flat_map(|it| &it.differences).collect()
}

/// Number in an environment variable, for a proof by hand: 10,000 subscriptions and 20 seeds.
fn parameter(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_heard_everything_differs_in_nothing() {
    for seed in [3, 4] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        let plan = Plan { seed, subscriptions: 120, months: 5, ..Plan::default() };
        let world = World::of(&plan, SimulatedStripe::new(&plan, Options::default())).await;
        world.hear(&store, &NONE).await;
        let size = store.log.head().await.unwrap().size;
        let reports = reconcile_all(&world, &store, true).await;
        // Events have ten features at most, and the API has all.
        let wrong = differences(&reports);
        let wrong: Vec<_> = wrong.iter().filter(|it| it.class != Class::CutList).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(reports.iter().map(|it| it.compared).sum::<u64>() > 100);
        if reports.iter().all(|it| it.differing == 0) {
            assert_eq!(store.log.head().await.unwrap().size, size);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_drift_is_named_right_and_healed_and_then_nothing_differs() {
    let subscriptions = parameter("SUBLEDGER_DRIFT_SUBSCRIPTIONS", 350);
    let mut found: BTreeMap<Class, usize> = BTreeMap::new();
    let first = parameter("SUBLEDGER_DRIFT_FIRST_SEED", 1);
    for seed in first..first + parameter("SUBLEDGER_DRIFT_SEEDS", 2) {
        let plan = Plan {
            seed,
            subscriptions: usize::try_from(subscriptions).unwrap(),
            wide_percent: 4,
            months: 5,
            ..Plan::default()
        };
        let of_seed = check(&plan).await;
        println!("seed {seed}: {of_seed:?}");
        let least = if subscriptions < 10_000 { 0 } else { 100 };
        for class in Class::ALL {
            let number = of_seed.get(&class).copied().unwrap_or_default();
            assert!(number >= least, "seed {seed}: {class:?} only {number} times");
            *found.entry(class).or_default() += number;
        }
    }
    let rare: Vec<_> =
        Class::ALL.iter().filter(|it| found.get(it).is_none_or(|n| *n < 2)).collect();
    assert!(rare.is_empty(), "planted too seldom: {rare:?} of {found:?}");
}

/// Differences that were not healed: the fields, as the API shows them and as the ledger has them now.
fn unhealed(reports: &[Report], rows: &[SubscriptionRow]) -> Vec<String> {
    let still_differs = |it: &&Difference| {
        let row = rows.iter().find(|row| row.subscription_id == it.subscription_id);
        let row = serde_json::to_value(row).unwrap();
        let fields = it.fields.iter().filter(|field| row[&field.field] != field.stripe);
        let fields: Vec<_> = fields.map(|field| (field, row[&field.field].clone())).collect();
        format!("{} {:?}: {fields:?}", it.subscription_id, it.class)
    };
    let differences = differences(reports);
    differences.iter().filter(|it| it.is_healed != Some(true)).map(still_differs).collect()
}

/// Checks one plan. Returns the number of differences of each class.
async fn check(plan: &Plan) -> BTreeMap<Class, usize> {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let Planted { stripe, heard, classes, unheard, user_only, expected, true_rows } =
        Planted::new(plan);
    let world = World::of(plan, stripe).await;
    for some in heard.chunks(500) {
        append_bodies(&store, some).await;
    }
    let size = store.log.head().await.unwrap().size;
    let reports = reconcile_all(&world, &store, false).await;
    assert_eq!(store.log.head().await.unwrap().size, size, "nothing is appended");
    let named = differences(&reports);
    // A checkout that was not paid is one, also if a list of it was cut.
    let is_unpaid = |it: &Difference| {
        it.class == Class::AbandonedCheckout
            && classes.get(it.customer_id.as_str()) == Some(&Class::CutList)
            && true_rows.iter().any(|row| {
                row.subscription_id == it.subscription_id && row.status.starts_with("incomplete")
            })
    };
    let planted = |it: &Difference| {
        let is_unheard = unheard.contains(it.subscription_id.as_str());
        let class = classes.get(it.customer_id.as_str()).copied();
        match is_unheard {
            true => Some(Class::UnknownHere),
            false if user_only.contains(it.subscription_id.as_str()) => Some(Class::UserDiffers),
            false => class,
        }
    };
    let wrong: Vec<_> = (named.iter())
        .filter(|it| planted(it) != Some(it.class) && !is_unpaid(it))
        .map(|it| format!("{:?}, but {it:?}", planted(it)))
        .collect();
    assert!(wrong.is_empty(), "{} named wrong:\n{}", wrong.len(), wrong.join("\n"));
    let ids: BTreeSet<&str> = named.iter().map(|it| it.subscription_id.as_str()).collect();
    let missing = expected.iter().filter(|(id, _)| !ids.contains(id.as_str()));
    let missing: Vec<_> = missing.collect();
    assert!(missing.is_empty(), "{} not found: {missing:#?}", missing.len());
    let with_events = |it: &&&Difference| it.class == Class::MissedDelivery && it.event_count > 0;
    assert!(named.iter().any(|it| with_events(&it) && it.since.is_some()));
    let mut found = BTreeMap::new();
    for it in &named {
        *found.entry(it.class).or_default() += 1;
    }

    let healed = reconcile_all(&world, &store, true).await;
    let unhealed = unhealed(&healed, &rows(&store).await);
    assert!(unhealed.is_empty(), "{} not healed:\n{}", unhealed.len(), unhealed.join("\n"));
    let size = store.log.head().await.unwrap().size;
    let again = reconcile_all(&world, &store, true).await;
    assert!(differences(&again).is_empty(), "{:#?}", differences(&again));
    assert_eq!(store.log.head().await.unwrap().size, size, "a second run appends nothing");
    let shown = world.shown_customers().await;
    let known = Known { truth: world.stripe.truth(), heard: &true_rows, shown: &shown };
    let is_gone = |row: &SubscriptionRow| row.subscription_id.as_str().starts_with("sub_gone");
    let rows: Vec<_> = rows(&store).await.into_iter().filter(|row| !is_gone(row)).collect();
    let wrong = known.wrong(&rows);
    // A ledger that hears of items only by events has ten of them at most.
    // The first second of a debt, and payments before the latest invoice, are known from events or a backfill only.
    let not_shown = [" items: ", " past_due_since: ", " access: ", " paid_at: ", " paid_through: "];
    // Of a subscription that is over for long nobody asks for an invoice that is in no list.
    let unasked =
        |row: &&SubscriptionRow| row.ended_at.is_some() && row.latest_invoice_status.is_none();
    let unasked: Vec<String> = (rows.iter().filter(unasked))
        .map(|row| format!("{} latest_invoice_", row.subscription_id))
        .collect();
    let is_shown = |it: &&String| {
        !not_shown.iter().any(|field| it.contains(field))
            && !unasked.iter().any(|field| it.starts_with(field))
    };
    let wrong: Vec<_> = wrong.iter().filter(is_shown).collect();
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
    found
}
