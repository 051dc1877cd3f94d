-- The tables of one generation; {g} is its number. Edit freely: a rebuild makes them anew from the fold layer.
--
-- Readable with SQLite 3.35, so that any program can: no STRICT tables, which came with 3.37.
--
-- Truth values are 0 and 1, instants are text as 2026-03-01T00:00:00Z, lists and objects are JSON.
-- The columns of current_subscriptions are those of SubscriptionRow, in its order, but for those
-- that the view joins: parked, event_count. The view also puts the catalogue's names into product_name,
-- price_nickname and items.

CREATE TABLE current_subscriptions_g{g} (
    subscription_id         TEXT NOT NULL,
    account                 TEXT NOT NULL,
    livemode                INTEGER NOT NULL,
    customer_id             TEXT NOT NULL,
    user_id                 TEXT,
    user_id_source          TEXT,
    user_id_conflict        INTEGER NOT NULL,
    email                   TEXT,
    status                  TEXT NOT NULL,
    entitled                INTEGER NOT NULL,
    entitled_until          TEXT,
    price_id                TEXT,
    product_id              TEXT,
    product_name            TEXT,
    price_nickname          TEXT,
    lookup_key              TEXT,
    quantity                INTEGER,
    currency                TEXT,
    unit_amount             INTEGER,
    unit_amount_decimal     TEXT,
    interval                TEXT,
    interval_count          INTEGER,
    items                   TEXT NOT NULL,
    items_truncated         INTEGER NOT NULL,
    current_period_start    TEXT,
    current_period_end      TEXT,
    paid_through            TEXT,
    trial_start             TEXT,
    trial_end               TEXT,
    cancel_at_period_end    INTEGER NOT NULL,
    cancel_at               TEXT,
    canceled_at             TEXT,
    ended_at                TEXT,
    ends_at                 TEXT,
    cancellation_reason     TEXT,
    paused_reason           TEXT,
    pause_collection        TEXT,
    scheduled_change        TEXT,
    discounts               TEXT NOT NULL,
    features                TEXT NOT NULL,
    features_truncated      INTEGER NOT NULL,
    test_clock_id           TEXT,
    collection_method       TEXT,
    latest_invoice_id       TEXT,
    latest_invoice_status   TEXT,
    past_due_since          TEXT,
    payment_failed_at       TEXT,
    next_payment_attempt    TEXT,
    paid_at                 TEXT,
    created_at              TEXT,
    started_at              TEXT,
    metadata                TEXT NOT NULL,
    api_version             TEXT,
    order_ambiguous         INTEGER NOT NULL,
    last_event_id           TEXT NOT NULL,
    last_event_at           TEXT NOT NULL,
    billing_currency        TEXT,
    transform_quantity      TEXT,
    paid_through_unknown    INTEGER NOT NULL,
    observed_at             TEXT,
    PRIMARY KEY (account, livemode, customer_id, subscription_id)
);

-- Properties of items by which subscriptions are found: price, product and lookup key of every item, not only of
-- the first. Entries are only added: the row says whether a subscription still has such an item.
CREATE TABLE item_properties_g{g} (
    account         TEXT    NOT NULL,
    livemode        INTEGER NOT NULL,
    customer_id     TEXT    NOT NULL,
    subscription_id TEXT    NOT NULL,
    property        TEXT    NOT NULL,
    value           TEXT    NOT NULL,
    PRIMARY KEY (account, livemode, customer_id, subscription_id, property, value)
) WITHOUT ROWID;

-- The indexes come last: they are made when the rows of a rebuild are there.
CREATE INDEX IF NOT EXISTS current_subscriptions_g{g}_by_id ON current_subscriptions_g{g} (account, livemode, subscription_id);
CREATE INDEX IF NOT EXISTS current_subscriptions_g{g}_by_user ON current_subscriptions_g{g} (account, livemode, user_id, subscription_id);
-- Those that the policy grants access come first.
CREATE INDEX IF NOT EXISTS current_subscriptions_g{g}_by_access ON current_subscriptions_g{g} (account, livemode, user_id, entitled DESC, subscription_id);
CREATE INDEX IF NOT EXISTS current_subscriptions_g{g}_cut_short ON current_subscriptions_g{g} (account, livemode, user_id) WHERE items_truncated;
CREATE INDEX IF NOT EXISTS item_properties_g{g}_by_value ON item_properties_g{g} (account, livemode, property, value, subscription_id, customer_id);
