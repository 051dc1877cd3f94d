//! Run of a reconciliation: reads the lists, judges what differs, and heals it if asked to.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::class::Class;
use super::collector::Collector;
use super::fields::Content;
use super::held::HeldEvents;
use super::judge::{Customer, judge};
use super::report::{Difference, Healing, Report};
use crate::backfill::{
    Appender, BackfillError, Extent, FoldWait, List, Reader, Sink, Step, states_of,
};
use crate::clock::Clock;
use crate::ids::{CustomerKey, InvoiceId, Scope, SubscriptionId};
use crate::projection::rows::rows;
use crate::projection::state::CustomerState;
use crate::projector::logic_of;
use crate::store::{BackfillProgress, Store, StoreError};
use crate::stripe_api::ApiClient;
use crate::time::{DAY_SECONDS, StripeTime};

/// Age of the oldest invoices that are listed whatever their status, in days: more than a monthly period.
const INVOICE_DAYS: i64 = 40;
/// Age of the oldest events that are listed a second time, because the list is late, in seconds before the start.
const RELISTED_SECONDS: i64 = 600;
/// Invoices that are asked for one by one, at most.
const INVOICES_MAX: usize = 10_000;
/// Customers that are judged at once.
const CUSTOMERS_AT_ONCE: usize = 200;

/// Options of a reconciliation.
#[derive(Clone, Debug)]
pub struct Options {
    /// Account and mode.
    pub scope: Scope,
    /// True to append what heals the differences.
    pub apply: bool,
    /// Time that late events get to arrive, before a difference that nothing explains is taken for drift.
    pub settle: Duration,
    /// Lists that are read.
    pub steps: Vec<Step>,
}

impl Options {
    /// Lists that show the current state. Names of products and prices are no drift.
    pub const STEPS: [Step; 9] = [
        Step::Events,
        Step::Customers,
        Step::Subscriptions,
        Step::TestClocks,
        Step::Schedules,
        Step::CheckoutSessions,
        Step::Invoices,
        Step::Remaining,
        Step::Entitlements,
    ];
    /// Default of [`Self::settle`]: Stripe's lists are late by up to a minute.
    pub const SETTLE: Duration = Duration::from_mins(1);

    /// Options that read everything and append nothing.
    pub fn new(scope: Scope) -> Self {
        Self { scope, apply: false, settle: Self::SETTLE, steps: Self::STEPS.to_vec() }
    }
}

