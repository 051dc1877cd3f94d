//! Thin events of the log, and what was fetched for them, kept beside the log.
//!
//! A cursor says up to which position the log was searched. It advances in the transaction that notes what was found,
//! so no thin event is left out or noted twice, whoever searches.

use super::db::{Row, Statement};
use super::error::StoreError;
use super::log::Log;
use crate::ids::{AccountId, EventId, Position, Scope};

/// Greatest size of the body of a thin event that is read, in bytes. Stripe's are below one kilobyte.
pub const THIN_BODY_BYTES_MAX: i64 = 64 * 1024;

/// Thin event of the log, before it is noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundThinEvent {
    /// Position in the log.
    pub position: Position,
    /// Account and mode.
    pub scope: Scope,
    /// Type, which begins with `v1.`.
    pub event_type: String,
    /// Body; none if it was erased, or is larger than [`THIN_BODY_BYTES_MAX`].
    pub body: Option<String>,
}

/// Thin event to be noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewThinEvent {
    /// Position in the log.
    pub position: Position,
    /// Account and mode.
    pub scope: Scope,
    /// Id of the object that it names.
    pub object_id: Option<String>,
    /// Reason why nothing can be fetched; none if it waits.
    pub gone: Option<String>,
}

/// State of a thin event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinState {
    /// Nothing was fetched yet.
    Waiting,
    /// State of one whose event or object is in the log.
    Fetched,
    /// Stripe shows what it names no more, or it names nothing that can be read.
    Gone,
}

/// Noted thin event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThinEvent {
    /// Position in the log.
    pub position: Position,
    /// Id of the thin event itself.
    pub event_id: EventId,
    /// Account and mode.
    pub scope: Scope,
    /// State.
    pub state: ThinState,
    /// Id of the object that it names.
    pub object_id: Option<String>,
    /// Event or observation that was fetched. None also if the object said nothing new.
    pub fetched: Option<FetchedEvent>,
    /// Number of attempts that failed.
    pub attempts: u64,
    /// Error of the last attempt, or the reason why it is gone.
    pub error: Option<String>,
}

/// Event or observation that was fetched for a thin event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedEvent {
    /// Position in the log.
    pub position: Position,
    /// Id.
    pub event_id: EventId,
}

/// Outcome of fetching what a thin event names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThinMark {
    /// Mark of one whose event or object is in the log: at this position, or nowhere because it says nothing new.
    Fetched(Option<Position>),
    /// Stripe shows it no more, for this reason.
    Gone(String),
    /// The attempt failed with this error. It still waits.
    Failed(String),
}

/// Number of thin events of an account and mode that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThinWaiting {
    /// Account and mode.
    pub scope: Scope,
    /// Number of thin events that wait to be fetched.
    pub waiting: u64,
    /// Number of those whose last attempt failed.
    pub failing: u64,
}

impl Log {
    /// Position up to which the log was searched for thin events.
    pub async fn thin_cursor(&self) -> Result<Position, StoreError> {
        let mut reader = self.0.db.read().await?;
        let row = reader.session().query(sql::CURSOR).fetch_one().await?;
        Ok(Position(row.get(0)?))
    }

