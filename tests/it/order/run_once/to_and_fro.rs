//! Seconds in which values come back, so that what changed leads round in circles: then the row is
//! right, or says that it is in doubt.

use crate::order::any_order::rows_of;
use crate::order::dice::Dice;
use crate::order::told::{CREATED, Told, UPDATED, tell_all};

const SEQUENCES: u64 = 8_000;

/// A second of changes to few attributes with few values, told whole, under ids that say nothing; and
/// the values that it ends with.
fn to_and_fro(dice: &mut Dice, statuses: &[&str]) -> (Vec<Told>, [usize; 3]) {
    let text = |at: usize, value: usize| match at {
        0 => format!(r#""status":"{}""#, statuses[value % statuses.len()]),
        1 => format!(r#""cancel_at":{}"#, ["null", "7", "8"][value]),
        _ => format!(r#""metadata":{{"note":"{value}"}}"#),
    };
    let event = |id: &str, event_type: &str, now: &[usize; 3]| {
        let fields: Vec<String> =
            now.iter().enumerate().map(|(at, value)| text(at, *value)).collect();
        Told::sub(id, event_type, 5, &fields.join(","))
    };
    let mut now = [0, 0, 0];
    let mut ids: Vec<String> = (0..dice.between(2, 5)).map(|at| format!("evt_{at}")).collect();
    dice.shuffle(&mut ids);
    let mut events = Vec::new();
    for id in &ids {
        if events.is_empty() && dice.one_in(2) {
            events.push(event(id, CREATED, &now));
            continue;
        }
        let before = now;
        while now == before {
            for (at, value) in now.iter_mut().enumerate() {
                let values = if at == 0 { statuses.len() } else { 3 };
                if dice.one_in(3) {
                    *value = dice.below(values);
                }
            }
        }
        let changed = (0..3).filter(|at| now[*at] != before[*at]);
        let previous: Vec<String> = changed.map(|at| text(at, before[at])).collect();
        events.push(event(id, UPDATED, &now).was(&format!("{{{}}}", previous.join(","))));
    }
    (events, now)
}

fn assert_right_or_in_doubt(statuses: &[&str]) {
    let mut certain = 0;
    for seed in 0..SEQUENCES {
        let dice = &mut Dice::new(seed);
        let (events, last) = to_and_fro(dice, statuses);
        let bodies: Vec<String> = events.iter().map(Told::body).collect();
        let row = rows_of(&tell_all(bodies.iter().map(String::as_str))).remove(0);
        if row.order_ambiguous {
            continue;
        }
        certain += 1;
        let cancel_at = row.cancel_at.map(|at| at.0);
        let found = (row.status.as_str(), cancel_at, row.metadata.0["note"].clone());
        let cancel_at = [None, Some(7), Some(8)][last[1]];
        let truth = (statuses[last[0]], cancel_at, last[2].to_string());
        assert_eq!(found, truth, "seed {seed}: {bodies:#?}");
    }
    assert!(certain > SEQUENCES / 4, "{certain}");
}

#[test]
fn a_second_that_is_told_whole_is_right_or_in_doubt() {
    assert_right_or_in_doubt(&["active", "past_due"]);
    // The ranks of these differ, and the truth goes against them as often as not.
    assert_right_or_in_doubt(&["trialing", "active", "incomplete"]);
}
