//! Round of fetching: the events that thin events name, and the objects of those whose event is gone.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};

use super::find::{Referenced, known_twins, note_thin_events, references, unreadable};
use super::outcome::ThinOutcome;
use super::request::{Answer, Requests};
use crate::backfill::candidate::Candidate;
use crate::backfill::compare::compare;
use crate::backfill::{Backfill, BackfillError, BackfillOptions, FoldWait};
use crate::clock::Clock;
use crate::ids::{Position, Scope};
use crate::store::{NewEvent, Store, StoreError, ThinEvent, ThinMark};
use crate::stripe::thin::RelatedObject;
use crate::stripe_api::{ApiClient, ApiError};
use crate::time::StripeTime;

/// Thin events that one round looks at, at most.
pub const ROUND_EVENTS_MAX: usize = 2_048;

/// Thin events whose outcomes are appended and marked together.
const EVENTS_AT_ONCE: usize = 64;
/// Requests that are under way at once. The limit on the rate holds for all of them together.
const REQUESTS_AT_ONCE: usize = 8;
/// Requests in a row without an answer that end a round.
const FAILURES_IN_A_ROW_MAX: usize = 3;
/// Age of an event in seconds, up to which Stripe may not show it yet.
const YOUNG_SECONDS: i64 = 120;

/// Fetches what the waiting thin events of an account and mode name, in one bounded round. The mode must be that of the
/// client's key.
///
/// A thin event whose event is in the log already costs no request. One that fails waits for the next round and holds up
/// no other; the round ends early if the API does not answer at all. It may be cancelled at any point.
///
/// # Errors
///
/// A database fails, or the key belongs to another account. An error of the API is part of the outcome.
pub async fn fetch_thin_events(
    store: &Store,
    client: &ApiClient,
    fold: &FoldWait,
    scope: &Scope,
    clock: &Clock,
) -> Result<ThinOutcome, BackfillError> {
    note_thin_events(&store.log).await?;
    let waiting = store.log.waiting_thin_events(scope, ROUND_EVENTS_MAX).await?;
    let mut round = Round {
        store,
        client,
        fold,
        scope,
        clock,
        outcome: ThinOutcome::default(),
        denied: BTreeMap::new(),
        failures_in_a_row: 0,
        observed: BTreeMap::new(),
        missing: Vec::new(),
        is_account_known: false,
    };
    for some in waiting.chunks(EVENTS_AT_ONCE) {
        round.take(some).await?;
        if round.outcome.stopped.is_some() {
            break;
        }
    }
    round.mark_missing().await?;
    let ThinOutcome { known, appended, confirmed, gone, .. } = round.outcome;
    round.outcome.has_more = waiting.len() == ROUND_EVENTS_MAX
        && round.outcome.stopped.is_none()
        && known + appended + confirmed + gone > 0;
    Ok(round.outcome)
}

/// Round in progress.
struct Round<'a> {
    store: &'a Store,
    client: &'a ApiClient,
    fold: &'a FoldWait,
    scope: &'a Scope,
    clock: &'a Clock,
    outcome: ThinOutcome,
    /// Types that the key may not read, with the error. They are not asked for again.
    denied: BTreeMap<String, String>,
    failures_in_a_row: usize,
    /// Paths of the objects that this round observed, with the observation if it said something new. Later than every
    /// event that waited when the round began.
    observed: BTreeMap<String, Option<Position>>,
    /// Thin events with nothing at Stripe, and the paths.
    missing: Vec<(Position, String)>,
    /// True once Stripe has shown something that the ledger knows.
    is_account_known: bool,
}

/// Marks of some thin events.
type Marks = Vec<(Position, ThinMark)>;

impl<'a> Round<'a> {
    async fn take(&mut self, events: &[ThinEvent]) -> Result<(), BackfillError> {
        self.outcome.seen += events.len() as u64;
        let log = &self.store.log;
        let mut references = references(log, events).await?;
        let mut marks = known_twins(log, self.scope, &references).await?;
        self.outcome.known += marks.len() as u64;
        references.retain(|it| !marks.iter().any(|(position, _)| *position == it.position));
        references.retain(|it| match &it.reference {
            Ok(_) => true,
            Err(reason) => {
                self.outcome.gone += 1;
                marks.push((it.position, ThinMark::Gone(unreadable(reason))));
                false
            }
        });
        log.mark_thin_events(&marks).await?;
        let without_event = self.fetch_events(references).await?;
        if self.outcome.stopped.is_none() {
            self.observe_objects(without_event).await?;
        }
        Ok(())
    }

