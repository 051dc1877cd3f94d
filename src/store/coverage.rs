//! Coverage of each account and mode, kept beside the log.

use std::collections::BTreeMap;

use super::db::{Row, Session};
use super::error::StoreError;
use super::leases::TaskLease;
use super::log::Log;
use crate::coverage::{Coverage, CoveredBy, MissedDeliveries, Span, add_missed, add_span};
use crate::ids::{AccountId, Scope};
use crate::time::StripeTime;

impl Log {
    /// Reads the coverage of all accounts and modes that were ever backfilled or synced.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn coverage(&self) -> Result<Vec<Coverage>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let mut found: BTreeMap<Scope, Coverage> = BTreeMap::new();
        for row in session.query(sql::SPANS).fetch_all().await? {
            entry(&mut found, scope(&row)?).complete.push(span(&row, 2)?);
        }
        for row in session.query(sql::MISSED).fetch_all().await? {
            entry(&mut found, scope(&row)?).missed.push(missed(&row, 2)?);
        }
        Ok(found.into_values().collect())
    }

    /// Records that a span is complete, with the events of it that no webhook had delivered, if there were any.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn record_coverage(
        &self,
        of: &Scope,
        added: Span,
        missed_deliveries: Option<MissedDeliveries>,
    ) -> Result<(), StoreError> {
        let mut write = self.0.db.write().await?;
        write_coverage(&mut write.session(), of, added, missed_deliveries).await?;
        write.commit().await
    }

    /// Like [`Self::record_coverage`], if this process still holds the lease. `false` if another process has taken it:
    /// then nothing is recorded.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn record_coverage_under(
        &self,
        lease: &TaskLease,
        of: &Scope,
        added: Span,
        missed_deliveries: Option<MissedDeliveries>,
    ) -> Result<bool, StoreError> {
        let mut write = self.0.db.write().await?;
        let mut session = write.session();
        if !lease.is_held(&mut session).await? {
            write.rollback().await?;
            return Ok(false);
        }
        // A sync that was stopped while it recorded the span may have done so all the same. Its missed deliveries must
        // not be counted twice.
        let spans = spans_of(&mut session, of).await?;
        let is_known = spans.iter().any(|it| it.from <= added.from && it.to >= added.to);
        let missed_deliveries = missed_deliveries.filter(|_| !is_known);
        write_coverage(&mut session, of, added, missed_deliveries).await?;
        write.commit().await?;
        Ok(true)
    }
}

async fn spans_of(session: &mut Session<'_>, of: &Scope) -> Result<Vec<Span>, StoreError> {
    let query = session.query(sql::SPANS_OF).bind(of.account.as_str()).bind(of.livemode);
    query.fetch_all().await?.iter().map(|row| span(row, 0)).collect()
}

async fn write_coverage(
    session: &mut Session<'_>,
    of: &Scope,
    added: Span,
    missed_deliveries: Option<MissedDeliveries>,
) -> Result<(), StoreError> {
    let (account, livemode) = (of.account.as_str(), of.livemode);
    let mut spans = spans_of(session, of).await?;
    add_span(&mut spans, added);
    session.query(sql::CLEAR_SPANS).bind(account).bind(livemode).execute().await?;
    for Span { from, to, by } in spans {
        let query = session.query(sql::ADD_SPAN).bind(account).bind(livemode);
        query.bind(from.0).bind(to.0).bind(by.as_str()).execute().await?;
    }
    match missed_deliveries {
        Some(added) => write_missed(session, of, added).await,
        None => Ok(()),
    }
}

async fn write_missed(
    session: &mut Session<'_>,
    of: &Scope,
    added: MissedDeliveries,
) -> Result<(), StoreError> {
    let (account, livemode) = (of.account.as_str(), of.livemode);
    let rows = session.query(sql::MISSED_OF).bind(account).bind(livemode).fetch_all().await?;
    let before = rows.iter().map(|row| missed(row, 0)).collect::<Result<Vec<_>, _>>()?;
    let mut after = before.clone();
    add_missed(&mut after, added);
    for run in before.iter().filter(|it| !has(&after, it)) {
        let query = session.query(sql::REMOVE_MISSED).bind(account).bind(livemode);
        query.bind(run.from.0).execute().await?;
    }
    for run in after.iter().filter(|it| !has(&before, it)) {
        let query = session.query(sql::ADD_MISSED).bind(account).bind(livemode);
        let events = i64::try_from(run.events).unwrap_or(i64::MAX);
        query.bind(run.from.0).bind(run.to.0).bind(events).execute().await?;
    }
    Ok(())
}

/// True if a run is among sorted ones.
fn has(runs: &[MissedDeliveries], run: &MissedDeliveries) -> bool {
    let at = runs.binary_search_by_key(&run.from, |it| it.from);
    at.is_ok_and(|at| runs[at] == *run)
}

fn entry(found: &mut BTreeMap<Scope, Coverage>, scope: Scope) -> &mut Coverage {
    found.entry(scope.clone()).or_insert_with(|| Coverage {
        scope,
        complete: Vec::new(),
        missed: Vec::new(),
    })
}

fn scope(row: &Row) -> Result<Scope, StoreError> {
    Ok(Scope { account: AccountId::new(row.get::<String, _>(0)?), livemode: row.get(1)? })
}

/// Span in three columns from `first` on.
fn span(row: &Row, first: usize) -> Result<Span, StoreError> {
    let by: String = row.get(first + 2)?;
    let by = CoveredBy::from_name(&by)
        .ok_or_else(|| StoreError::Corrupt(format!("coverage by `{by}` is unknown")))?;
    let (from, to) = (StripeTime(row.get(first)?), StripeTime(row.get(first + 1)?));
    Ok(Span { from, to, by })
}

fn missed(row: &Row, first: usize) -> Result<MissedDeliveries, StoreError> {
    let events: i64 = row.get(first + 2)?;
    let (from, to) = (StripeTime(row.get(first)?), StripeTime(row.get(first + 1)?));
    Ok(MissedDeliveries { from, to, events: events.unsigned_abs() })
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        SPANS = "SELECT account, livemode, from_at, to_at, by_what FROM coverage ORDER BY account, livemode, from_at";
        SPANS_OF = "SELECT from_at, to_at, by_what FROM coverage WHERE account = $1 AND livemode = $2 ORDER BY from_at";
        CLEAR_SPANS = "DELETE FROM coverage WHERE account = $1 AND livemode = $2";
        ADD_SPAN = "INSERT INTO coverage (account, livemode, from_at, to_at, by_what) VALUES ($1, $2, $3, $4, $5)";
        MISSED = "SELECT account, livemode, from_at, to_at, events FROM missed_deliveries ORDER BY account, livemode, from_at";
        MISSED_OF = "SELECT from_at, to_at, events FROM missed_deliveries WHERE account = $1 AND livemode = $2
            ORDER BY from_at";
        REMOVE_MISSED = "DELETE FROM missed_deliveries WHERE account = $1 AND livemode = $2 AND from_at = $3";
        ADD_MISSED = "INSERT INTO missed_deliveries (account, livemode, from_at, to_at, events) VALUES ($1, $2, $3, $4, $5)";
    }
}
