-- Access of each user of the application, over all of their subscriptions and customers. {g} is the number of the
-- generation. Edit freely: a rebuild makes the rows anew.

CREATE TABLE user_access_g{g} (
    account         text COLLATE "C" NOT NULL,
    livemode        boolean NOT NULL,
    user_id         text COLLATE "C" NOT NULL,
    entitled        boolean NOT NULL,
    entitled_until  timestamptz,
    paid_until      timestamptz,
    reason          text NOT NULL,
    renews_at       timestamptz,
    since           timestamptz,
    subscription_id text COLLATE "C" NOT NULL,
    customer_id     text COLLATE "C" NOT NULL,
    subscriptions   bigint NOT NULL,
    access          text NOT NULL,
    PRIMARY KEY (account, livemode, user_id)
);

-- What the subscriptions of one customer add to the access of a user; user_id is '' for those without a user. The parts
-- of a user are joined to the row above whenever one of them changes.
CREATE TABLE user_access_parts_g{g} (
    account         text COLLATE "C" NOT NULL,
    livemode        boolean NOT NULL,
    customer_id     text COLLATE "C" NOT NULL,
    user_id         text COLLATE "C" NOT NULL,
    access          text NOT NULL,
    PRIMARY KEY (account, livemode, customer_id, user_id)
);

-- Made before the users' rows are joined.
CREATE INDEX IF NOT EXISTS user_access_parts_g{g}_by_user ON user_access_parts_g{g} (account, livemode, user_id, customer_id);
