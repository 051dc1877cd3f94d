//! Origin of a field: the event that set it, and the event that holds its value.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::locate::{can_state, find_pointer};
use super::tie::{Tie, tie};
use super::{EventPointer, Explained, fields, is_default_value};
use crate::audit::replay::{FoldOutcome, Replay, ReplayStep};
use crate::ids::SubscriptionId;
use crate::projection::Logic;
use crate::projection::entitlement::{AccessRule, EndRule, Judgement};

/// Fields that are counted, and so set by no single event.
const COUNTED: [&str; 2] = ["event_count", "parked"];
/// Fields that hold the time of an occurrence. A later snapshot of the object does not repeat them.
const HAPPENED: [&str; 3] = ["paid_at", "past_due_since", "payment_failed_at"];

/// Search for the origins of a row's fields in its history.
pub(super) struct FieldOrigins<'a> {
    replay: &'a Replay<'a>,
    id: &'a SubscriptionId,
    logic: &'a Logic,
    /// Row before and after each event that changed it, the latest first.
    versions: Vec<RowVersion<'a>>,
    /// Parsed bodies by step, filled on first use.
    bodies: Vec<OnceCell<Option<Value>>>,
    /// Ties by step, filled on first use.
    ties: Vec<OnceCell<Option<Tie>>>,
    /// Step of the snapshot that counts at the end, by object.
    current: OnceCell<HashMap<String, usize>>,
}

struct RowVersion<'a> {
    step: usize,
    before: Option<Map<String, Value>>,
    after: Map<String, Value>,
    input: &'a ReplayStep<'a>,
    /// Judgement of the row then.
    judgement: Option<&'a Judgement>,
}

impl RowVersion<'_> {
    /// Reason for a field that depends on the policy. The reason may change while the value stays.
    fn reason(&self, field: &str) -> Option<PolicyReason<'_>> {
        let judgement = self.judgement?;
        match field {
            "entitled" => {
                let by_status =
                    matches!(judgement.access, AccessRule::Status | AccessRule::UnknownStatus);
                let status = self.after.get("status").filter(|_| by_status);
                Some(PolicyReason::Access(&judgement.access, status))
            }
            "entitled_until" => Some(PolicyReason::End(judgement.end)),
            _ => None,
        }
    }
}

/// Reason for a field: the rule of access, with the status if that is the rule, or the rule that set the end.
#[derive(PartialEq)]
enum PolicyReason<'a> {
    Access(&'a AccessRule, Option<&'a Value>),
    End(Option<EndRule>),
}

impl<'a> FieldOrigins<'a> {
    pub(super) fn new(replay: &'a Replay<'a>, id: &'a SubscriptionId, logic: &'a Logic) -> Self {
        let version = |(step, input): (usize, &'a ReplayStep<'a>)| {
            let of_row = input.changed.iter();
            let changed = of_row.into_iter().find(|it| it.after.subscription_id == *id)?;
            let before = changed.before.as_ref().map(fields);
            let judgement = changed.judgement.as_ref();
            Some(RowVersion { step, before, after: fields(&changed.after), input, judgement })
        };
        let versions = replay.steps.iter().enumerate().rev().filter_map(version).collect();
        let bodies = replay.steps.iter().map(|_| OnceCell::new()).collect();
        let ties = replay.steps.iter().map(|_| OnceCell::new()).collect();
        Self { replay, id, logic, versions, bodies, ties, current: OnceCell::new() }
    }

