//! Coverage of the ledger, kept in memory, so that health and answers about unknown users need no database.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::problem::{Problem, ProblemType};
use crate::clock::{Clock, Stopwatch};
use crate::coverage::{Coverage, CoveredBy, Gap, GapReason, Span, backfill_command};
use crate::ids::{Mode, Scope};
use crate::store::{Log, StoreError};
use crate::time::StripeTime;

/// Interval between two readings.
const READ_EVERY: Duration = Duration::from_secs(30);
/// Time limit of a reading.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Least time between two readings for the sake of an unknown user, while an account was never backfilled.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Coverage that was read last.
#[derive(Debug)]
pub struct CoverageWatch {
    log: Log,
    read: RwLock<Option<Arc<Vec<Coverage>>>>,
    /// Accounts and modes that were backfilled. They stay so.
    backfilled: RwLock<BTreeSet<Scope>>,
    /// Last reading, and true if it succeeded.
    last: Mutex<Option<(Stopwatch, bool)>>,
}

/// Gaps of accounts in one mode that were ever synced or backfilled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OpenGaps {
    /// Number of gaps.
    pub(super) gaps: usize,
    /// Start of the first gap.
    pub(super) first: Option<StripeTime>,
    /// True if Stripe no longer lists the events of a gap.
    need_backfill: bool,
}

impl CoverageWatch {
    /// Creates a watch that has read nothing yet.
    pub fn new(log: Log) -> Self {
        let (read, backfilled, last) = (RwLock::default(), RwLock::default(), Mutex::default());
        Self { log, read, backfilled, last }
    }

    /// Reads the coverage again and again, until the service stops.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let reading = async {
            loop {
                let read = self.refresh(&mut *self.last.lock().await).await;
                if let Err(error) = read {
                    tracing::debug!(%error, "the coverage could not be read: {error}");
                }
                tokio::time::sleep(READ_EVERY).await;
            }
        };
        tokio::select! {
            () = reading => {}
            () = stop.cancelled() => {}
        }
    }

    /// True if a backfill has read the account in this mode.
    ///
    /// This is in memory once it is true. Until then the log is asked, at most once a second.
    pub(super) async fn is_backfilled(&self, scope: &Scope) -> Result<bool, Problem> {
        if self.knows_backfilled(scope) {
            return Ok(true);
        }
        let mut last = self.last.lock().await;
        match *last {
            Some((watch, true)) if watch.elapsed() < ASK_EVERY => {}
            Some((watch, false)) if watch.elapsed() < ASK_EVERY => return Err(unreadable()),
            _ => self.refresh(&mut last).await?,
        }
        Ok(self.knows_backfilled(scope))
    }

    fn knows_backfilled(&self, scope: &Scope) -> bool {
        self.backfilled.read().unwrap_or_else(PoisonError::into_inner).contains(scope)
    }

    async fn refresh(&self, last: &mut Option<(Stopwatch, bool)>) -> Result<(), ReadError> {
        let read = tokio::time::timeout(READ_TIMEOUT, self.log.coverage()).await;
        *last = Some((Clock::stopwatch(), matches!(read, Ok(Ok(_)))));
        let coverage = read.map_err(|_| ReadError::TooSlow)??;
        let found = coverage.iter().filter(|it| it.is_backfilled()).map(|it| it.scope.clone());
        let found: Vec<Scope> = found.filter(|scope| !self.knows_backfilled(scope)).collect();
        if !found.is_empty() {
            let mut backfilled = self.backfilled.write().unwrap_or_else(PoisonError::into_inner);
            backfilled.extend(found);
        }
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(coverage));
        Ok(())
    }

    /// Coverage as it was read last; none before the first reading.
    pub(super) fn latest(&self) -> Option<Arc<Vec<Coverage>>> {
        self.read.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reason to report if the ledger is not known to be complete although it once was synced or backfilled.
    pub(super) fn gaps_reason(&self, mode: Mode, now: StripeTime) -> Option<String> {
        let coverage = self.latest()?;
        let OpenGaps { gaps, first, need_backfill } =
            OpenGaps::of_kept(in_mode(&coverage, mode), now);
        let first = match first? {
            Span::BEGINNING => "from the beginning on".to_owned(),
            first => format!("from {first} on"),
        };
        let gaps = if gaps == 1 { "a gap" } else { &format!("{gaps} gaps, the first") };
        let needed = if need_backfill { "a backfill is needed, and " } else { "" };
        Some(format!(
            "the ledger is not known to be complete: {gaps} {first}; {needed}`subledger coverage` lists what is missing"
        ))
    }

    /// Note if neither a backfill nor a sync has read the own account in this mode. After a sync, the time before it is
    /// a gap.
    pub(super) fn never_backfilled_note(&self, mode: Mode) -> Option<String> {
        let coverage = self.latest()?;
        let own = Scope { livemode: mode.livemode(), ..Scope::default() };
        coverage.iter().all(|it| it.scope != own).then(|| {
            let command = backfill_command(&own);
            format!("never backfilled: the ledger may not know every user; run `{command}`")
        })
    }
}

impl OpenGaps {
    /// Gaps of these accounts.
    pub(super) fn of<'a>(
        coverage: impl IntoIterator<Item = &'a Coverage>,
        now: StripeTime,
    ) -> Self {
        let gaps: Vec<Gap> = coverage.into_iter().flat_map(|it| it.open_gaps(now)).collect();
        Self::new(&gaps)
    }

    /// Gaps of these accounts, without the time since a backfill where nothing ever synced: there is no fault.
    fn of_kept<'a>(coverage: impl IntoIterator<Item = &'a Coverage>, now: StripeTime) -> Self {
        let kept = |it: &'a Coverage| {
            let is_synced = it.complete.iter().any(|span| span.by == CoveredBy::Sync);
            let gaps = it.open_gaps(now).into_iter();
            gaps.filter(move |gap| is_synced || gap.reason != GapReason::NotSynced)
        };
        let gaps: Vec<Gap> = coverage.into_iter().flat_map(kept).collect();
        Self::new(&gaps)
    }

    fn new(gaps: &[Gap]) -> Self {
        Self {
            gaps: gaps.len(),
            first: gaps.iter().map(|it| it.from).min(),
            need_backfill: gaps.iter().any(|it| it.reason.needs_backfill()),
        }
    }
}

/// Coverage of the accounts in one mode.
pub(super) fn in_mode(coverage: &[Coverage], mode: Mode) -> impl Iterator<Item = &Coverage> {
    coverage.iter().filter(move |it| it.scope.livemode == mode.livemode())
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("no answer within {} seconds", READ_TIMEOUT.as_secs())]
    TooSlow,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooSlow => unreadable(),
            ReadError::Store(error) => error.into(),
        }
    }
}

fn unreadable() -> Problem {
    Problem::new(ProblemType::StoreUnavailable, "the ledger did not respond; try again soon")
}
