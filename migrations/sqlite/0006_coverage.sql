-- From when to when each account and mode is known to be complete, and what keeps it so. No evidence: what was found
-- stands in `events`. Without these rows the ledger says that it does not know how complete it is.

-- Tasks that one process of several does. No stored time says when a lease is over: another process takes it after it
-- has watched for some seconds that `renewals` does not change.
CREATE TABLE leases (
    name     TEXT    NOT NULL PRIMARY KEY,
    holder   TEXT    NOT NULL,
    -- Raised by each process that takes the lease.
    token    INTEGER NOT NULL,
    renewals INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Spans of time in which nothing is missing. They do not overlap.
CREATE TABLE coverage (
    account  TEXT    NOT NULL,
    livemode INTEGER NOT NULL,
    -- By Stripe's clock, in seconds. 0 is the beginning of the account.
    from_at  INTEGER NOT NULL,
    to_at    INTEGER NOT NULL,
    -- 'backfill': objects were read as they are. 'sync': all events were listed.
    by_what  TEXT    NOT NULL CHECK (by_what IN ('backfill', 'sync')),
    PRIMARY KEY (account, livemode, from_at)
) STRICT, WITHOUT ROWID;

-- Events that Stripe's API listed and no webhook had delivered: runs of them, by the times of the events.
CREATE TABLE missed_deliveries (
    account  TEXT    NOT NULL,
    livemode INTEGER NOT NULL,
    from_at  INTEGER NOT NULL,
    to_at    INTEGER NOT NULL,
    events   INTEGER NOT NULL,
    PRIMARY KEY (account, livemode, from_at)
) STRICT, WITHOUT ROWID;

-- Last sync and last reconciliation of an account and mode.
CREATE TABLE sync_state (
    account       TEXT    NOT NULL,
    livemode      INTEGER NOT NULL,
    -- By the clock of this program, in microseconds; NULL before the first one.
    synced_at     INTEGER,
    -- Error of the last sync; NULL after one that succeeded.
    error         TEXT,
    -- Webhook endpoints as the API showed them last, in JSON.
    endpoints     TEXT,
    reconciled_at INTEGER,
    -- Report of the last reconciliation, in JSON.
    drift         TEXT,
    PRIMARY KEY (account, livemode)
) STRICT, WITHOUT ROWID;

-- Thin events of the log, which name an object and do not contain it, and what was fetched for them.
CREATE TABLE thin_events (
    -- Position of the thin event.
    position INTEGER NOT NULL PRIMARY KEY,
    account  TEXT    NOT NULL,
    livemode INTEGER NOT NULL,
    -- 'waiting', 'fetched', or 'gone' if Stripe shows the object no more.
    state    TEXT    NOT NULL CHECK (state IN ('waiting', 'fetched', 'gone')),
    -- Id of the object that it names.
    object_id TEXT,
    -- Position of the event or observation that was fetched; NULL also if the object said nothing new.
    fetched  INTEGER,
    -- Number of attempts that failed, and the error of the last one.
    attempts INTEGER NOT NULL,
    error    TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX thin_events_waiting ON thin_events (position) WHERE state = 'waiting';
CREATE INDEX thin_events_fetched ON thin_events (fetched) WHERE fetched IS NOT NULL;
CREATE INDEX thin_events_not_fetched ON thin_events (object_id) WHERE state <> 'fetched';

-- Position up to which the log was searched for thin events.
CREATE TABLE thin_cursor (
    one      INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO thin_cursor VALUES (1, 0);
