-- How far a backfill from Stripe's API has come, one row for each list, so that it goes on after an interruption. No
-- evidence: what it found stands in `events`, and without these rows it begins again and finds nothing new.

CREATE TABLE backfills (
    account    TEXT    NOT NULL,
    livemode   INTEGER NOT NULL,
    step       TEXT    NOT NULL,
    -- The last object that was read; NULL before the first page.
    cursor     TEXT,
    -- By the clock of this program, in microseconds.
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    saved_at   INTEGER NOT NULL,
    seen       INTEGER NOT NULL,
    confirmed  INTEGER NOT NULL,
    appended   INTEGER NOT NULL,
    unreadable INTEGER NOT NULL,
    PRIMARY KEY (account, livemode, step)
) STRICT, WITHOUT ROWID;