    /// Appends the events with snapshots, and returns the thin events without one.
    async fn fetch_events(
        &mut self,
        references: Vec<Referenced>,
    ) -> Result<Vec<Referenced>, BackfillError> {
        let (mut marks, mut without_event, mut asked) = (Marks::new(), Vec::new(), Vec::new());
        for it in references {
            let id = it.reference.as_ref().ok().and_then(|it| it.snapshot_event.clone());
            match id {
                Some(_) if self.is_denied(&it, &mut marks) => {}
                Some(id) => asked.push((it, id)),
                None => without_event.push(it),
            }
        }
        let requests = self.requests();
        let mut answers = stream::iter(asked)
            .map(|(it, id)| async move { (it, requests.event(id).await) })
            .buffered(REQUESTS_AT_ONCE);
        let mut found: Vec<(Position, NewEvent)> = Vec::new();
        while let Some((it, answer)) = answers.next().await {
            match answer {
                Answer::Found(event) => {
                    self.note_answer();
                    self.is_account_known = true;
                    found.push((it.position, *event));
                }
                Answer::Missing if is_young(&it, requests.now) => self.outcome.young += 1,
                Answer::Missing => without_event.push(it),
                Answer::NotRead => {}
                Answer::Unreadable(reason) => self.failed(it.position, reason, &mut marks),
                Answer::Failed(error) => self.refused(&it, error, &mut marks),
            }
            if self.outcome.stopped.is_some() {
                break;
            }
        }
        drop(answers);
        let (positions, events): (Vec<Position>, Vec<NewEvent>) = found.into_iter().unzip();
        let appended = self.append(&events).await?;
        let fetched =
            |(position, at): (Position, Position)| (position, ThinMark::Fetched(Some(at)));
        marks.extend(positions.into_iter().zip(appended).map(fetched));
        self.store.log.mark_thin_events(&marks).await?;
        Ok(without_event)
    }

    /// Observes the objects of thin events whose event Stripe no longer has, each once a round.
    async fn observe_objects(&mut self, events: Vec<Referenced>) -> Result<(), BackfillError> {
        let mut marks = Marks::new();
        let mut asked: BTreeMap<String, (RelatedObject, Vec<Referenced>)> = BTreeMap::new();
        for it in events {
            let object = it.reference.as_ref().ok().and_then(|it| it.object.clone());
            let Some(object) = object else {
                let id = it.reference.as_ref().ok().and_then(|it| it.snapshot_event.as_deref());
                let path = format!("/v1/events/{}", id.unwrap_or_default());
                self.missing(&it, path);
                continue;
            };
            if let Some(observation) = self.observed.get(&object.path) {
                self.outcome.confirmed += 1;
                marks.push((it.position, ThinMark::Fetched(*observation)));
            } else if !self.is_denied(&it, &mut marks) {
                let path = object.path.clone();
                asked.entry(path).or_insert_with(|| (object, Vec::new())).1.push(it);
            }
        }
        let requests = self.requests();
        let mut answers = stream::iter(asked.into_values())
            .map(|(object, events)| async move {
                let path = object.path.clone();
                (path, events, requests.object(object).await)
            })
            .buffered(REQUESTS_AT_ONCE);
        let mut found: Vec<(String, Vec<Referenced>, Box<Candidate>)> = Vec::new();
        while let Some((path, events, answer)) = answers.next().await {
            match answer {
                Answer::Found(candidate) => {
                    self.note_answer();
                    self.is_account_known = true;
                    found.push((path, events, candidate));
                }
                Answer::NotRead => {
                    for it in events {
                        self.outcome.gone += 1;
                        let reason = "its object is of a type that the ledger does not read";
                        marks.push((it.position, ThinMark::Gone(reason.to_owned())));
                    }
                }
                Answer::Missing => {
                    for it in events {
                        self.missing(&it, path.clone());
                    }
                }
                Answer::Unreadable(reason) => {
                    for it in events {
                        self.failed(it.position, reason.clone(), &mut marks);
                    }
                }
                Answer::Failed(error) => {
                    for it in events {
                        self.refused(&it, error.clone(), &mut marks);
                    }
                }
            }
            if self.outcome.stopped.is_some() {
                break;
            }
        }
        drop(answers);
        self.append_new(found, &mut marks).await?;
        self.store.log.mark_thin_events(&marks).await?;
        Ok(())
    }

