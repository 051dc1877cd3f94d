//! Steps of a backfill, one after the other, with their progress and what they found.

use std::time::Duration;

use super::summary::{SummaryRow, Users};
use crate::backfill::{
    self, Backfill, BackfillError, BackfillOptions, FoldWait, Step, ThinOutcome, estimate,
};
use crate::cli::accounts;
use crate::cli::output::grouped;
use crate::cli::progress::{bar, counter};
use crate::cli::report::{is_interactive, print_message};
use crate::clock::Clock;
use crate::ids::Scope;
use crate::lease::{HeldLease, Taken, Task};
use crate::store::{BackfillProgress, Log, Store, StoreError, SubscriptionFilter, SubscriptionKey};
use crate::stripe_api::ApiClient;

/// Rows that are counted at once.
const ROWS_AT_ONCE: usize = 1_000;

/// Greatest time to wait for a sync: that of an outage of days takes minutes.
const SYNC_WAIT_MAX: Duration = Duration::from_mins(10);
/// Interval between two attempts to begin after a sync.
const SYNC_CHECK_EVERY: Duration = Duration::from_millis(500);

/// Outcome of a backfill of all accounts.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) rows: Vec<SummaryRow>,
    pub(super) users: Users,
    /// Number of accounts that could not be read to their end.
    pub(super) failed: usize,
}

/// Runs the steps that are not complete, of each account. An account that fails does not hold up the others.
pub(super) async fn run(
    store: &Store,
    client: &ApiClient,
    fold: &FoldWait,
    options: Vec<BackfillOptions>,
    clock: &Clock,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let is_one = options.len() == 1;
    let mut pending = Vec::new();
    for options in &options {
        let backfill = Backfill::new(store, client, fold, options.clone(), clock.clone());
        if !backfill.is_complete().await? {
            pending.push(options);
        }
    }
    // If all are complete, all begin again. Otherwise an interrupted run of several accounts goes on.
    let accounts = if pending.is_empty() { options.iter().collect() } else { pending };
    if accounts.len() < options.len() {
        let skipped = options.len() - accounts.len();
        print_message(&format!("skipping {skipped} accounts that were read within a day"));
    }
    for options in accounts {
        match run_account(store, client, fold, options, clock, &mut outcome).await {
            Err(error) if is_one => {
                if !matches!(error, BackfillError::Busy { .. }) {
                    print_message(
                        "what was appended stays; `subledger backfill` goes on from here",
                    );
                }
                return Err(accounts::cause(error));
            }
            Err(error) => {
                outcome.failed += 1;
                let account = accounts::name(&options.scope.account);
                print_message(&format!("{account}: {error}"));
            }
            Ok(()) => {}
        }
    }
    Ok(outcome)
}

async fn run_account(
    store: &Store,
    client: &ApiClient,
    fold: &FoldWait,
    options: &BackfillOptions,
    clock: &Clock,
    outcome: &mut Outcome,
) -> Result<(), BackfillError> {
    let lease = take_lease(&store.log, &options.scope).await?;
    let ended = run_steps(store, client, fold, options, clock, outcome).await;
    if let Err(error) = lease.release().await {
        tracing::debug!(%error, "the lease of the backfill is not released: {error}");
    }
    ended
}

/// Takes the lease of the account and mode. Waits while a sync has it.
async fn take_lease(log: &Log, scope: &Scope) -> Result<HeldLease, BackfillError> {
    let watch = Clock::stopwatch();
    let mut is_said = false;
    loop {
        match HeldLease::take(log, scope, Task::Backfill).await? {
            Taken::Held(lease) => return Ok(lease),
            Taken::Busy { task: Some(Task::Sync) } if watch.elapsed() < SYNC_WAIT_MAX => {
                if !std::mem::replace(&mut is_said, true) {
                    print_message("waiting for the sync of a running service");
                }
                tokio::time::sleep(SYNC_CHECK_EVERY).await;
            }
            Taken::Busy { task } => {
                let task = task.unwrap_or(Task::Backfill);
                return Err(BackfillError::Busy { scope: scope.clone(), task });
            }
        }
    }
}

