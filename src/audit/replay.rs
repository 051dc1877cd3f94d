//! Replay of a history: its events folded one by one in canonical order, and the rows that each changed.
//!
//! *Invariant: pure. The fold depends only on the set of events, so the last rows are the current ones.*

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::ids::{CustomerKey, EventId, SubscriptionId};
use crate::projection::canonical::{instants, order_of_instant};
use crate::projection::effects::{EventEffects, Parked};
use crate::projection::entitlement::Judgement;
use crate::projection::row::SubscriptionRow;
use crate::projection::state::CustomerState;
use crate::projection::user::user_named_by_customer;
use crate::projection::{Logic, rows};
use crate::projector::effects_of;
use crate::store::{EventFacts, LoggedEvent};
use crate::stripe::Envelope;
use crate::stripe::observation::TYPE_PREFIX;

/// Outcome of an event's fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoldOutcome {
    /// The event is part of a customer's state.
    Folded,
    /// No projection folds its type: the event is on timelines only.
    NotFolded,
    /// The event could not be read.
    Parked,
    /// The payload was erased, so the changes are unknown.
    Erased,
}

/// Step of a replay: one event and its changes.
pub(super) struct ReplayStep<'a> {
    pub(super) input: &'a ReplayInput,
    pub(super) folding: FoldOutcome,
    /// Reason why it is parked.
    pub(super) reason: Option<String>,
    /// Fields that could not be read and were skipped.
    pub(super) notes: Vec<String>,
    pub(super) subscription: Option<SubscriptionId>,
    pub(super) changed: Vec<RowChange>,
    /// True if the event belongs to the history. In the history of a user: if it is about what was the user's then.
    pub(super) is_theirs: bool,
}

impl<'a> ReplayStep<'a> {
    fn new(input: &'a ReplayInput, folding: FoldOutcome) -> Self {
        Self {
            input,
            folding,
            reason: None,
            notes: Vec::new(),
            subscription: input.subscription.clone(),
            changed: Vec::new(),
            is_theirs: true,
        }
    }
}

/// Row that an event created or changed.
pub(super) struct RowChange {
    pub(super) before: Option<SubscriptionRow>,
    pub(super) after: SubscriptionRow,
    /// Judgement of the policy after the event.
    pub(super) judgement: Option<Judgement>,
}

/// Event of a history, as the log holds it.
pub(super) struct ReplayInput {
    pub(super) logged: LoggedEvent,
    /// Subscription that the timeline has for it.
    pub(super) subscription: Option<SubscriptionId>,
    /// Number of redeliveries.
    pub(super) redelivered: i64,
    /// Sentence that says when it was erased and by whom, if that is recorded.
    pub(super) erased: Option<String>,
    /// Reason why its body cannot be read; none if its row is sound.
    pub(super) damage: Option<String>,
    /// Sentence that links a thin event and what was fetched for it; none for other events.
    pub(super) link: Option<String>,
    /// True for a thin event. It is shown and not folded, and is not on any timeline.
    pub(super) is_thin: bool,
}

/// Replay of a whole history.
pub(super) struct Replay<'a> {
    pub(super) steps: Vec<ReplayStep<'a>>,
    pub(super) rivals: Rivals,
    pub(super) states: BTreeMap<CustomerKey, ReplayedCustomer>,
    pub(super) counts: BTreeMap<SubscriptionId, EventCounts>,
}

/// Ambiguous events, each with the other events that may be the last of its second.
pub(super) type Rivals = BTreeMap<EventId, BTreeSet<EventId>>;

/// Replays a history in pieces, and holds the state between them.
#[derive(Default)]
pub(super) struct Replayer {
    /// User whose history it is; none for a customer or a subscription.
    user: Option<String>,
    pub(super) rivals: Rivals,
    /// Customers after everything that was replayed.
    pub(super) states: BTreeMap<CustomerKey, ReplayedCustomer>,
    /// Numbers of events that name each subscription.
    pub(super) counts: BTreeMap<SubscriptionId, EventCounts>,
}

/// Numbers of events that name a subscription, as its row shows them.
#[derive(Clone, Copy, Default)]
pub(super) struct EventCounts {
    events: i64,
    /// Number of those that are parked.
    parked: i64,
}

impl EventCounts {
    /// Writes them into the row of the subscription.
    pub(super) fn write_to(self, row: &mut SubscriptionRow) {
        (row.event_count, row.parked) = (self.events, self.parked);
    }
}