    /// Appends the observations that say something new.
    async fn append_new(
        &mut self,
        found: Vec<(String, Vec<Referenced>, Box<Candidate>)>,
        marks: &mut Marks,
    ) -> Result<(), BackfillError> {
        if found.is_empty() {
            return Ok(());
        }
        let (mut candidates, mut named) = (Vec::new(), Vec::new());
        for (path, events, candidate) in found {
            named.push((path, events, candidate.event.facts().event_id.clone()));
            candidates.push(*candidate);
        }
        // Else what an earlier event said would be appended again.
        self.fold.caught_up().await?;
        let new = compare(&self.store.read_model, candidates).await?.new;
        let new: Vec<NewEvent> = new.into_iter().map(|it| it.event).collect();
        let appended = self.append(&new).await?;
        for (path, events, id) in named {
            let place = new.iter().position(|it| it.facts().event_id == id);
            let observation = place.and_then(|at| appended.get(at)).copied();
            self.outcome.confirmed += events.len() as u64 - u64::from(observation.is_some());
            let fetched = ThinMark::Fetched(observation);
            marks.extend(events.iter().map(|it| (it.position, fetched.clone())));
            self.observed.insert(path, observation);
        }
        Ok(())
    }

    /// Appends events, and returns their positions.
    async fn append(&mut self, events: &[NewEvent]) -> Result<Vec<Position>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let appended = self.store.log.append(events).await?;
        self.outcome.appended += appended.iter().filter(|it| !it.duplicate).count() as u64;
        Ok(appended.into_iter().map(|it| it.position).collect())
    }

    fn requests(&self) -> Requests<'a> {
        let now = self.clock.now().to_stripe_time();
        Requests { client: self.client, scope: self.scope, now }
    }

    fn note_answer(&mut self) {
        self.failures_in_a_row = 0;
    }

    /// True for a type that the key may not read. It counts as failed.
    fn is_denied(&mut self, it: &Referenced, marks: &mut Marks) -> bool {
        let Some(error) = self.denied.get(&it.event_type).cloned() else { return false };
        self.failed(it.position, error, marks);
        true
    }

    fn failed(&mut self, position: Position, error: String, marks: &mut Marks) {
        self.outcome.failed += 1;
        // The others are in the outcome, and each has its error beside the log.
        if self.outcome.failed == 1 {
            tracing::warn!(
                position = position.0,
                "a thin event waits, because it could not be fetched: {error}"
            );
        }
        marks.push((position, ThinMark::Failed(error)));
    }

    /// Notes a request that failed, and ends the round if no other would succeed.
    fn refused(&mut self, it: &Referenced, error: ApiError, marks: &mut Marks) {
        self.failed(it.position, error.to_string(), marks);
        let is_over = match &error {
            ApiError::Unavailable { .. } => {
                self.failures_in_a_row += 1;
                self.failures_in_a_row >= FAILURES_IN_A_ROW_MAX
            }
            ApiError::PermissionMissing { .. } => {
                self.note_answer();
                self.denied.insert(it.event_type.clone(), error.to_string());
                false
            }
            ApiError::KeyRefused { .. }
            | ApiError::AccountRefused { .. }
            | ApiError::Redirected { .. }
            | ApiError::NoDate { .. }
            | ApiError::NoCertificates
            | ApiError::Client(_) => true,
            _ => false,
        };
        if is_over {
            self.outcome.stopped = Some(error);
        }
    }

    /// Notes that Stripe has nothing at a path.
    fn missing(&mut self, it: &Referenced, path: String) {
        self.note_answer();
        if is_young(it, self.clock.now().to_stripe_time()) {
            self.outcome.young += 1;
        } else {
            self.missing.push((it.position, path));
        }
    }

    /// Marks the thin events with nothing at Stripe as gone. That is final, so the key must have shown something of the
    /// account of the ledger.
    async fn mark_missing(&mut self) -> Result<(), BackfillError> {
        let missing = std::mem::take(&mut self.missing);
        if missing.is_empty() || (self.outcome.stopped.is_some() && !self.is_account_known) {
            return Ok(());
        }
        if !self.is_account_known {
            let scope = self.scope.clone();
            let options = BackfillOptions { scope, invoices_since: StripeTime::default() };
            let (store, clock) = (self.store, self.clock.clone());
            let backfill = Backfill::new(store, self.client, self.fold, options, clock);
            self.is_account_known = match backfill.is_account_known().await {
                // They wait for the next round.
                Err(BackfillError::Api(error)) => {
                    self.outcome.stopped = Some(error);
                    return Ok(());
                }
                known => known?,
            };
        }
        let mut marks = Marks::new();
        for (position, path) in missing {
            let nothing = format!("Stripe has nothing at {path}");
            if self.is_account_known {
                self.outcome.gone += 1;
                marks.push((position, ThinMark::Gone(nothing)));
            } else {
                let doubt = "check that the API key belongs to the account of these events";
                self.failed(position, format!("{nothing}, nor anything else: {doubt}"), &mut marks);
            }
        }
        Ok(self.store.log.mark_thin_events(&marks).await?)
    }
}

/// True if the event may not be visible yet.
fn is_young(it: &Referenced, now: StripeTime) -> bool {
    now.0.abs_diff(it.created.0) <= YOUNG_SECONDS.unsigned_abs()
}
