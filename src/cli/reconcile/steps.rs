//! Reconciliation of one account, with its progress.

use indicatif::ProgressBar;

use crate::backfill::{BackfillError, FoldWait};
use crate::cli::output::grouped;
use crate::cli::progress::counter;
use crate::cli::report::{is_interactive, print_message};
use crate::clock::Clock;
use crate::reconcile::{Options, Progress, Report, reconcile};
use crate::store::{BackfillProgress, Store};
use crate::stripe_api::ApiClient;

/// Reconciles an account, with a counter on a terminal and a line for each list otherwise.
pub(super) async fn run(
    store: &Store,
    client: &ApiClient,
    fold: &FoldWait,
    options: &Options,
    clock: &Clock,
) -> Result<Report, BackfillError> {
    let mut bar: Option<ProgressBar> = None;
    let mut is_healing = false;
    let ended = {
        let mut show = |progress: Progress<'_>| match progress {
            Progress::Page(step, now) => {
                bar.get_or_insert_with(|| counter(step.describe())).set_position(now.seen);
            }
            Progress::Read(step, now) => {
                if let Some(bar) = bar.take() {
                    bar.finish_and_clear();
                }
                if !is_interactive() {
                    print_message(&format!("{}: {}", step.describe(), counts(now, is_healing)));
                }
            }
            Progress::Settling(time) => print_message(&format!(
                "waiting {} s for events that may explain a difference and be late",
                time.as_secs()
            )),
            Progress::Healing => {
                is_healing = true;
                print_message("appending what Stripe shows and the log does not say");
            }
        };
        reconcile(store, client, fold, options, clock, &mut show).await
    };
    if let Some(bar) = bar.take() {
        bar.finish_and_clear();
    }
    ended
}

fn counts(progress: &BackfillProgress, is_healing: bool) -> String {
    let BackfillProgress { seen, appended, unreadable, .. } = *progress;
    let count = |number: u64| grouped(i64::try_from(number).unwrap_or(i64::MAX));
    let words = [
        Some(format!("{} seen", count(seen))),
        is_healing.then(|| format!("{} appended", count(appended))),
        (unreadable > 0).then(|| format!("{} unreadable", count(unreadable))),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
