//! View of the coverage of all accounts and modes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::coverage::{Coverage, CoveredBy, Gap, GapReason, MissedDeliveries, Span};
use crate::ids::{AccountId, Mode, Scope};
use crate::store::{Log, StoreError, SyncState};
use crate::time::{ReceivedAt, StripeTime};

/// Greatest number of accounts and modes in a view.
pub const ACCOUNTS_MAX: usize = 1_000;
/// Greatest number of runs of missed deliveries of an account and mode in a view: the latest ones.
pub const RUNS_MAX: usize = 100;

/// Coverage of all accounts and modes, the platform's own account first.
#[derive(Clone, Debug, Serialize)]
pub struct CoverageView {
    /// Coverage of each account and mode.
    pub data: Vec<AccountCoverage>,
    /// True if there are more accounts than [`ACCOUNTS_MAX`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// Coverage of an account and mode.
#[derive(Clone, Debug, Serialize)]
pub struct AccountCoverage {
    /// Account; empty for the platform's own.
    pub account: AccountId,
    /// `live` or `test`.
    pub mode: &'static str,
    /// Complete spans, sorted by time.
    pub complete: Vec<CompleteView>,
    /// Gaps that need attention, sorted by time.
    pub gaps: Vec<GapView>,
    /// Deliveries that no webhook brought.
    pub missed: MissedView,
    /// End of the last sync that succeeded.
    pub synced_at: Option<ReceivedAt>,
    /// Error of the last sync.
    pub error: Option<String>,
    /// Webhook endpoints as Stripe's API showed them last.
    pub endpoints: Option<Box<RawValue>>,
}

/// Complete span.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CompleteView {
    /// First second; none for the beginning of the account.
    pub from: Option<StripeTime>,
    /// Second of its end.
    pub to: StripeTime,
    /// Reason why it is complete.
    pub by: CoveredBy,
}

/// Gap that needs attention.
#[derive(Clone, Debug, Serialize)]
pub struct GapView {
    /// First second; none for the beginning of the account.
    pub from: Option<StripeTime>,
    /// Second of its end.
    pub to: StripeTime,
    /// Reason.
    pub reason: GapReason,
    /// Advice for the operator.
    #[serde(skip)]
    pub advice: String,
}

/// Deliveries that no webhook brought.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MissedView {
    /// Number of events in total.
    pub events: u64,
    /// Latest runs of them, at most [`RUNS_MAX`], sorted by time.
    pub runs: Vec<RunView>,
}

/// Run of deliveries that no webhook brought.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RunView {
    /// Second of the first event.
    pub from: StripeTime,
    /// Second of the last event.
    pub to: StripeTime,
    /// Number of events.
    pub events: u64,
}

impl CoverageView {
    /// Reads the coverage. The platform's own account in this mode is always contained.
    pub async fn read(log: &Log, mode: Mode, now: StripeTime) -> Result<Self, StoreError> {
        Ok(Self::new(log.coverage().await?, log.sync_states().await?, mode, now))
    }

    /// View of what was recorded, at this instant.
    pub fn new(
        coverage: Vec<Coverage>,
        states: Vec<SyncState>,
        mode: Mode,
        now: StripeTime,
    ) -> Self {
        let mut found: BTreeMap<Scope, (Coverage, SyncState)> = BTreeMap::new();
        let unknown = |scope: Scope| {
            let (complete, missed) = (Vec::new(), Vec::new());
            let state = SyncState { scope: scope.clone(), ..SyncState::default() };
            (Coverage { scope, complete, missed }, state)
        };
        let own = Scope { account: AccountId::default(), livemode: mode.livemode() };
        found.insert(own.clone(), unknown(own));
        for it in coverage {
            let scope = it.scope.clone();
            found.entry(scope.clone()).or_insert_with(|| unknown(scope)).0 = it;
        }
        for it in states {
            let scope = it.scope.clone();
            found.entry(scope.clone()).or_insert_with(|| unknown(scope)).1 = it;
        }
        let truncated = found.len() > ACCOUNTS_MAX;
        let some = found.into_values().take(ACCOUNTS_MAX);
        let data = some.map(|(coverage, state)| AccountCoverage::new(coverage, state, now));
        Self { data: data.collect(), truncated }
    }

    /// Coverage of the platform's own account in this mode.
    pub fn own(&self, mode: Mode) -> Option<&AccountCoverage> {
        let is_own =
            |it: &&AccountCoverage| it.account.as_str().is_empty() && it.mode == mode.as_str();
        self.data.iter().find(is_own)
    }
}

impl AccountCoverage {
    fn new(coverage: Coverage, state: SyncState, now: StripeTime) -> Self {
        let gaps = coverage.open_gaps(now);
        let Coverage { scope, complete, missed } = coverage;
        let runs = &missed[missed.len().saturating_sub(RUNS_MAX)..];
        Self {
            mode: Mode::from_livemode(scope.livemode).as_str(),
            complete: complete.iter().map(CompleteView::new).collect(),
            gaps: gaps.iter().map(|gap| GapView::new(gap, &scope, now)).collect(),
            missed: MissedView {
                events: missed.iter().map(|run| run.events).sum(),
                runs: runs.iter().map(RunView::new).collect(),
            },
            synced_at: state.synced_at,
            error: state.error,
            endpoints: state.endpoints.and_then(|json| RawValue::from_string(json).ok()),
            account: scope.account,
        }
    }
}

impl CompleteView {
    fn new(Span { from, to, by }: &Span) -> Self {
        Self { from: after_the_beginning(*from), to: *to, by: *by }
    }
}

impl GapView {
    fn new(gap: &Gap, scope: &Scope, now: StripeTime) -> Self {
        let advice = gap.advice(scope, now);
        Self { from: after_the_beginning(gap.from), to: gap.to, reason: gap.reason, advice }
    }
}

impl RunView {
    fn new(MissedDeliveries { from, to, events }: &MissedDeliveries) -> Self {
        Self { from: *from, to: *to, events: *events }
    }
}

fn after_the_beginning(from: StripeTime) -> Option<StripeTime> {
    (from != Span::BEGINNING).then_some(from)
}