/// Customer in the course of a replay.
#[derive(Default)]
pub(super) struct ReplayedCustomer {
    pub(super) state: CustomerState,
    pub(super) rows: Vec<SubscriptionRow>,
}

/// Replays a whole history.
pub(super) fn replay<'a>(
    events: &'a [ReplayInput],
    customers: &[CustomerKey],
    logic: &Logic,
) -> Replay<'a> {
    let mut replayer = Replayer::new(customers, None);
    let steps = replayer.replay(events, logic);
    let Replayer { rivals, states, counts, .. } = replayer;
    Replay { steps, rivals, states, counts }
}

impl Replayer {
    /// Starts before the first event of these customers.
    pub(super) fn new(customers: &[CustomerKey], user: Option<String>) -> Self {
        let mut replayer = Self { user, ..Self::default() };
        replayer.restart(customers);
        replayer
    }

    /// Goes back to before the first event, and keeps the known ambiguous events.
    pub(super) fn restart(&mut self, customers: &[CustomerKey]) {
        self.states =
            customers.iter().map(|key| (key.clone(), ReplayedCustomer::default())).collect();
        self.counts.clear();
    }

    /// Replays the next events: all events of some seconds, each later than the seconds before.
    pub(super) fn replay<'a>(
        &mut self,
        events: &'a [ReplayInput],
        logic: &Logic,
    ) -> Vec<ReplayStep<'a>> {
        let (thin, events): (Vec<_>, Vec<_>) = events.iter().partition(|it| it.is_thin);
        let envelopes: Vec<Envelope<'_>> = events.iter().copied().map(envelope).collect();
        let instants = instants(&envelopes);
        let mut steps = Vec::with_capacity(events.len());
        let mut changed_customers = BTreeSet::new();
        for (place, instant) in instants.iter().enumerate() {
            let before = |object: &str| {
                let states = self.states.iter();
                states.flat_map(|(key, known)| known.state.last_candidates(key, object)).collect()
            };
            for at in order_of_instant(&envelopes, instant, before) {
                let (step, customer) = self.fold(events[at], logic);
                if let Some(id) = &step.input.subscription {
                    let counts = self.counts.entry(id.clone()).or_default();
                    counts.events += 1;
                    counts.parked += i64::from(step.folding == FoldOutcome::Parked);
                }
                changed_customers.extend(customer.filter(|_| !step.changed.is_empty()));
                steps.push(step);
            }
            let second_of = |instant: &Vec<usize>| envelopes[instant[0]].created;
            // The rivals of a second are known only at its end.
            if instants.get(place + 1).map(second_of) != Some(second_of(instant)) {
                for key in std::mem::take(&mut changed_customers) {
                    self.note_rivals(&key, logic);
                }
            }
        }
        self.insert_thin(thin, &mut steps, logic);
        steps
    }

    /// Inserts thin events before the other events of their second.
    fn insert_thin<'a>(
        &self,
        thin: Vec<&'a ReplayInput>,
        steps: &mut Vec<ReplayStep<'a>>,
        logic: &Logic,
    ) {
        for input in thin {
            let mut step = ReplayStep::new(input, FoldOutcome::NotFolded);
            step.is_theirs = self.is_theirs(&step, None, logic);
            let created = input.logged.facts.created;
            let is_before = |it: &ReplayStep<'_>| {
                let other = it.input.logged.facts.created;
                other < created || (it.input.is_thin && other == created)
            };
            steps.insert(steps.partition_point(is_before), step);
        }
    }

    fn fold<'a>(
        &mut self,
        input: &'a ReplayInput,
        logic: &Logic,
    ) -> (ReplayStep<'a>, Option<CustomerKey>) {
        let (mut step, customer) = self.read_step(input, logic);
        step.is_theirs = self.is_theirs(&step, customer.as_ref(), logic);
        let folded = step.folding == FoldOutcome::Folded;
        (step, customer.filter(|_| folded))
    }

    /// True if an event is about what was the user's when it happened: a subscription of the user, or a customer that
    /// belongs to no other user.
    fn is_theirs(
        &self,
        step: &ReplayStep<'_>,
        customer: Option<&CustomerKey>,
        logic: &Logic,
    ) -> bool {
        let Some(user) = self.user.as_deref() else { return true };
        let is_theirs = |row: &SubscriptionRow| row.user_id.as_deref() == Some(user);
        if step.changed.iter().any(|it| it.before.iter().chain([&it.after]).any(is_theirs)) {
            return true;
        }
        let rows = || self.states.values().flat_map(|known| &known.rows);
        let named = step.subscription.as_ref();
        let named = named.and_then(|id| rows().find(|row| row.subscription_id == *id));
        if let Some(owner) = named.and_then(|row| row.user_id.as_deref()) {
            return owner == user;
        }
        let is_theirs = |known: &ReplayedCustomer| match user_named_by_customer(&known.state, logic)
        {
            Some(owner) => owner == user,
            None => known.rows.iter().all(|row| row.user_id.as_deref().is_none_or(|it| it == user)),
        };
        match customer.and_then(|key| self.states.get(key)) {
            Some(known) => is_theirs(known),
            // The customer is unknown: the event is the user's only if all customers of the history are.
            None => self.states.values().all(is_theirs),
        }
    }

    fn read_step<'a>(
        &mut self,
        input: &'a ReplayInput,
        logic: &Logic,
    ) -> (ReplayStep<'a>, Option<CustomerKey>) {
        let mut step = ReplayStep::new(input, FoldOutcome::Erased);
        if input.damage.is_some() {
            (step.folding, step.reason) = (FoldOutcome::Parked, input.damage.clone());
            return (step, None);
        }
        if input.logged.payload.is_none() {
            return (step, None);
        }
        let EventEffects {
            customer,
            subscription,
            change,
            parked,
            notes,
            timeline: _,
            links: _,
            catalogue: _,
        } = effects_of(&(&input.logged).into());
        if let Some(Parked { reason, .. }) = parked {
            (step.folding, step.reason) = (FoldOutcome::Parked, Some(reason));
            return (step, None);
        }
        step.notes = notes;
        step.subscription = subscription.or(step.subscription);
        let (change, key) = match (change, customer) {
            (Some(change), Some(key)) => (change, key),
            (_, customer) => {
                step.folding = FoldOutcome::NotFolded;
                return (step, customer);
            }
        };
        step.folding = FoldOutcome::Folded;
        if let Some(known) = self.states.get_mut(&key) {
            known.state.apply(change);
            let after = rows::rows(&key, &known.state, logic);
            let before = std::mem::replace(&mut known.rows, after);
            step.changed = changed(before, known, logic);
        }
        (step, Some(key))
    }

    /// Records the rivals of a customer's ambiguous rows.
    fn note_rivals(&mut self, key: &CustomerKey, logic: &Logic) {
        let Some(known) = self.states.get(key) else { return };
        for row in known.rows.iter().filter(|row| row.order_ambiguous) {
            for rivals in rows::rivals(key, &known.state, &row.subscription_id, logic) {
                for rival in &rivals {
                    let others = rivals.iter().filter(|other| *other != rival).cloned();
                    self.rivals.entry(rival.clone()).or_default().extend(others);
                }
            }
        }
    }
}

