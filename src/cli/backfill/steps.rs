//! Steps of a backfill, one after the other, with their progress and what they found.

use super::summary::{SummaryRow, Users};
use crate::backfill::{Backfill, BackfillError, BackfillOptions, FoldWait, Step, estimate};
use crate::cli::output::grouped;
use crate::cli::progress::{bar, counter};
use crate::cli::report::{is_interactive, print_message};
use crate::clock::Clock;
use crate::ids::Scope;
use crate::store::{BackfillProgress, Store, StoreError, SubscriptionFilter, SubscriptionKey};
use crate::stripe_api::ApiClient;

/// Rows that are counted at once.
const ROWS_AT_ONCE: usize = 1_000;

/// Runs the steps that are not complete, of each account.
pub(super) async fn run(
    store: &Store,
    client: &ApiClient,
    fold: &FoldWait,
    options: Vec<BackfillOptions>,
    clock: &Clock,
) -> anyhow::Result<(Vec<SummaryRow>, Users)> {
    let (mut rows, mut users) = (Vec::new(), Users::default());
    for options in options {
        let scope = options.scope.clone();
        let mut backfill = Backfill::new(store, client, fold, options.clone(), clock.clone());
        let steps = backfill.pending().await?;
        let all = Step::ALL.len() - usize::from(scope.livemode);
        if steps.len() < all || steps.iter().any(|(_, progress)| progress.seen > 0) {
            print_message("continuing the backfill that was interrupted");
        }
        for (step, progress) in steps {
            let total = total(client, step, &options, clock).await;
            let ended = show(step, &mut backfill, progress, total).await.map_err(interrupted)?;
            rows.push(SummaryRow::new(&scope, step, &ended));
        }
        fold.caught_up().await?;
        users.add(&count_users(store, &scope).await?);
    }
    Ok((rows, users))
}

/// Error of a step. What was appended before it stays.
fn interrupted(error: BackfillError) -> anyhow::Error {
    print_message("what was appended stays; `subledger backfill` goes on from here");
    match error {
        BackfillError::Api(error) => error.into(),
        BackfillError::Store(error) => error.into(),
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
