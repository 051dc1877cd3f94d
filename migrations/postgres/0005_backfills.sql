-- How far a backfill from Stripe's API has come, one row for each list, so that it goes on after an interruption. No
-- evidence: what it found stands in `events`, and without these rows it begins again and finds nothing new.

CREATE TABLE backfills (
    account    text COLLATE "C" NOT NULL,
    livemode   boolean NOT NULL,
    step       text COLLATE "C" NOT NULL,
    -- The last object that was read; NULL before the first page.
    cursor     text,
    -- By the clock of this program, in microseconds.
    started_at bigint NOT NULL,
    ended_at   bigint,
    saved_at   bigint NOT NULL,
    seen       bigint NOT NULL,
    confirmed  bigint NOT NULL,
    appended   bigint NOT NULL,
    unreadable bigint NOT NULL,
    PRIMARY KEY (account, livemode, step)
);

-- Who may append, or read, events may do so here without being granted it once more.
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT DISTINCT privilege_type AS privilege, grantee::regrole AS role FROM pg_class, aclexplode(relacl)
        WHERE oid = 'events'::regclass AND privilege_type IN ('SELECT', 'INSERT') AND grantee <> 0
    LOOP
        EXECUTE format('GRANT %s ON backfills TO %s', granted.privilege, granted.role);
        IF granted.privilege = 'INSERT' THEN
            EXECUTE format('GRANT UPDATE, DELETE ON backfills TO %s', granted.role);
        END IF;
    END LOOP;
END
$$;