    /// Finds the events of types that begin with `v1.`, after one position and up to another. Reads every row of that
    /// range.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_thin_events(
        &self,
        after: Position,
        up_to: Position,
    ) -> Result<Vec<FoundThinEvent>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let query = session.query(sql::FIND).bind(after.0).bind(up_to.0).bind(THIN_BODY_BYTES_MAX);
        let rows = query.fetch_all().await?;
        rows.iter()
            .map(|row| {
                Ok(FoundThinEvent {
                    position: Position(row.get(0)?),
                    scope: scope(row, 1)?,
                    event_type: row.get(3)?,
                    body: row.get(4)?,
                })
            })
            .collect()
    }

    /// Notes thin events and advances the cursor, in one transaction. False if another process has moved the cursor
    /// from `after`: then nothing is noted.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn note_thin_events(
        &self,
        after: Position,
        up_to: Position,
        events: &[NewThinEvent],
    ) -> Result<bool, StoreError> {
        let mut write = self.0.db.write().await?;
        let mut session = write.session();
        let query = session.query(sql::ADVANCE).bind(after.0).bind(up_to.0);
        if query.fetch_optional().await?.is_none() {
            write.rollback().await?;
            return Ok(false);
        }
        session
            .bulk(sql::NOTE, events, |to, event| {
                to.integer(event.position.0);
                to.text(event.scope.account.as_str());
                to.bool(event.scope.livemode);
                to.text(if event.gone.is_some() { "gone" } else { "waiting" });
                to.text(event.object_id.as_deref());
                to.text(event.gone.as_deref());
            })
            .await?;
        write.commit().await?;
        Ok(true)
    }

    /// Thin events of an account and mode that wait: those that failed least often first, by position.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn waiting_thin_events(
        &self,
        of: &Scope,
        limit: usize,
    ) -> Result<Vec<ThinEvent>, StoreError> {
        self.waiting_by(sql::WAITING, of, limit).await
    }

    /// Latest thin events of an account and mode that wait.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn latest_waiting_thin_events(
        &self,
        of: &Scope,
        limit: usize,
    ) -> Result<Vec<ThinEvent>, StoreError> {
        self.waiting_by(sql::LATEST_WAITING, of, limit).await
    }

    async fn waiting_by(
        &self,
        statement: Statement,
        of: &Scope,
        limit: usize,
    ) -> Result<Vec<ThinEvent>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let query = session.query(statement).bind(of.account.as_str()).bind(of.livemode);
        query.bind(limit).fetch_all().await?.iter().map(read).collect()
    }

    /// Number of thin events that wait, by account and mode. Accounts without any are left out.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn thin_waiting(&self) -> Result<Vec<ThinWaiting>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let rows = reader.session().query(sql::COUNT_WAITING).fetch_all().await?;
        let count =
            |row: &Row, column| Ok::<_, StoreError>(row.get::<i64, _>(column)?.unsigned_abs());
        rows.iter()
            .map(|row| {
                let (waiting, failing) = (count(row, 2)?, count(row, 3)?);
                Ok(ThinWaiting { scope: scope(row, 0)?, waiting, failing })
            })
            .collect()
    }

    /// Marks waiting thin events. One that no longer waits stays as it is.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn mark_thin_events(&self, marks: &[(Position, ThinMark)]) -> Result<(), StoreError> {
        if marks.is_empty() {
            return Ok(());
        }
        let mut write = self.0.db.write().await?;
        let mut session = write.session();
        for (position, mark) in marks {
            let (statement, text) = match mark {
                ThinMark::Fetched(fetched) => {
                    let query = session.query(sql::MARK_FETCHED).bind(position.0);
                    query.bind(fetched.map(|it| it.0)).execute().await?;
                    continue;
                }
                ThinMark::Gone(reason) => (sql::MARK_GONE, reason),
                ThinMark::Failed(error) => (sql::MARK_FAILED, error),
            };
            session.query(statement).bind(position.0).bind(text.as_str()).execute().await?;
        }
        write.commit().await
    }

    /// Noted thin events at these positions.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn thin_events_at(
        &self,
        positions: &[Position],
    ) -> Result<Vec<ThinEvent>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let rows = session.bulk(sql::AT, positions, |to, position| to.integer(position.0));
        rows.await?.iter().map(read).collect()
    }

    /// Noted thin events for which the events or observations at these positions were fetched.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn thin_events_fetched_at(
        &self,
        fetched: &[Position],
    ) -> Result<Vec<ThinEvent>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let rows = session.bulk(sql::FETCHED_AT, fetched, |to, position| to.integer(position.0));
        rows.await?.iter().map(read).collect()
    }

    /// Noted thin events that name these objects and for which nothing was fetched, of any account and mode.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn thin_events_not_fetched(
        &self,
        object_ids: &[&str],
    ) -> Result<Vec<ThinEvent>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let rows = session.bulk(sql::NOT_FETCHED, object_ids, |to, id| to.text(*id));
        rows.await?.iter().map(read).collect()
    }
}

/// Account and mode in two columns from `first` on.
fn scope(row: &Row, first: usize) -> Result<Scope, StoreError> {
    let account = AccountId::new(row.get::<String, _>(first)?);
    Ok(Scope { account, livemode: row.get(first + 1)? })
}