/// Progress of a reconciliation.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A page of a list was read.
    Page(Step, &'a BackfillProgress),
    /// A list was read to its end.
    Read(Step, &'a BackfillProgress),
    /// The reconciliation waits for events that may be late.
    Settling(Duration),
    /// The lists are read again, to append what heals the differences.
    Healing,
}

/// Function that is told the progress.
pub type OnProgress<'r> = &'r mut (dyn FnMut(Progress<'_>) + Send);

/// Compares Stripe's current state with the ledger, heals the differences if asked to, and stores the report.
///
/// Fails if the API or a database fails, or if the key belongs to another account. Nothing was appended then, unless it
/// fails while it heals; the next run finds what is left.
pub async fn reconcile(
    store: &Store,
    client: &ApiClient,
    fold: &FoldWait,
    options: &Options,
    clock: &Clock,
    on_progress: OnProgress<'_>,
) -> Result<Report, BackfillError> {
    let run = Run { store, client, fold, options, clock };
    let (mut report, invoices) = run.compare(on_progress).await?;
    let is_to_heal = report.differing > 0 || report.missed_events > 0;
    if options.apply && is_to_heal {
        on_progress(Progress::Healing);
        run.heal(&mut report, &invoices, on_progress).await?;
    }
    report.hide_addresses();
    let json = report.to_stored_json();
    store.log.record_drift(&options.scope, clock.now(), &json).await?;
    Ok(report)
}

#[derive(Clone, Copy)]
struct Run<'a> {
    store: &'a Store,
    client: &'a ApiClient,
    fold: &'a FoldWait,
    options: &'a Options,
    clock: &'a Clock,
}

impl<'a> Run<'a> {
    fn reader<S: Sink>(&self, sink: S) -> Reader<'a, S> {
        let (scope, clock) = (self.options.scope.clone(), self.clock.clone());
        Reader::new((self.store, self.client), scope, Extent::Current, clock, sink)
    }

    /// Reads the lists and judges the differences. Returns also the invoices that were asked for one by one.
    async fn compare(
        &self,
        on_progress: OnProgress<'_>,
    ) -> Result<(Report, Vec<InvoiceId>), BackfillError> {
        self.fold.caught_up().await?;
        let scope = self.options.scope.clone();
        let collector = Collector::new(self.store, self.fold, scope, self.clock.clone());
        let mut reader = self.reader(collector);
        reader.check_account().await?;
        let started_at = self.clock.now().to_stripe_time();
        let totals = self.read_all(&mut reader, started_at, on_progress).await?;
        self.relist_events(&mut reader, started_at).await?;
        let (mut report, mut invoices) = self.judge_all(&mut reader.sink).await?;
        if !invoices.is_empty() {
            // They are older than the lists, and decide about access.
            let mut progress = BackfillProgress::default();
            reader.read_invoices(&invoices, &mut progress).await?;
            report = self.judge_all(&mut reader.sink).await?.0;
        }
        if report.differences.iter().any(may_settle) && !self.options.settle.is_zero() {
            on_progress(Progress::Settling(self.options.settle));
            tokio::time::sleep(self.options.settle).await;
            self.relist_events(&mut reader, started_at).await?;
            report = self.judge_all(&mut reader.sink).await?.0;
        }
        report.unreadable = totals.unreadable;
        // Once the lists are folded, these are not the latest ones any more, and nobody would ask for them.
        let differing: HashSet<&SubscriptionId> =
            report.differences.iter().map(|it| &it.subscription_id).collect();
        let asked = reader.asked_invoices.into_iter().filter(|(id, _)| differing.contains(id));
        invoices.extend(asked.map(|(_, invoice)| invoice));
        Ok((report, invoices))
    }

    /// Reads all lists.
    async fn read_all<S: Sink>(
        &self,
        reader: &mut Reader<'a, S>,
        started_at: StripeTime,
        on_progress: OnProgress<'_>,
    ) -> Result<Totals, BackfillError> {
        let mut totals = Totals::default();
        for &step in &self.options.steps {
            if !self.includes(step) {
                continue;
            }
            let mut progress =
                BackfillProgress { step: step.as_str().to_owned(), ..Default::default() };
            for list in lists(step, started_at) {
                progress.cursor = None;
                let mut report = |it: &BackfillProgress| on_progress(Progress::Page(step, it));
                // What an earlier list brought is folded, or it would be appended again.
                reader.sink.caught_up().await?;
                reader.read(step, list.as_ref(), &mut progress, &mut report).await?;
            }
            totals.appended += progress.appended;
            totals.unreadable += progress.unreadable;
            on_progress(Progress::Read(step, &progress));
        }
        Ok(totals)
    }

    fn key(&self, difference: &Difference) -> CustomerKey {
        let (scope, customer) = (self.options.scope.clone(), difference.customer_id.clone());
        CustomerKey { scope, customer }
    }

    fn includes(&self, step: Step) -> bool {
        step != Step::TestClocks || !self.options.scope.livemode
    }

    /// Lists the latest events again: what changed after the list was read, or was in it too late.
    async fn relist_events(
        &self,
        reader: &mut Reader<'a, Collector<'a>>,
        started_at: StripeTime,
    ) -> Result<(), BackfillError> {
        if self.options.steps.contains(&Step::Events) {
            let list = events_since(StripeTime(started_at.0 - RELISTED_SECONDS));
            let mut progress = BackfillProgress::default();
            reader.read(Step::Events, Some(&list), &mut progress, &mut |_| ()).await?;
        }
        Ok(())
    }

    /// Judges what was collected against the current state of the ledger, which may have heard of it meanwhile. Returns
    /// also the latest invoices of which nothing is known.
    async fn judge_all(
        &self,
        collector: &mut Collector<'_>,
    ) -> Result<(Report, Vec<InvoiceId>), BackfillError> {
        self.fold.caught_up().await?;
        let Scope { account, livemode } = self.options.scope.clone();
        let now = self.clock.now().to_stripe_time();
        let mut report = Report {
            account,
            livemode,
            compared_at: now,
            compared: collector.compared,
            missed_events: collector.missed_events,
            customers_left_out: collector.left_out,
            ..Report::default()
        };
        let mut invoices = Vec::new();
        if collector.found.is_empty() {
            return Ok((report, invoices));
        }
        let live = self.store.read_model.live().await?.ok_or(StoreError::ReadModelBuilding)?;
        let logic = logic_of(&live)?;
        let held = HeldEvents::read(self.store, &self.options.scope).await?;
        let customers: Vec<CustomerKey> = collector.found.keys().cloned().collect();
        for keys in customers.chunks(CUSTOMERS_AT_ONCE) {
            let states = states_of(&self.store.read_model, live.tables(), keys).await?;
            let nothing = CustomerState::default();
            for key in keys {
                let Some(found) = collector.found.get_mut(key) else { continue };
                held.announce(found);
                let known = states.get(key).unwrap_or(&nothing);
                let customer = Customer { key, known, found };
                for judged in judge(&customer, &held, &logic, now) {
                    report.add(judged.difference, &judged.amount);
                    let has_room = invoices.len() < INVOICES_MAX;
                    invoices.extend(judged.unknown_invoice.filter(|_| has_room));
                }
            }
        }
        Ok((report, invoices))
    }

    /// Appends what the lists show and the log does not say, and notes what agrees then.
    async fn heal(
        &self,
        report: &mut Report,
        invoices: &[InvoiceId],
        on_progress: OnProgress<'_>,
    ) -> Result<(), BackfillError> {
        let mut reader = self.reader(Appender::without_progress(self.store, self.fold));
        let started_at = self.clock.now().to_stripe_time();
        let Totals { appended, .. } = self.read_all(&mut reader, started_at, on_progress).await?;
        self.fold.caught_up().await?;
        let mut progress = BackfillProgress::default();
        reader.read_invoices(invoices, &mut progress).await?;
        let appended = appended + progress.appended;
        self.fold.caught_up().await?;
        let mut healing = Healing { appended, ..Healing::default() };
        let live = self.store.read_model.live().await?.ok_or(StoreError::ReadModelBuilding)?;
        let logic = logic_of(&live)?;
        let keys: BTreeSet<CustomerKey> =
            report.differences.iter().map(|it| self.key(it)).collect();
        let keys: Vec<CustomerKey> = keys.into_iter().collect();
        let mut contents = HashMap::new();
        for keys in keys.chunks(CUSTOMERS_AT_ONCE) {
            let states = states_of(&self.store.read_model, live.tables(), keys).await?;
            for key in keys {
                let Some(state) = states.get(key) else { continue };
                let rows = rows(key, state, &logic);
                contents
                    .extend(rows.iter().map(|row| (row.subscription_id.clone(), Content::of(row))));
            }
        }
        for difference in &mut report.differences {
            let row = contents.get(&difference.subscription_id);
            let is_healed = row.is_some_and(|row| agrees(difference, row));
            difference.is_healed = Some(is_healed);
            *(if is_healed { &mut healing.healed } else { &mut healing.remaining }) += 1;
        }
        report.healing = Some(healing);
        Ok(())
    }
}

/// Number of objects that were read, by what became of them.
#[derive(Default)]
struct Totals {
    appended: u64,
    unreadable: u64,
}

/// True if the row of the ledger is as Stripe showed it. Behind a deleted draft there may be another one, which shows
/// only when the first is gone, so a latest invoice that is another one counts as well.
fn agrees(difference: &Difference, row: &Content) -> bool {
    difference.fields.iter().all(|it| {
        let now = row.get(&it.field);
        *now == it.stripe || (it.field.starts_with("latest_invoice") && *now != it.ledger)
    })
}

/// Lists of a step; none for a step that reads several.
fn lists(step: Step, started_at: StripeTime) -> Vec<Option<List>> {
    let since = StripeTime(started_at.0 - INVOICE_DAYS * DAY_SECONDS);
    let mut lists = vec![step.list(started_at, since)];
    if step == Step::Invoices {
        lists.extend(["open", "draft"].map(|status| {
            Some(List { path: "/v1/invoices", query: vec![("status", status.to_owned())] })
        }));
    }
    lists
}

fn events_since(at: StripeTime) -> List {
    List { path: "/v1/events", query: vec![("created[gte]", at.0.to_string())] }
}

/// True if an event that is late may still explain the difference.
fn may_settle(difference: &Difference) -> bool {
    let Difference { class, event_count, .. } = difference;
    *event_count == 0
        && matches!(class, Class::MissedDelivery | Class::UserDiffers | Class::DeletedCustomer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles only if a task can run a reconciliation on any thread.
    #[expect(dead_code, reason = "it is compiled and not called")]
    fn is_send(
        (store, client, fold): (&Store, &ApiClient, &FoldWait),
        (options, clock): (&Options, &Clock),
        on_progress: OnProgress<'_>,
    ) {
        fn check(_: impl Send) {}
        check(reconcile(store, client, fold, options, clock, on_progress));
    }

    #[test]
    fn open_invoices_and_drafts_are_listed_whatever_their_age() {
        let lists = lists(Step::Invoices, StripeTime(100 * DAY_SECONDS));
        let queries: Vec<_> = lists.iter().flatten().map(|it| it.query[0].clone()).collect();
        let since = (60 * DAY_SECONDS).to_string();
        let expected = [("created[gte]", since.as_str()), ("status", "open"), ("status", "draft")];
        let expected = expected.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(queries, expected);
    }
}
