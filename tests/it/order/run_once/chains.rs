//! True sequences of changes within one second: what changed tells the order, and where nothing
//! tells it, the row says so.

use crate::order::any_order::{rows_of, the_row};
use crate::order::dice::Dice;
use crate::order::told::{CREATED, Told, UPDATED, tell_all};

const SEQUENCES: u64 = 4_000;
/// None of them is an end, and a chain may lead through them in any direction.
const STATUSES: [&str; 6] =
    ["incomplete", "trialing", "active", "past_due", "unpaid", "hibernating"];
const VERSIONS: [&str; 2] = ["2024-12-18.acacia", "2026-04-22.dahlia"];

/// A subscription whose every attribute counts how often it was changed, so that no value comes
/// back.
struct Life {
    /// The status now, and those that may follow.
    statuses: Vec<&'static str>,
    quantity: i64,
    cancel_at: i64,
    note: i64,
    discount: i64,
}

impl Life {
    fn attributes(&self, version: &str) -> [String; 5] {
        let Self { statuses, quantity, cancel_at, note, discount } = self;
        // Nothing is planned before the first change.
        let cancel_at = if *cancel_at == 0 { "null".to_owned() } else { cancel_at.to_string() };
        [
            format!(r#""status":"{}""#, statuses[0]),
            format!(r#""quantity":{quantity}"#),
            format!(r#""cancel_at":{cancel_at}"#),
            format!(r#""metadata":{{"note":"{note}","kept":"k"}}"#),
            if version == VERSIONS[0] {
                format!(r#""discount":{{"coupon":{{"id":"c{discount}"}}}}"#)
            } else {
                format!(r#""discounts":["c{discount}"]"#)
            },
        ]
    }

    /// The next event: some attributes change, of which at least one is the same in every version.
    fn change(&mut self, dice: &mut Dice, id: &str, version: &str) -> Told {
        let before = self.attributes(version);
        let stable = dice.below(4);
        let changes: [bool; 5] = std::array::from_fn(|at| at == stable || dice.one_in(3));
        if changes[0] {
            self.statuses.remove(0);
        }
        let counters =
            [&mut self.quantity, &mut self.cancel_at, &mut self.note, &mut self.discount];
        for (counter, changed) in counters.into_iter().zip(&changes[1..]) {
            *counter += i64::from(*changed);
        }
        let changed = before.iter().zip(changes).filter(|(_, changed)| *changed);
        // Of metadata, only the keys that changed are told.
        let previous: Vec<String> =
            changed.map(|(text, _)| text.replace(r#","kept":"k""#, "")).collect();
        self.event(id, UPDATED, version).was(&format!("{{{}}}", previous.join(",")))
    }

    fn event(&self, id: &str, event_type: &str, version: &str) -> Told {
        let attributes = self.attributes(version).join(",");
        Told::sub(id, event_type, 5, &attributes).at_version(version)
    }
}

/// Events of one second, first to last, under ids that suggest the opposite order or none.
fn true_sequence(dice: &mut Dice, versions: &[&str]) -> (Vec<Told>, Life) {
    let mut statuses = STATUSES.to_vec();
    dice.shuffle(&mut statuses);
    statuses.push("paused");
    let mut life = Life { statuses, quantity: 1, cancel_at: 0, note: 0, discount: 0 };
    let backwards = dice.one_in(2);
    let count = dice.between(2, 6);
    let mut ids: Vec<String> = (0..count).map(|at| format!("evt_{}", 9 - at)).collect();
    if !backwards {
        dice.shuffle(&mut ids);
    }
    let is_new = dice.one_in(2);
    let events = ids.iter().enumerate().map(|(at, id)| {
        let version = dice.pick(versions);
        if at == 0 && is_new {
            life.event(id, CREATED, version)
        } else {
            life.change(dice, id, version)
        }
    });
    (events.collect(), life)
}

fn assert_the_true_last_wins(versions: &[&str]) {
    for seed in 0..SEQUENCES {
        let dice = &mut Dice::new(seed);
        let (events, life) = true_sequence(dice, versions);
        let mut bodies: Vec<String> = events.iter().map(Told::body).collect();
        let context = format!("seed {seed}: {bodies:#?}");
        dice.shuffle(&mut bodies);
        let row = rows_of(&tell_all(bodies.iter().map(String::as_str))).remove(0);
        assert_eq!(row.status, life.statuses[0], "{context}");
        assert_eq!(row.metadata.0["note"], life.note.to_string(), "{context}");
        assert_eq!(row.cancel_at.map_or(0, |at| at.0), life.cancel_at, "{context}");
        assert_eq!(row.discounts.0, [format!("c{}", life.discount)], "{context}");
        assert!(!row.order_ambiguous, "{context}");
    }
}

#[test]
fn the_last_of_a_chain_wins_against_its_ids_and_nothing_is_in_doubt() {
    assert_the_true_last_wins(&VERSIONS[..1]);
    assert_the_true_last_wins(&VERSIONS[1..]);
}

#[test]
fn a_chain_whose_links_are_rendered_at_two_versions_is_as_certain() {
    assert_the_true_last_wins(&VERSIONS);
}

#[test]
fn two_that_nothing_links_are_in_doubt_exactly_where_they_differ() {
    let statuses = ["active", "past_due", "unpaid", "paused", "novel"];
    for first in statuses {
        for second in statuses {
            let of = |id, status, cancel_at| {
                let fields = format!(r#""status":"{status}","cancel_at":{cancel_at}"#);
                Told::sub(id, UPDATED, 5, &fields)
            };
            let row = the_row(&[of("evt_a", first, 7), of("evt_b", second, 7)]);
            assert_eq!(row.order_ambiguous, first != second, "{first} {second}");
            let row = the_row(&[of("evt_a", first, 7), of("evt_b", second, 8)]);
            assert!(row.order_ambiguous, "{first} {second}");
        }
    }
}

#[test]
fn an_event_beside_a_chain_that_might_have_come_last_leaves_it_in_doubt() {
    // The chain leads from 7 to 9; nothing says where 5 belongs.
    let of = |id, cancel_at: i64| {
        Told::sub(id, UPDATED, 5, &format!(r#""status":"active","cancel_at":{cancel_at}"#))
    };
    for beside in ["evt_0", "evt_z"] {
        let chain =
            [of("evt_b", 8).was(r#"{"cancel_at":7}"#), of("evt_a", 9).was(r#"{"cancel_at":8}"#)];
        let [earlier, later] = chain;
        let row = the_row(&[earlier, later, of(beside, 5)]);
        assert!(row.order_ambiguous, "{beside}");
    }
}

#[test]
fn a_change_that_was_taken_back_within_its_second_is_in_doubt_in_every_order() {
    let of = |id, cancel_at: &str, before: &str| {
        Told::sub(id, UPDATED, 5, &format!(r#""status":"active","cancel_at":{cancel_at}"#))
            .was(&format!(r#"{{"cancel_at":{before}}}"#))
    };
    let row = the_row(&[of("evt_b", "7", "null"), of("evt_a", "null", "7")]);
    assert!(row.order_ambiguous);
}
