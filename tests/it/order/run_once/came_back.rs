//! Values that came back within a second, as when a cancellation is taken back at once: the state before the
//! second decides which of the changes was the last.

use serde_json::{Map, Value, json};
use subledger::projection::row::SubscriptionRow;

use crate::order::any_order::{permute, rows_of, the_row};
use crate::order::dice::Dice;
use crate::order::told::{CREATED, Told, UPDATED, tell_all};

const SECONDS: u64 = 10_000;
const VERSIONS: [&str; 2] = ["2024-12-18.acacia", "2026-04-22.dahlia"];

/// A subscription, as far as it is changed here.
#[derive(Clone, Debug, PartialEq)]
struct Life(Map<String, Value>);

impl Life {
    fn new() -> Self {
        let Value::Object(fields) = json!({
            "status": "active", "cancel_at_period_end": false, "cancel_at": null, "canceled_at": null,
            "quantity": 1, "metadata": { "plan": "a" }, "pause_collection": null,
            "items": { "data": [{ "id": "si_1", "quantity": 1, "current_period_end": 900 }] },
        }) else {
            unreachable!("it is an object")
        };
        Self(fields)
    }

    /// One of the things that people do, and do again, at this second.
    fn change(&mut self, dice: &mut Dice, second: i64) {
        let before = self.0.clone();
        while self.0 == before {
            let fields = &mut self.0;
            match dice.below(5) {
                0 => {
                    let cancels = fields["cancel_at_period_end"] == false;
                    fields["cancel_at_period_end"] = cancels.into();
                    fields["cancel_at"] = if cancels { 900.into() } else { Value::Null };
                    fields["canceled_at"] = if cancels { second.into() } else { Value::Null };
                }
                1 => {
                    let quantity = dice.between(1, 3);
                    fields["quantity"] = quantity.into();
                    fields["items"]["data"][0]["quantity"] = quantity.into();
                }
                2 => fields["metadata"]["plan"] = dice.pick(&["a", "b", "c"]).into(),
                3 => fields["status"] = dice.pick(&["active", "past_due", "trialing"]).into(),
                _ => {
                    fields["pause_collection"] = if fields["pause_collection"].is_null() {
                        json!({ "behavior": "void", "resumes_at": null })
                    } else {
                        Value::Null
                    };
                }
            }
        }
    }

    fn event(&self, id: &str, event_type: &str, second: i64) -> Told {
        let fields = Value::Object(self.0.clone()).to_string();
        Told::sub(id, event_type, second, &fields[1..fields.len() - 1])
    }

    /// The event of the change that led here, as Stripe tells it: of objects only what changed in them.
    fn changed_from(&self, before: &Self, id: &str, second: i64) -> Told {
        let mut previous = Map::new();
        for (name, old) in before.0.iter().filter(|(name, old)| self.0[*name] != **old) {
            previous.insert(name.clone(), difference(old, &self.0[name]));
        }
        self.event(id, UPDATED, second).was(&Value::Object(previous).to_string())
    }

    fn is_what_it_says(&self, row: &SubscriptionRow) -> bool {
        let fields = &self.0;
        let pause = row.pause_collection.as_ref().map(|it| it.0.behavior.as_str());
        json!(row.status) == fields["status"]
            && json!(row.cancel_at_period_end) == fields["cancel_at_period_end"]
            && json!(row.canceled_at.map(|at| at.0)) == fields["canceled_at"]
            && json!(row.quantity) == fields["quantity"]
            && json!(row.metadata.0) == fields["metadata"]
            && json!(pause) == fields["pause_collection"]["behavior"]
    }
}

/// Of two objects what the old one has otherwise; else the old value whole.
fn difference(old: &Value, new: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return old.clone() };
    let changed = old.iter().filter(|(name, value)| new.get(*name) != Some(*value));
    changed.map(|(name, value)| (name.clone(), difference(value, &new[name]))).collect()
}

/// One event of a life, and what it changed.
struct Step {
    second: i64,
    before: Life,
    after: Life,
    body: String,
}

/// A life of two or three seconds, the last of two to five changes, in the order in which it happened and
/// under ids that say nothing.
fn life(dice: &mut Dice, versions: &[&str]) -> Vec<Step> {
    let mut ids: Vec<String> = (0..12).map(|at| format!("evt_{at:02}")).collect();
    dice.shuffle(&mut ids);
    let mut life = Life::new();
    let created = life.event(&ids.remove(0), CREATED, 10).at_version(dice.pick(versions));
    let nothing = Life(Map::new());
    let mut steps =
        vec![Step { second: 10, before: nothing, after: life.clone(), body: created.body() }];
    let between = dice.below(2);
    let last = dice.between(2, 5);
    for second in std::iter::repeat_n(40, between).chain(std::iter::repeat_n(70, last)) {
        let before = life.clone();
        life.change(dice, second);
        let told = life.changed_from(&before, &ids.remove(0), second);
        let body = told.at_version(dice.pick(versions)).body();
        steps.push(Step { second, before, after: life.clone(), body });
    }
    steps
}

