-- From when to when each account and mode is known to be complete, and what keeps it so. No evidence: what was found
-- stands in `events`. Without these rows the ledger says that it does not know how complete it is.

-- Tasks that one process of several does. No stored time says when a lease is over: another process takes it after it
-- has watched for some seconds that `renewals` does not change.
CREATE TABLE leases (
    name     text COLLATE "C" NOT NULL PRIMARY KEY,
    holder   text COLLATE "C" NOT NULL,
    -- Raised by each process that takes the lease.
    token    bigint NOT NULL,
    renewals bigint NOT NULL
);

-- Spans of time in which nothing is missing. They do not overlap.
CREATE TABLE coverage (
    account  text COLLATE "C" NOT NULL,
    livemode boolean NOT NULL,
    -- By Stripe's clock, in seconds. 0 is the beginning of the account.
    from_at  bigint NOT NULL,
    to_at    bigint NOT NULL,
    -- 'backfill': objects were read as they are. 'sync': all events were listed.
    by_what  text COLLATE "C" NOT NULL CHECK (by_what IN ('backfill', 'sync')),
    PRIMARY KEY (account, livemode, from_at)
);

-- Events that Stripe's API listed and no webhook had delivered: runs of them, by the times of the events.
CREATE TABLE missed_deliveries (
    account  text COLLATE "C" NOT NULL,
    livemode boolean NOT NULL,
    from_at  bigint NOT NULL,
    to_at    bigint NOT NULL,
    events   bigint NOT NULL,
    PRIMARY KEY (account, livemode, from_at)
);

-- Last sync and last reconciliation of an account and mode.
CREATE TABLE sync_state (
    account       text COLLATE "C" NOT NULL,
    livemode      boolean NOT NULL,
    -- By the clock of this program, in microseconds; NULL before the first one.
    synced_at     bigint,
    -- Error of the last sync; NULL after one that succeeded.
    error         text,
    -- Webhook endpoints as the API showed them last, in JSON.
    endpoints     text,
    reconciled_at bigint,
    -- Report of the last reconciliation, in JSON.
    drift         text,
    PRIMARY KEY (account, livemode)
);

-- Thin events of the log, which name an object and do not contain it, and what was fetched for them.
CREATE TABLE thin_events (
    -- Position of the thin event.
    position bigint NOT NULL PRIMARY KEY,
    account  text COLLATE "C" NOT NULL,
    livemode boolean NOT NULL,
    -- 'waiting', 'fetched', or 'gone' if Stripe shows the object no more.
    state    text COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'fetched', 'gone')),
    -- Id of the object that it names.
    object_id text,
    -- Position of the event or observation that was fetched; NULL also if the object said nothing new.
    fetched  bigint,
    -- Number of attempts that failed, and the error of the last one.
    attempts bigint NOT NULL,
    error    text
);

CREATE INDEX thin_events_waiting ON thin_events (position) WHERE state = 'waiting';
CREATE INDEX thin_events_fetched ON thin_events (fetched) WHERE fetched IS NOT NULL;
CREATE INDEX thin_events_not_fetched ON thin_events (object_id) WHERE state <> 'fetched';

-- Position up to which the log was searched for thin events.
CREATE TABLE thin_cursor (
    one      bigint NOT NULL PRIMARY KEY CHECK (one = 1),
    position bigint NOT NULL
);
INSERT INTO thin_cursor VALUES (1, 0);

-- Who may append, or read, events may do so here without being granted it once more.
DO $$
DECLARE
    granted record;
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['leases', 'coverage', 'missed_deliveries', 'sync_state', 'thin_events', 'thin_cursor'] LOOP
        FOR granted IN
            SELECT DISTINCT privilege_type AS privilege, grantee::regrole AS role FROM pg_class, aclexplode(relacl)
            WHERE oid = 'events'::regclass AND privilege_type IN ('SELECT', 'INSERT') AND grantee <> 0
        LOOP
            EXECUTE format('GRANT %s ON %I TO %s', granted.privilege, name, granted.role);
            IF granted.privilege = 'INSERT' THEN
                EXECUTE format('GRANT UPDATE, DELETE ON %I TO %s', name, granted.role);
            END IF;
        END LOOP;
    END LOOP;
END
$$;
