-- Access of each user of the application, over all of their subscriptions and customers. {g} is the number of the
-- generation. Edit freely: a rebuild makes the rows anew.
--
-- Truth values are 0 and 1, instants are text as 2026-03-01T00:00:00Z.

CREATE TABLE user_access_g{g} (
    account         TEXT    NOT NULL,
    livemode        INTEGER NOT NULL,
    user_id         TEXT    NOT NULL,
    entitled        INTEGER NOT NULL,
    entitled_until  TEXT,
    paid_until      TEXT,
    reason          TEXT    NOT NULL,
    renews_at       TEXT,
    since           TEXT,
    subscription_id TEXT    NOT NULL,
    customer_id     TEXT    NOT NULL,
    subscriptions   INTEGER NOT NULL,
    access          TEXT    NOT NULL,
    PRIMARY KEY (account, livemode, user_id)
) WITHOUT ROWID;

-- What the subscriptions of one customer add to the access of a user; user_id is '' for those without a user. The parts
-- of a user are joined to the row above whenever one of them changes. With row ids, because SQLite would not use the
-- second index otherwise.
CREATE TABLE user_access_parts_g{g} (
    account         TEXT    NOT NULL,
    livemode        INTEGER NOT NULL,
    customer_id     TEXT    NOT NULL,
    user_id         TEXT    NOT NULL,
    access          TEXT    NOT NULL,
    PRIMARY KEY (account, livemode, customer_id, user_id)
);

-- Made before the users' rows are joined.
CREATE INDEX IF NOT EXISTS user_access_parts_g{g}_by_user ON user_access_parts_g{g} (account, livemode, user_id, customer_id);
