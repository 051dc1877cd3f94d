-- Hashes of complete subtrees of the Merkle tree, at a few heights, so that a proof reads a few hundred rows and
-- not the whole log. Only what `events` says already: rows that are missing are computed again, and a row that
-- is wrong proves nothing.

CREATE TABLE nodes (
    -- The height: the subtree has 2^level leaves.
    level  bigint NOT NULL,
    -- Its place among those of its height, from 0.
    number bigint NOT NULL,
    hash   bytea  NOT NULL,
    PRIMARY KEY (level, number)
);

CREATE TRIGGER nodes_are_unchanged BEFORE UPDATE ON nodes
    FOR EACH ROW EXECUTE FUNCTION refuse('the hash of a complete subtree never changes');

-- Who may append, or read, what is committed to, may do so here without being granted it once more.
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT DISTINCT privilege_type AS privilege, grantee::regrole AS role FROM pg_class, aclexplode(relacl)
        WHERE oid = 'events'::regclass AND privilege_type IN ('SELECT', 'INSERT') AND grantee <> 0
    LOOP
        EXECUTE format('GRANT %s ON nodes TO %s', granted.privilege, granted.role);
    END LOOP;
END
$$;
