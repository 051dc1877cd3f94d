-- The tables of one fold layer; {l} is its suffix. What the log says, whatever the rules: the read models are made
-- from it. Edit freely: a rebuild from the log makes them anew.

-- What is kept of each customer; only the fold can read it.
CREATE TABLE customers_{l} (
    account         text COLLATE "C" NOT NULL,
    livemode        boolean NOT NULL,
    customer_id     text COLLATE "C" NOT NULL,
    state           bytea NOT NULL,
    PRIMARY KEY (account, livemode, customer_id)
);

-- Which events concern whom. subscription_id is '' where an event names none.
CREATE TABLE timeline_{l} (
    account         text COLLATE "C" NOT NULL,
    livemode        boolean NOT NULL,
    customer_id     text COLLATE "C" NOT NULL,
    subscription_id text COLLATE "C" NOT NULL,
    position        bigint NOT NULL,
    created         bigint NOT NULL,
    PRIMARY KEY (account, livemode, customer_id, subscription_id, position)
);

-- Whose timelines a subscription is on: its customer's.
CREATE TABLE subscription_customers_{l} (
    account         text COLLATE "C" NOT NULL,
    livemode        boolean NOT NULL,
    subscription_id text COLLATE "C" NOT NULL,
    customer_id     text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, livemode, subscription_id, customer_id)
);

-- Values by which events may name a user, whatever the rules: every metadata value, the reference of a completed
-- checkout session (key ''), and imported links (key ''). The rules of a generation say which of them count.
CREATE TABLE user_candidates_{l} (
    account         text COLLATE "C" NOT NULL,
    livemode        boolean NOT NULL,
    value           text COLLATE "C" NOT NULL,
    source          text COLLATE "C" NOT NULL,
    key             text COLLATE "C" NOT NULL,
    customer_id     text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, livemode, value, source, key, customer_id)
);

-- Which customer a payment belongs to: charges, payment intents and invoices, which events name without
-- a customer. The owner is a customer, or another such object that leads to one.
CREATE TABLE links_{l} (
    account         text COLLATE "C" NOT NULL,
    livemode        boolean NOT NULL,
    object_id       text COLLATE "C" NOT NULL,
    owner_id        text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, livemode, owner_id, object_id)
);

-- Names of products and prices: each as the event of the greatest (deleted, created, changed, event_id) has
-- it. What was deleted keeps its name, because rows still refer to it.
CREATE TABLE catalogue_{l} (
    account         text COLLATE "C" NOT NULL,
    livemode        boolean NOT NULL,
    id              text COLLATE "C" NOT NULL,
    name            text,
    deleted         boolean NOT NULL,
    created         bigint NOT NULL,
    changed         boolean NOT NULL,
    event_id        text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, livemode, id)
);

-- Events whose fold failed.
CREATE TABLE parked_{l} (
    position        bigint NOT NULL,
    event_id        text COLLATE "C" NOT NULL,
    account         text COLLATE "C" NOT NULL,
    livemode        boolean NOT NULL,
    customer_id     text COLLATE "C" NOT NULL,
    subscription_id text COLLATE "C" NOT NULL,
    type            text NOT NULL,
    reason          text NOT NULL,
    PRIMARY KEY (position, event_id)
);

-- The indexes come last: they are made when the rows of a rebuild are there.
CREATE INDEX IF NOT EXISTS parked_{l}_by_subscription ON parked_{l} (account, livemode, subscription_id);
