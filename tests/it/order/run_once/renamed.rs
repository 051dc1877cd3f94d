//! Event ids say nothing about time. Where a row is not marked as in doubt, other ids for the same
//! events give the same row, whatever objects it is made of.

use subledger::ids::EventId;
use subledger::projection::row::SubscriptionRow;

use crate::order::any_order::rows_of;
use crate::order::bodies::any_event;
use crate::order::dice::Dice;
use crate::order::told::{Told, tell_all};

const SECONDS: u64 = 20_000;

/// The rows, without the event that each comes from and the version that it was told at.
fn rows_without_ids(events: &[Told]) -> Vec<SubscriptionRow> {
    let bodies: Vec<String> = events.iter().map(Told::body).collect();
    let mut rows = rows_of(&tell_all(bodies.iter().map(String::as_str)));
    for row in &mut rows {
        row.last_event_id = EventId::default();
        row.api_version = None;
    }
    rows
}

#[test]
fn a_row_that_is_not_in_doubt_is_the_same_under_other_event_ids() {
    let mut certain = 0_u64;
    for seed in 0..SECONDS {
        let dice = &mut Dice::new(seed);
        let count = dice.between(2, 6);
        let mut ids: Vec<String> = (0..count).map(|at| format!("evt_{at}")).collect();
        let events: Vec<Told> = ids.iter().map(|id| any_event(dice, id)).collect();
        dice.shuffle(&mut ids);
        let renamed: Vec<Told> =
            events.iter().zip(&ids).map(|(event, id)| event.clone().under(id)).collect();
        for (row, other) in rows_without_ids(&events).iter().zip(rows_without_ids(&renamed)) {
            if !row.order_ambiguous {
                certain += 1;
                assert_eq!(row, &other, "seed {seed}: {events:#?} as {ids:?}");
            }
        }
    }
    assert!(certain > SECONDS / 4, "{certain}");
}