/// Rows that are new or changed.
fn changed(
    before: Vec<SubscriptionRow>,
    known: &ReplayedCustomer,
    logic: &Logic,
) -> Vec<RowChange> {
    let mut before: BTreeMap<SubscriptionId, SubscriptionRow> =
        before.into_iter().map(|row| (row.subscription_id.clone(), row)).collect();
    let pairs = known.rows.iter().map(|row| (before.remove(&row.subscription_id), row));
    pairs
        .filter(|(old, row)| old.as_ref() != Some(*row))
        .map(|(before, after)| {
            let judgement = rows::judgement(&known.state, &after.subscription_id, logic);
            RowChange { before, after: after.clone(), judgement }
        })
        .collect()
}

/// Envelope of an event; from the columns of the log if the body is gone or cannot be read.
fn envelope(input: &ReplayInput) -> Envelope<'_> {
    let EventFacts { scope, event_id, event_type, api_version, created, created_nanos } =
        &input.logged.facts;
    let parsed = input.logged.payload.as_deref().and_then(|body| Envelope::parse(body).ok());
    parsed.unwrap_or_else(|| Envelope {
        id: Cow::Borrowed(event_id.as_str()),
        account: Cow::Borrowed(scope.account.as_str()),
        is_account_in_context: false,
        livemode: scope.livemode,
        event_type: Cow::Borrowed(event_type),
        api_version: api_version.as_deref().map(Cow::Borrowed),
        created: *created,
        created_nanos: *created_nanos,
        object: None,
        previous_attributes: None,
        is_thin: false,
        is_observation: event_type.starts_with(TYPE_PREFIX),
    })
}
