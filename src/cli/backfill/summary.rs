//! Summary of a backfill.

use serde::Serialize;

use super::steps::count_of;
use crate::backfill::{Step, ThinOutcome};
use crate::cli::output::{self, Format, FormatArgs, stdout};
use crate::ids::{AccountId, Scope};
use crate::store::BackfillProgress;

/// Row of the summary: what a step has found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SummaryRow {
    account: AccountId,
    step: &'static str,
    seen: u64,
    confirmed: u64,
    appended: u64,
    unreadable: u64,
    #[serde(skip)]
    words: &'static str,
}

impl SummaryRow {
    /// True if objects could not be read.
    pub(super) fn has_unreadable(&self) -> bool {
        self.unreadable > 0
    }

    /// Row of the thin events. Those that could not be fetched count as unreadable.
    pub(super) fn of_thin_events(scope: &Scope, outcome: &ThinOutcome) -> Self {
        Self {
            account: scope.account.clone(),
            step: "thin_events",
            seen: outcome.seen,
            confirmed: outcome.known + outcome.confirmed,
            appended: outcome.appended,
            unreadable: outcome.failed,
            words: "what thin events name",
        }
    }

    pub(super) fn new(scope: &Scope, step: Step, progress: &BackfillProgress) -> Self {
        let BackfillProgress { seen, confirmed, appended, unreadable, .. } = *progress;
        let account = scope.account.clone();
        let (step, words) = (step.as_str(), step.describe());
        Self { account, step, seen, confirmed, appended, unreadable, words }
    }
}

/// Writes the summary to stdout.
pub(super) fn write(rows: &[SummaryRow], format: FormatArgs) -> anyhow::Result<()> {
    const COLUMNS: [&str; 6] = ["account", "step", "seen", "confirmed", "appended", "unreadable"];
    let mut out = stdout();
    match format.format {
        Format::Table => {
            let accounts = Accounts::of(rows.iter().map(|row| &row.account));
            let header = ["list", "seen", "confirmed", "appended", "unreadable"];
            let mut table = output::table(&accounts.columns(&header));
            for row in rows {
                let counts = [row.seen, row.confirmed, row.appended, row.unreadable].map(count_of);
                let cells = std::iter::once(row.words.to_owned()).chain(counts);
                output::add_row(&mut table, accounts.cells(&row.account, cells));
            }
            output::write_table(&table, &mut out)?;
        }
        Format::Json => output::write_json(&rows, &mut out)?,
        Format::Csv => output::write_csv(&COLUMNS, rows.iter(), format.cells, &mut out)?,
    }
    Ok(())
}

/// Column of the account, which a table has if a connected account is among the rows.
#[derive(Clone, Copy)]
pub(super) struct Accounts {
    are_shown: bool,
}

impl Accounts {
    pub(super) fn of<'a>(mut accounts: impl Iterator<Item = &'a AccountId>) -> Self {
        Self { are_shown: accounts.any(|account| !account.as_str().is_empty()) }
    }

    pub(super) fn columns<'c>(self, rest: &[&'c str]) -> Vec<&'c str> {
        self.are_shown.then_some("account").into_iter().chain(rest.iter().copied()).collect()
    }

    pub(super) fn cells(
        self,
        account: &AccountId,
        rest: impl IntoIterator<Item = String>,
    ) -> Vec<String> {
        let account = if account.as_str().is_empty() { "own" } else { account.as_str() };
        self.are_shown.then(|| account.to_owned()).into_iter().chain(rest).collect()
    }
}

/// Number of subscriptions with a user, and of those without one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Users {
    pub(super) with: u64,
    pub(super) without: u64,
}

impl Users {
    pub(super) fn add(&mut self, other: &Self) {
        let Self { with, without } = other;
        self.with += with;
        self.without += without;
    }

    pub(super) fn describe(self) -> String {
        let Self { with, without } = self;
        let all = count_of(with + without);
        if without == 0 {
            return format!("{all} subscriptions, all with a user");
        }
        format!(
            "{all} subscriptions, {} without a user: list them with `subledger current --no-user`",
            count_of(without)
        )
    }
}