fn read(row: &Row) -> Result<ThinEvent, StoreError> {
    let state: String = row.get(4)?;
    let state = match state.as_str() {
        "waiting" => ThinState::Waiting,
        "fetched" => ThinState::Fetched,
        "gone" => ThinState::Gone,
        other => return Err(StoreError::Corrupt(format!("a thin event is `{other}`"))),
    };
    let fetched = row.get::<Option<i64>, _>(6)?.zip(row.get::<Option<String>, _>(7)?);
    Ok(ThinEvent {
        position: Position(row.get(0)?),
        event_id: EventId::new(row.get::<String, _>(1)?),
        scope: scope(row, 2)?,
        state,
        object_id: row.get(5)?,
        fetched: fetched.map(|(position, id)| FetchedEvent {
            position: Position(position),
            event_id: EventId::new(id),
        }),
        attempts: row.get::<i64, _>(8)?.unsigned_abs(),
        error: row.get(9)?,
    })
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        CURSOR = "SELECT position FROM thin_cursor";
        /// The types are a range, because LIKE ignores case in SQLite.
        FIND = "SELECT position, account, livemode, type, CASE WHEN octet_length(payload) <= CAST($3 AS bigint) THEN payload END AS payload
            FROM events WHERE position > $1 AND position <= $2 AND type >= 'v1.' AND type < 'v1/' ORDER BY position";
        ADVANCE = "UPDATE thin_cursor SET position = $2 WHERE position = $1 RETURNING position";
        NOTE [Integer, Text, Bool, Text, Text, Text] = "INSERT INTO thin_events (position, account, livemode, state, object_id, attempts, error)
            SELECT column1, column2, column3, column4, column5, 0, column6 FROM ({rows}) AS r WHERE column1 IS NOT NULL
            ON CONFLICT DO NOTHING";
        WAITING = "SELECT page.position, e.event_id, page.account, page.livemode, page.state, page.object_id, page.fetched, f.event_id AS fetched_id, page.attempts, page.error
            FROM (SELECT * FROM thin_events WHERE state = 'waiting' AND account = $1 AND livemode = $2
                ORDER BY attempts, position LIMIT CAST($3 AS bigint)) AS page JOIN events AS e ON e.position = page.position LEFT JOIN events AS f ON f.position = page.fetched
            ORDER BY page.attempts, page.position";
        LATEST_WAITING = "SELECT page.position, e.event_id, page.account, page.livemode, page.state, page.object_id, page.fetched, f.event_id AS fetched_id, page.attempts, page.error
            FROM (SELECT * FROM thin_events WHERE state = 'waiting' AND account = $1 AND livemode = $2
                ORDER BY position DESC LIMIT CAST($3 AS bigint)) AS page JOIN events AS e ON e.position = page.position LEFT JOIN events AS f ON f.position = page.fetched
            ORDER BY page.position DESC";
        COUNT_WAITING = "SELECT account, livemode, count(*), count(CASE WHEN attempts > 0 THEN 1 END) FROM thin_events
            WHERE state = 'waiting' GROUP BY account, livemode ORDER BY account, livemode";
        MARK_FETCHED = "UPDATE thin_events SET state = 'fetched', fetched = $2, error = NULL WHERE position = $1 AND state = 'waiting'";
        MARK_GONE = "UPDATE thin_events SET state = 'gone', error = $2 WHERE position = $1 AND state = 'waiting'";
        MARK_FAILED = "UPDATE thin_events SET attempts = attempts + 1, error = $2 WHERE position = $1 AND state = 'waiting'";
        AT [Integer] = sqlite "SELECT t.position, e.event_id, t.account, t.livemode, t.state, t.object_id, t.fetched, f.event_id AS fetched_id, t.attempts, t.error
            FROM thin_events AS t JOIN events AS e ON e.position = t.position LEFT JOIN events AS f ON f.position = t.fetched WHERE t.position IN ({rows}) ORDER BY t.position",
            postgres "SELECT t.position, e.event_id, t.account, t.livemode, t.state, t.object_id, t.fetched, f.event_id AS fetched_id, t.attempts, t.error
            FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT * FROM thin_events WHERE position = k.column1 OFFSET 0) AS t
                JOIN events AS e ON e.position = t.position LEFT JOIN events AS f ON f.position = t.fetched ORDER BY t.position";
        FETCHED_AT [Integer] = sqlite "SELECT t.position, e.event_id, t.account, t.livemode, t.state, t.object_id, t.fetched, f.event_id AS fetched_id, t.attempts, t.error
            FROM thin_events AS t JOIN events AS e ON e.position = t.position LEFT JOIN events AS f ON f.position = t.fetched WHERE t.fetched IN ({rows}) ORDER BY t.position",
            postgres "SELECT t.position, e.event_id, t.account, t.livemode, t.state, t.object_id, t.fetched, f.event_id AS fetched_id, t.attempts, t.error
            FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT * FROM thin_events WHERE fetched = k.column1 OFFSET 0) AS t
                JOIN events AS e ON e.position = t.position LEFT JOIN events AS f ON f.position = t.fetched ORDER BY t.position";
        NOT_FETCHED [Text] = sqlite "SELECT t.position, e.event_id, t.account, t.livemode, t.state, t.object_id, t.fetched, f.event_id AS fetched_id, t.attempts, t.error
            FROM thin_events AS t JOIN events AS e ON e.position = t.position LEFT JOIN events AS f ON f.position = t.fetched WHERE t.object_id IN ({rows}) AND t.state <> 'fetched' ORDER BY t.position",
            postgres "SELECT t.position, e.event_id, t.account, t.livemode, t.state, t.object_id, t.fetched, f.event_id AS fetched_id, t.attempts, t.error
            FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT * FROM thin_events WHERE object_id = k.column1 AND state <> 'fetched' OFFSET 0) AS t
                JOIN events AS e ON e.position = t.position LEFT JOIN events AS f ON f.position = t.fetched ORDER BY t.position";
    }
}
