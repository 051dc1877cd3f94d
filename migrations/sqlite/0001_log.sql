-- The log: what Stripe said and when it was heard, appended once and kept.
--
-- The triggers hold the promise against every program that opens this file, not only ours.

CREATE TABLE events (
    position      INTEGER PRIMARY KEY,
    event_id      TEXT    NOT NULL,
    account       TEXT    NOT NULL,
    livemode      INTEGER NOT NULL,
    type          TEXT    NOT NULL,
    api_version   TEXT,
    created       INTEGER NOT NULL,
    created_nanos INTEGER NOT NULL DEFAULT 0,
    received_at   INTEGER NOT NULL,
    source        TEXT    NOT NULL CHECK (source IN ('webhook', 'api', 'import', 'subledger')),
    signature     TEXT,
    payload_hash  BLOB    NOT NULL,
    leaf_hash     BLOB    NOT NULL,
    salt          BLOB,
    payload       TEXT,
    UNIQUE (event_id, account, livemode)
) STRICT;

-- One row: the end of the log. An append reads and updates it in its own transaction.
CREATE TABLE log_head (
    one              INTEGER PRIMARY KEY CHECK (one = 1),
    log_id           TEXT    NOT NULL,
    size             INTEGER NOT NULL,
    root             BLOB    NOT NULL,
    frontier         BLOB    NOT NULL,
    last_received_at INTEGER NOT NULL,
    -- How many of the first events were restored from an export. While that is all there is, the
    -- restore may go on.
    restored         INTEGER NOT NULL
) STRICT;

-- Later deliveries of an event that is in the log: one row for each distinct content.
-- payload_hash is salted with the event's salt, so identical bytes have the event's own hash.
CREATE TABLE redeliveries (
    position          INTEGER NOT NULL,
    payload_hash      BLOB    NOT NULL,
    api_version       TEXT,
    first_received_at INTEGER NOT NULL,
    last_received_at  INTEGER NOT NULL,
    count             INTEGER NOT NULL,
    payload           TEXT,
    PRIMARY KEY (position, payload_hash)
) STRICT, WITHOUT ROWID;

-- INSERT OR REPLACE deletes without running the DELETE trigger: what it could replace is refused here.
-- ROLLBACK rather than ABORT in what every append runs: to abort one statement inside a transaction,
-- SQLite would have to keep a second copy of every page that the statement changes.
CREATE TRIGGER events_are_appended BEFORE INSERT ON events
WHEN NEW.position <> 1 + ifnull((SELECT max(position) FROM events), 0)
  OR EXISTS (SELECT 1 FROM events WHERE event_id = NEW.event_id AND account = NEW.account
             AND livemode = NEW.livemode)
BEGIN
    SELECT RAISE(ROLLBACK, 'the log only grows, at its end, by events that it does not hold');
END;

CREATE TRIGGER events_are_kept BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never deleted');
END;

-- Erasing is the only change: payload and salt go together and everything else stays.
CREATE TRIGGER events_are_unchanged BEFORE UPDATE ON events
WHEN NOT (
    OLD.payload IS NOT NULL AND NEW.payload IS NULL AND NEW.salt IS NULL
    AND (NEW.position, NEW.event_id, NEW.account, NEW.livemode, NEW.type, NEW.api_version,
         NEW.created, NEW.created_nanos, NEW.received_at, NEW.source, NEW.signature,
         NEW.payload_hash, NEW.leaf_hash)
     IS (OLD.position, OLD.event_id, OLD.account, OLD.livemode, OLD.type, OLD.api_version,
         OLD.created, OLD.created_nanos, OLD.received_at, OLD.source, OLD.signature,
         OLD.payload_hash, OLD.leaf_hash)
)
BEGIN
    SELECT RAISE(ABORT, 'events are never changed, only erased');
END;

CREATE TRIGGER log_head_is_one BEFORE INSERT ON log_head
WHEN EXISTS (SELECT 1 FROM log_head)
BEGIN
    SELECT RAISE(ABORT, 'the log has one head');
END;

CREATE TRIGGER log_head_is_kept BEFORE DELETE ON log_head
BEGIN
    SELECT RAISE(ABORT, 'the head is never deleted');
END;

CREATE TRIGGER log_head_goes_forward BEFORE UPDATE ON log_head
WHEN NEW.one <> OLD.one OR NEW.log_id <> OLD.log_id OR NEW.size < OLD.size
  OR NEW.last_received_at < OLD.last_received_at OR NEW.restored < OLD.restored
  OR (NEW.size = OLD.size AND (NEW.root <> OLD.root OR NEW.frontier <> OLD.frontier))
BEGIN
    SELECT RAISE(ROLLBACK, 'the head never goes backwards');
END;

CREATE TRIGGER redeliveries_are_recorded BEFORE INSERT ON redeliveries
WHEN EXISTS (SELECT 1 FROM redeliveries
             WHERE position = NEW.position AND payload_hash = NEW.payload_hash)
BEGIN
    SELECT RAISE(ABORT, 'a redelivery is counted, not recorded again');
END;

CREATE TRIGGER redeliveries_are_kept BEFORE DELETE ON redeliveries
BEGIN
    SELECT RAISE(ABORT, 'redeliveries are never deleted');
END;

-- Counting up, and erasing the content, are the only changes.
CREATE TRIGGER redeliveries_count_up BEFORE UPDATE ON redeliveries
WHEN NOT (
    NEW.count >= OLD.count AND NEW.last_received_at >= OLD.last_received_at
    AND (NEW.payload IS NULL OR NEW.payload IS OLD.payload)
    AND (NEW.position, NEW.payload_hash, NEW.api_version, NEW.first_received_at)
     IS (OLD.position, OLD.payload_hash, OLD.api_version, OLD.first_received_at)
)
BEGIN
    SELECT RAISE(ABORT, 'redeliveries only count up');
END;
