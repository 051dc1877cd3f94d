-- The tables of one fold layer; {l} is its suffix. What the log says, whatever the rules: the read models are made
-- from it. Edit freely: a rebuild from the log makes them anew.
--
-- Readable with SQLite 3.35, so that any program can: no STRICT tables, which came with 3.37.

-- What is kept of each customer; only the fold can read it.
CREATE TABLE customers_{l} (
    account     TEXT    NOT NULL,
    livemode    INTEGER NOT NULL,
    customer_id TEXT    NOT NULL,
    state       BLOB    NOT NULL,
    PRIMARY KEY (account, livemode, customer_id)
);

-- Which events concern whom. subscription_id is '' where an event names none.
CREATE TABLE timeline_{l} (
    account         TEXT    NOT NULL,
    livemode        INTEGER NOT NULL,
    customer_id     TEXT    NOT NULL,
    subscription_id TEXT    NOT NULL,
    position        INTEGER NOT NULL,
    created         INTEGER NOT NULL,
    PRIMARY KEY (account, livemode, customer_id, subscription_id, position)
) WITHOUT ROWID;

-- Whose timelines a subscription is on: its customer's.
CREATE TABLE subscription_customers_{l} (
    account         TEXT    NOT NULL,
    livemode        INTEGER NOT NULL,
    subscription_id TEXT    NOT NULL,
    customer_id     TEXT    NOT NULL,
    PRIMARY KEY (account, livemode, subscription_id, customer_id)
) WITHOUT ROWID;

-- Values by which events may name a user, whatever the rules: every metadata value, the reference of a completed
-- checkout session (key ''), and imported links (key ''). The rules of a generation say which of them count.
CREATE TABLE user_candidates_{l} (
    account     TEXT    NOT NULL,
    livemode    INTEGER NOT NULL,
    value       TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    customer_id TEXT    NOT NULL,
    PRIMARY KEY (account, livemode, value, source, key, customer_id)
) WITHOUT ROWID;

-- Which customer a payment belongs to: charges, payment intents and invoices, which events name without
-- a customer. The owner is a customer, or another such object that leads to one.
CREATE TABLE links_{l} (
    account     TEXT    NOT NULL,
    livemode    INTEGER NOT NULL,
    object_id   TEXT    NOT NULL,
    owner_id    TEXT    NOT NULL,
    PRIMARY KEY (account, livemode, owner_id, object_id)
) WITHOUT ROWID;

-- Names of products and prices: each as the event of the greatest (deleted, created, changed, event_id) has
-- it. What was deleted keeps its name, because rows still refer to it.
CREATE TABLE catalogue_{l} (
    account  TEXT    NOT NULL,
    livemode INTEGER NOT NULL,
    id       TEXT    NOT NULL,
    name     TEXT,
    deleted  INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    changed  INTEGER NOT NULL,
    event_id TEXT    NOT NULL,
    PRIMARY KEY (account, livemode, id)
) WITHOUT ROWID;

-- Events whose fold failed.
CREATE TABLE parked_{l} (
    position        INTEGER NOT NULL,
    event_id        TEXT    NOT NULL,
    account         TEXT    NOT NULL,
    livemode        INTEGER NOT NULL,
    customer_id     TEXT    NOT NULL,
    subscription_id TEXT    NOT NULL,
    type            TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    PRIMARY KEY (position, event_id)
) WITHOUT ROWID;

-- The indexes come last: they are made when the rows of a rebuild are there.
CREATE INDEX IF NOT EXISTS parked_{l}_by_subscription ON parked_{l} (account, livemode, subscription_id);