async fn run_steps(
    store: &Store,
    client: &ApiClient,
    fold: &FoldWait,
    options: &BackfillOptions,
    clock: &Clock,
    outcome: &mut Outcome,
) -> Result<(), BackfillError> {
    let scope = &options.scope;
    let mut backfill = Backfill::new(store, client, fold, options.clone(), clock.clone());
    let steps = backfill.pending().await?;
    let all = Step::ALL.len() - usize::from(scope.livemode);
    if steps.len() < all || steps.iter().any(|(_, progress)| progress.seen > 0) {
        print_message("continuing the backfill that was interrupted");
    }
    for (step, progress) in steps {
        let total = total(client, step, options, clock).await;
        let ended = show(step, &mut backfill, progress, total).await?;
        outcome.rows.push(SummaryRow::new(scope, step, &ended));
    }
    let thin = fetch_thin_events(store, client, fold, scope, clock).await?;
    if thin.seen > 0 {
        outcome.rows.push(SummaryRow::of_thin_events(scope, &thin));
    }
    fold.caught_up().await?;
    outcome.users.add(&count_users(store, scope).await?);
    Ok(())
}

/// Fetches what the thin events of an account name, round by round.
async fn fetch_thin_events(
    store: &Store,
    client: &ApiClient,
    fold: &FoldWait,
    scope: &Scope,
    clock: &Clock,
) -> Result<ThinOutcome, BackfillError> {
    let mut all = ThinOutcome::default();
    loop {
        // Each round with more behind it has made progress.
        all.add(backfill::fetch_thin_events(store, client, fold, scope, clock).await?);
        if let Some(stopped) = all.stopped {
            return Err(stopped.into());
        }
        if !all.has_more {
            return Ok(all);
        }
    }
}

/// Estimated number of objects of a step, for the bar. Lists do not say how long they are.
async fn total(
    client: &ApiClient,
    step: Step,
    options: &BackfillOptions,
    clock: &Clock,
) -> Option<u64> {
    if !is_interactive() {
        return None;
    }
    let now = clock.now().to_stripe_time();
    let list = step.list(now, options.invoices_since)?;
    // If this fails, so does the step, which says why.
    let size = estimate(client, &list, &options.scope.account, now).await.ok()?;
    Some(size.objects)
}

/// Runs a step, with a bar on a terminal and a line at its end otherwise.
async fn show(
    step: Step,
    backfill: &mut Backfill<'_>,
    progress: BackfillProgress,
    total: Option<u64>,
) -> Result<BackfillProgress, BackfillError> {
    let bar = total.map_or_else(|| counter(step.describe()), |total| bar(step.describe(), total));
    let watch = Clock::stopwatch();
    let mut report = |now: &BackfillProgress| {
        if bar.length().is_some_and(|length| length < now.seen) {
            bar.set_length(now.seen);
        }
        bar.set_position(now.seen);
    };
    let ended = backfill.run(step, progress, &mut report).await;
    bar.finish_and_clear();
    let progress = ended?;
    if !is_interactive() {
        print_message(&line(step, &progress, watch.elapsed().as_secs_f64()));
    }
    Ok(progress)
}

fn line(step: Step, progress: &BackfillProgress, seconds: f64) -> String {
    let BackfillProgress { seen, confirmed, appended, unreadable, .. } = *progress;
    let unreadable = match unreadable {
        0 => String::new(),
        count => format!(", {} unreadable", count_of(count)),
    };
    format!(
        "{}: {} seen, {} confirmed, {} appended{unreadable}, {seconds:.1} s",
        step.describe(),
        count_of(seen),
        count_of(confirmed),
        count_of(appended),
    )
}

/// Number with its thousands grouped.
pub(super) fn count_of(count: u64) -> String {
    grouped(i64::try_from(count).unwrap_or(i64::MAX))
}

async fn count_users(store: &Store, scope: &Scope) -> Result<Users, StoreError> {
    let filter = SubscriptionFilter {
        account: Some(scope.account.clone()),
        livemode: Some(scope.livemode),
        ..SubscriptionFilter::default()
    };
    let mut users = Users::default();
    let mut after: Option<SubscriptionKey> = None;
    loop {
        let read = store.read_model.subscriptions(&filter, after.as_ref(), ROWS_AT_ONCE).await?;
        let Some(last) = read.1.last() else { return Ok(users) };
        after = Some(SubscriptionKey { scope: scope.clone(), id: last.subscription_id.clone() });
        let with = read.1.iter().filter(|row| row.user_id.is_some()).count() as u64;
        users.add(&Users { with, without: read.1.len() as u64 - with });
    }
}