/// True if the events of the last second, in some order, lead without a gap from what was known before to
/// what the row says: then they are the whole of another story, and nobody can tell it from the true one.
fn is_a_whole_story(steps: &[Step], row: &SubscriptionRow) -> bool {
    let (earlier, last): (Vec<_>, Vec<_>) = steps.iter().partition(|step| step.second < 70);
    let Some(start) = earlier.last() else { return false };
    let mut order: Vec<usize> = (0..last.len()).collect();
    let mut found = false;
    permute(&mut order, 0, &mut |order| {
        let mut now = &start.after;
        let is_whole = order.iter().all(|at| {
            let follows = last[*at].before == *now;
            now = &last[*at].after;
            follows
        });
        found |= is_whole && now.is_what_it_says(row);
    });
    found
}

/// The row after these events, in some order, and whether it is the truth.
fn row_of(dice: &mut Dice, steps: &[Step]) -> (SubscriptionRow, bool) {
    let mut bodies: Vec<&str> = steps.iter().map(|step| step.body.as_str()).collect();
    dice.shuffle(&mut bodies);
    let row = rows_of(&tell_all(bodies)).remove(0);
    let is_true = steps[steps.len() - 1].after.is_what_it_says(&row);
    (row, is_true)
}

fn context(seed: u64, steps: &[Step], row: &SubscriptionRow) -> String {
    let bodies: Vec<_> = steps.iter().map(|step| &step.body).collect();
    format!("seed {seed}: {row:#?} {bodies:#?}")
}

#[test]
fn a_cancellation_that_was_taken_back_within_its_second_is_taken_back_under_any_ids() {
    let of = |id: &str, event_type: &str, second: i64, cancels: bool| {
        let fields = if cancels {
            r#""cancel_at_period_end":true,"cancel_at":900,"canceled_at":70"#
        } else {
            r#""cancel_at_period_end":false,"cancel_at":null,"canceled_at":null"#
        };
        Told::sub(id, event_type, second, &format!(r#""status":"active",{fields}"#))
    };
    let was = |cancels: bool| {
        if cancels {
            r#"{"cancel_at_period_end":true,"cancel_at":900,"canceled_at":70}"#
        } else {
            r#"{"cancel_at_period_end":false,"cancel_at":null,"canceled_at":null}"#
        }
    };
    // Cancelled, resumed, cancelled, resumed: in every order of the four ids.
    let mut ids = [0, 1, 2, 3];
    permute(&mut ids, 0, &mut |ids| {
        let mut events = vec![of("evt_created", CREATED, 10, false)];
        for (at, id) in ids.iter().enumerate() {
            let cancels = at % 2 == 0;
            events.push(of(&format!("evt_{id}"), UPDATED, 70, cancels).was(was(!cancels)));
        }
        for count in [3, 4, 5] {
            let bodies: Vec<String> = events[..count].iter().map(Told::body).collect();
            let row = rows_of(&tell_all(bodies.iter().map(String::as_str))).remove(0);
            let cancels = count % 2 == 0;
            let found = (row.cancel_at_period_end, row.order_ambiguous);
            assert_eq!(found, (cancels, false), "{count} events, ids {ids:?}");
        }
    });
    let row = the_row(&[
        of("evt_created", CREATED, 10, false),
        of("evt_9", UPDATED, 70, true).was(was(false)),
        of("evt_3", UPDATED, 70, false).was(was(true)),
    ]);
    assert!(!row.cancel_at_period_end && !row.order_ambiguous);
}

#[test]
fn a_second_whose_events_are_all_known_is_right_and_not_in_doubt() {
    for seed in 0..SECONDS {
        let dice = &mut Dice::new(seed);
        let version = dice.below(2);
        let steps = life(dice, &VERSIONS[version..=version]);
        let (row, is_true) = row_of(dice, &steps);
        assert!(is_true && !row.order_ambiguous, "{}", context(seed, &steps, &row));
    }
}

#[test]
fn a_second_whose_events_are_rendered_at_two_versions_is_right_and_not_in_doubt() {
    for seed in 0..SECONDS {
        let dice = &mut Dice::new(seed);
        let steps = life(dice, &VERSIONS);
        let (row, is_true) = row_of(dice, &steps);
        assert!(is_true && !row.order_ambiguous, "{}", context(seed, &steps, &row));
    }
}

/// One event that is not the last is lost, of the last second or of one before.
#[test]
fn a_second_of_which_an_event_is_lost_is_right_or_in_doubt_or_tells_a_whole_other_story() {
    let (mut certain, mut other_stories) = (0, 0);
    for seed in 0..SECONDS {
        let dice = &mut Dice::new(seed);
        let mut steps = life(dice, &VERSIONS[1..]);
        steps.remove(dice.below(steps.len() - 1));
        let (row, is_true) = row_of(dice, &steps);
        certain += u64::from(!row.order_ambiguous);
        if !is_true && !row.order_ambiguous {
            assert!(is_a_whole_story(&steps, &row), "{}", context(seed, &steps, &row));
            other_stories += 1;
        }
    }
    assert!(certain > SECONDS / 2 && other_stories < SECONDS / 50, "{certain} {other_stories}");
}
