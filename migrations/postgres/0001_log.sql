-- The log: what Stripe said and when it was heard, appended once and kept.
--
-- The triggers hold the promise against every program that connects, not only ours.

CREATE TABLE events (
    position      bigint  PRIMARY KEY,
    event_id      text    COLLATE "C" NOT NULL,
    account       text    COLLATE "C" NOT NULL,
    livemode      boolean NOT NULL,
    type          text    NOT NULL,
    api_version   text,
    created       bigint  NOT NULL,
    created_nanos bigint  NOT NULL DEFAULT 0,
    received_at   bigint  NOT NULL,
    source        text    NOT NULL CHECK (source IN ('webhook', 'api', 'import', 'subledger')),
    signature     text,
    payload_hash  bytea   NOT NULL,
    leaf_hash     bytea   NOT NULL,
    salt          bytea,
    payload       text,
    UNIQUE (event_id, account, livemode)
);

-- One row: the end of the log. An append locks, reads and updates it in its own transaction.
CREATE TABLE log_head (
    one              bigint PRIMARY KEY CHECK (one = 1),
    log_id           text   NOT NULL,
    size             bigint NOT NULL,
    root             bytea  NOT NULL,
    frontier         bytea  NOT NULL,
    last_received_at bigint NOT NULL,
    -- How many of the first events were restored from an export. While that is all there is, the
    -- restore may go on.
    restored         bigint NOT NULL
);

-- Later deliveries of an event that is in the log: one row for each distinct content.
-- payload_hash is salted with the event's salt, so identical bytes have the event's own hash.
CREATE TABLE redeliveries (
    position          bigint NOT NULL,
    payload_hash      bytea  NOT NULL,
    api_version       text,
    first_received_at bigint NOT NULL,
    last_received_at  bigint NOT NULL,
    count             bigint NOT NULL,
    payload           text,
    PRIMARY KEY (position, payload_hash)
);

-- PostgreSQL's own compression would take most of an append's time; where the server has lz4, that is
-- faster than to write the bytes as they are.
DO $$
BEGIN
    ALTER TABLE events ALTER COLUMN payload SET COMPRESSION lz4;
    ALTER TABLE redeliveries ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    ALTER TABLE events ALTER COLUMN payload SET STORAGE EXTERNAL;
    ALTER TABLE redeliveries ALTER COLUMN payload SET STORAGE EXTERNAL;
END
$$;

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0];
END
$$;

CREATE TRIGGER events_are_kept BEFORE DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse('events are never deleted');
CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('events are never deleted');

-- Erasing is the only change: payload and salt go together and everything else stays.
CREATE TRIGGER events_are_unchanged BEFORE UPDATE ON events FOR EACH ROW
    WHEN (NOT (
        OLD.payload IS NOT NULL AND NEW.payload IS NULL AND NEW.salt IS NULL
        AND (NEW.position, NEW.event_id, NEW.account, NEW.livemode, NEW.type, NEW.api_version,
             NEW.created, NEW.created_nanos, NEW.received_at, NEW.source, NEW.signature,
             NEW.payload_hash, NEW.leaf_hash)
         IS NOT DISTINCT FROM
            (OLD.position, OLD.event_id, OLD.account, OLD.livemode, OLD.type, OLD.api_version,
             OLD.created, OLD.created_nanos, OLD.received_at, OLD.source, OLD.signature,
             OLD.payload_hash, OLD.leaf_hash)
    ))
    EXECUTE FUNCTION refuse('events are never changed, only erased');

-- After the statement and not for each row of it: its first row must follow what was there, and its last be
-- as far as it is long.
-- Its plans are kept, also those made while there were no events yet.
CREATE FUNCTION events_grow_at_their_end() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    first bigint;
    last  bigint;
    rows  bigint;
BEGIN
    SELECT min(position), max(position), count(*) INTO first, last, rows FROM appended;
    IF rows > 0 AND (last - first + 1 <> rows
        OR (first > 1 AND NOT EXISTS (SELECT 1 FROM events WHERE position = first - 1))
        OR first < 1
        OR EXISTS (SELECT 1 FROM events WHERE position > last)) THEN
        RAISE EXCEPTION 'the log only grows, at its end, by events that it does not hold';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER events_are_appended AFTER INSERT ON events REFERENCING NEW TABLE AS appended
    FOR EACH STATEMENT EXECUTE FUNCTION events_grow_at_their_end();

CREATE TRIGGER log_head_is_kept BEFORE DELETE ON log_head
    FOR EACH ROW EXECUTE FUNCTION refuse('the head is never deleted');
CREATE TRIGGER log_head_is_not_truncated BEFORE TRUNCATE ON log_head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('the head is never deleted');
CREATE TRIGGER log_head_goes_forward BEFORE UPDATE ON log_head FOR EACH ROW
    WHEN (NEW.one <> OLD.one OR NEW.log_id <> OLD.log_id OR NEW.size < OLD.size
        OR NEW.last_received_at < OLD.last_received_at OR NEW.restored < OLD.restored
        OR (NEW.size = OLD.size AND (NEW.root <> OLD.root OR NEW.frontier <> OLD.frontier)))
    EXECUTE FUNCTION refuse('the head never goes backwards');

CREATE TRIGGER redeliveries_are_kept BEFORE DELETE ON redeliveries
    FOR EACH ROW EXECUTE FUNCTION refuse('redeliveries are never deleted');
CREATE TRIGGER redeliveries_are_not_truncated BEFORE TRUNCATE ON redeliveries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('redeliveries are never deleted');

-- Counting up, and erasing the content, are the only changes.
CREATE TRIGGER redeliveries_count_up BEFORE UPDATE ON redeliveries FOR EACH ROW
    WHEN (NOT (
        NEW.count >= OLD.count AND NEW.last_received_at >= OLD.last_received_at
        AND (NEW.payload IS NULL OR NEW.payload IS NOT DISTINCT FROM OLD.payload)
        AND (NEW.position, NEW.payload_hash, NEW.api_version, NEW.first_received_at)
         IS NOT DISTINCT FROM (OLD.position, OLD.payload_hash, OLD.api_version, OLD.first_received_at)
    ))
    EXECUTE FUNCTION refuse('redeliveries only count up');
