-- Hashes of complete subtrees of the Merkle tree, at a few heights, so that a proof reads a few hundred rows and
-- not the whole log. Only what `events` says already: rows that are missing are computed again, and a row that
-- is wrong proves nothing.

CREATE TABLE nodes (
    -- The height: the subtree has 2^level leaves.
    level  INTEGER NOT NULL,
    -- Its place among those of its height, from 0.
    number INTEGER NOT NULL,
    hash   BLOB    NOT NULL,
    PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER nodes_are_unchanged BEFORE UPDATE ON nodes
BEGIN
    SELECT RAISE(ABORT, 'the hash of a complete subtree never changes');
END;