    /// Explains a field that has this value at the end.
    pub(super) fn explain(&self, field: &str, value: Value) -> Explained {
        let mut explained = Explained {
            field: field.to_owned(),
            set_by: None,
            said_by: None,
            decision: None,
            tie: None,
            value,
        };
        let Some((at, is_new_row)) = self.set_at(field) else { return explained };
        let value = &explained.value;
        let mut set_at = at;
        let mut path = self.path_in(set_at, field, value);
        if self.is_superseded(set_at, field, value) {
            path = None;
        }
        let nothing = is_default_value(value) || value == "";
        if path.is_none() && !nothing {
            let said = self.value_at(field, value);
            // A new row begins with facts that were known before.
            if let (Some((at, there)), true) = (&said, is_new_row) {
                (set_at, path) = (*at, Some(there.clone()));
            } else {
                explained.said_by = said.map(|(at, there)| self.pointer(at, Some(there)));
            }
        } else if path.is_none() && is_new_row {
            return explained;
        }
        explained.set_by = Some(self.pointer(set_at, path));
        let look = || tie(self.replay, &self.replay.steps[set_at]);
        explained.tie.clone_from(self.ties[set_at].get_or_init(look));
        explained
    }

    /// Last step that changed a field, and whether it created the row.
    fn set_at(&self, field: &str) -> Option<(usize, bool)> {
        if COUNTED.contains(&field) {
            return None;
        }
        let mut versions = self.versions.iter().enumerate();
        let (_, version) = versions.find(|(at, version)| {
            let reason_before = self.versions.get(at + 1).and_then(|it| it.reason(field));
            let changed =
                |before: &Map<String, Value>| before.get(field) != version.after.get(field);
            version.before.as_ref().is_none_or(changed) || version.reason(field) != reason_before
        })?;
        debug_assert_eq!(version.input.folding, FoldOutcome::Folded, "only a fold changes a row");
        Some((version.step, version.before.is_none()))
    }

    /// Last step whose event holds the value of a field.
    fn value_at(&self, field: &str, value: &Value) -> Option<(usize, String)> {
        let steps = self.replay.steps.iter().enumerate().rev();
        let may_be_ours = |step: &ReplayStep<'_>| {
            let event_type = &step.input.logged.facts.event_type;
            let own = step.subscription.as_ref().is_none_or(|id| id == self.id);
            // The checkout of another subscription may name the user.
            let own = own || event_type.starts_with("checkout.session.");
            step.folding == FoldOutcome::Folded && own && can_state(event_type, field)
        };
        steps
            .filter(|(_, step)| may_be_ours(step))
            .filter_map(|(at, _)| Some((at, self.path_in(at, field, value)?)))
            .find(|(at, _)| !self.is_superseded(*at, field, value))
    }

    /// True if the last snapshot of the step's object no longer holds the value of a field.
    fn is_superseded(&self, step: usize, field: &str, value: &Value) -> bool {
        if HAPPENED.contains(&field) {
            return false;
        }
        let object = self.body(step).and_then(object_id);
        let current = object.and_then(|object| self.current().get(object)).copied();
        current.is_some_and(|at| at != step && self.path_in(at, field, value).is_none())
    }

    fn current(&self) -> &HashMap<String, usize> {
        self.current.get_or_init(|| {
            let states = self.replay.states.values();
            let winners: HashSet<_> = states.flat_map(|known| known.state.winners()).collect();
            let steps = self.replay.steps.iter().enumerate();
            let current = steps
                .filter(|(_, step)| winners.contains(&step.input.logged.facts.event_id))
                .filter_map(|(at, _)| Some((object_id(self.body(at)?)?.to_owned(), at)));
            current.collect()
        })
    }

    fn body(&self, step: usize) -> Option<&Value> {
        let logged = &self.replay.steps[step].input.logged;
        let read = || serde_json::from_str(logged.payload.as_deref()?).ok();
        self.bodies[step].get_or_init(read).as_ref()
    }

    fn path_in(&self, step: usize, field: &str, value: &Value) -> Option<String> {
        let logged = &self.replay.steps[step].input.logged;
        let body = self.body(step)?;
        find_pointer(&logged.facts.event_type, body, field, value, &self.logic.user_keys)
    }

    fn pointer(&self, step: usize, path: Option<String>) -> EventPointer {
        EventPointer::new(&self.replay.steps[step].input.logged, path)
    }
}

fn object_id(body: &Value) -> Option<&str> {
    body.pointer("/data/object/id")?.as_str()
}
