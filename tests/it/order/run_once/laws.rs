//! The laws of a join, on the states that small random events make: without them, what arrived when
//! would show.

use subledger::ids::{CustomerKey, EventId, Scope};
use subledger::projection::catalogue::{Catalogue, CatalogueEntry, NameRank};
use subledger::projection::state::CustomerState;
use subledger::time::StripeTime;

use crate::order::any_order::rows_of;
use crate::order::bodies::any_event_or_link;
use crate::order::dice::Dice;
use crate::order::told::{Observed, Told, apply_all, tell_all};

/// As many events are read once; a trial deals out some of them.
const POOL: usize = 1_500;
const TRIALS: u64 = 20_000;

/// Each event alone, as the state that it makes of a customer of whom nothing else is known.
fn pool() -> Vec<(CustomerKey, CustomerState, String)> {
    let dice = &mut Dice::new(2);
    let alone = (0..POOL).filter_map(|number| {
        // Ids in no order: 7,919 and 10,007 are prime.
        let body = any_event_or_link(dice, &format!("evt_{:05}", number * 7_919 % 10_007)).body();
        let (key, mut state) = tell_all([body.as_str()]).pop_first()?;
        // Every fourth keeps its body: a digest that is computed late joins as one that is there.
        if number % 4 != 0 {
            state.materialize();
        }
        Some((key, state, body))
    });
    alone.filter(|(key, ..)| key.customer.as_str() == "cus_1").collect()
}

fn join(a: &CustomerState, b: &CustomerState) -> CustomerState {
    let mut joined = a.clone();
    joined.join(b.clone());
    joined
}

fn bytes(state: &CustomerState) -> Vec<u8> {
    postcard::to_allocvec(state).unwrap()
}

/// The state as it is read back from its stored form.
fn stored(state: &CustomerState) -> CustomerState {
    postcard::from_bytes(&bytes(state)).unwrap()
}

#[test]
fn states_join_in_any_order_and_grouping_and_any_number_of_times() {
    let pool = pool();
    assert!(pool.len() > POOL / 3);
    for seed in 0..TRIALS {
        let dice = &mut Dice::new(seed);
        let mut bodies = Vec::new();
        let [a, b, c] = std::array::from_fn(|_| {
            let mut state = CustomerState::default();
            for _ in 0..dice.between(1, 4) {
                let (_, more, body) = &pool[dice.below(pool.len())];
                state.join(more.clone());
                bodies.push(body.as_str());
            }
            state
        });
        let ab = join(&a, &b);
        let all = join(&ab, &c);
        let context = || format!("seed {seed}: {bodies:#?}");
        assert_eq!(ab, join(&b, &a), "{}", context());
        assert_eq!(all, join(&a, &join(&b, &c)), "{}", context());
        assert_eq!(join(&a, &a), a, "{}", context());
        assert_eq!(join(&all, &b), all, "{}", context());
        assert_eq!(join(&a, &CustomerState::default()), a, "{}", context());
        assert_eq!(bytes(&all), bytes(&join(&c, &join(&b, &a))), "{}", context());
        assert_eq!(stored(&all), all);
        // Partial states that were stored join as those that were not.
        assert_eq!(bytes(&join(&stored(&a), &join(&stored(&b), &c))), bytes(&all), "{}", context());
        assert_eq!(bytes(&join(&c, &join(&stored(&b), &stored(&a)))), bytes(&all), "{}", context());
        if dice.one_in(8) {
            let folded = tell_all(bodies.iter().copied()).into_values().next();
            assert_eq!(folded, Some(all), "{}", context());
        }
    }
}

#[test]
fn bodies_of_few_seconds_fold_into_the_same_bytes_and_rows_in_any_order() {
    for seed in 0..4_000 {
        let dice = &mut Dice::new(seed);
        let events: Vec<Told> = (0..dice.between(2, 7))
            .map(|at| any_event_or_link(dice, &format!("evt_{}", at * 5 % 8)))
            .collect();
        let mut changes: Vec<Observed> =
            events.iter().map(|event| Observed::new(&event.body())).collect();
        let outcome = |changes: &[Observed]| {
            let mut states = apply_all(changes);
            states.values_mut().for_each(CustomerState::materialize);
            (states.values().map(bytes).collect::<Vec<_>>(), rows_of(&states))
        };
        let expected = outcome(&changes);
        for _ in 0..3 {
            dice.shuffle(&mut changes);
            // The first comes a second time, at the end.
            changes.push(changes[0].clone());
            assert_eq!(outcome(&changes), expected, "seed {seed}: {events:#?}");
            changes.pop();
        }
    }
}

fn any_name(dice: &mut Dice, number: usize) -> CatalogueEntry {
    CatalogueEntry {
        scope: Scope { account: dice.pick(&["", "acct_a"]).into(), livemode: dice.one_in(2) },
        id: dice.pick(&["prod_1", "price_1"]).to_owned(),
        name: Some(dice.pick(&["Old", "New", "Newest"]).to_owned()).filter(|_| !dice.one_in(5)),
        rank: NameRank {
            deleted: dice.one_in(5),
            created: StripeTime(i64::try_from(dice.below(2)).unwrap()),
            changed: dice.one_in(2),
            event_id: EventId::new(format!("evt_{}", number * 7 % 16)),
        },
    }
}

#[test]
fn names_join_in_any_order_and_grouping_and_any_number_of_times() {
    fn joined<'a>(entries: impl IntoIterator<Item = &'a CatalogueEntry>) -> Vec<CatalogueEntry> {
        let mut catalogue = Catalogue::default();
        entries.into_iter().cloned().for_each(|entry| catalogue.join(entry));
        catalogue.into_entries().collect()
    }
    for seed in 0..TRIALS {
        let dice = &mut Dice::new(seed);
        let mut entries: Vec<CatalogueEntry> =
            (0..dice.between(2, 12)).map(|number| any_name(dice, number)).collect();
        let expected = joined(&entries);
        dice.shuffle(&mut entries);
        let context = || format!("seed {seed}: {entries:#?}");
        assert_eq!(joined(&entries), expected, "{}", context());
        assert_eq!(joined(entries.iter().chain(&entries)), expected, "{}", context());
        let (first, second) = entries.split_at(dice.below(entries.len()));
        let (first, second) = (joined(first), joined(second));
        assert_eq!(joined(first.iter().chain(&second)), expected, "{}", context());
        assert_eq!(joined(second.iter().chain(&first)), expected, "{}", context());
    }
}
