-- The tables of one generation; {g} is its number. Edit freely: a rebuild makes them anew from the fold layer.
--
-- Columns come only at the end, so that the view keeps its place and what was granted on it.
-- The columns of current_subscriptions are those of SubscriptionRow, in its order, but for those
-- that the view joins: parked, event_count. The view also puts the catalogue's names into product_name,
-- price_nickname and items.

CREATE TABLE current_subscriptions_g{g} (
    subscription_id         text COLLATE "C" NOT NULL,
    account                 text COLLATE "C" NOT NULL,
    livemode                boolean NOT NULL,
    customer_id             text COLLATE "C" NOT NULL,
    user_id                 text COLLATE "C",
    user_id_source          text,
    user_id_conflict        boolean NOT NULL,
    email                   text,
    status                  text NOT NULL,
    entitled                boolean NOT NULL,
    entitled_until          timestamptz,
    price_id                text COLLATE "C",
    product_id              text COLLATE "C",
    product_name            text,
    price_nickname          text,
    lookup_key              text COLLATE "C",
    quantity                bigint,
    currency                text,
    unit_amount             bigint,
    unit_amount_decimal     text,
    interval                text,
    interval_count          bigint,
    items                   jsonb NOT NULL,
    items_truncated         boolean NOT NULL,
    current_period_start    timestamptz,
    current_period_end      timestamptz,
    paid_through            timestamptz,
    trial_start             timestamptz,
    trial_end               timestamptz,
    cancel_at_period_end    boolean NOT NULL,
    cancel_at               timestamptz,
    canceled_at             timestamptz,
    ended_at                timestamptz,
    ends_at                 timestamptz,
    cancellation_reason     text,
    paused_reason           text,
    pause_collection        jsonb,
    scheduled_change        jsonb,
    discounts               jsonb NOT NULL,
    features                jsonb NOT NULL,
    features_truncated      boolean NOT NULL,
    test_clock_id           text,
    collection_method       text,
    latest_invoice_id       text,
    latest_invoice_status   text,
    past_due_since          timestamptz,
    payment_failed_at       timestamptz,
    next_payment_attempt    timestamptz,
    paid_at                 timestamptz,
    created_at              timestamptz,
    started_at              timestamptz,
    metadata                jsonb NOT NULL,
    api_version             text,
    order_ambiguous         boolean NOT NULL,
    last_event_id           text NOT NULL,
    last_event_at           timestamptz NOT NULL,
    billing_currency        text,
    transform_quantity      jsonb,
    paid_through_unknown    boolean NOT NULL,
    observed_at             timestamptz,
    PRIMARY KEY (account, livemode, customer_id, subscription_id)
);

-- Properties of items by which subscriptions are found: price, product and lookup key of every item, not only of
-- the first. Entries are only added: the row says whether a subscription still has such an item.
CREATE TABLE item_properties_g{g} (
    account         text COLLATE "C" NOT NULL,
    livemode        boolean NOT NULL,
    customer_id     text COLLATE "C" NOT NULL,
    subscription_id text COLLATE "C" NOT NULL,
    property        text COLLATE "C" NOT NULL,
    value           text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, livemode, customer_id, subscription_id, property, value)
);

-- The indexes come last: they are made when the rows of a rebuild are there.
CREATE INDEX IF NOT EXISTS current_subscriptions_g{g}_by_id ON current_subscriptions_g{g} (account, livemode, subscription_id);
CREATE INDEX IF NOT EXISTS current_subscriptions_g{g}_by_user ON current_subscriptions_g{g} (account, livemode, user_id, subscription_id);
-- Those that the policy grants access come first.
CREATE INDEX IF NOT EXISTS current_subscriptions_g{g}_by_access ON current_subscriptions_g{g} (account, livemode, user_id, entitled DESC, subscription_id);
CREATE INDEX IF NOT EXISTS current_subscriptions_g{g}_cut_short ON current_subscriptions_g{g} (account, livemode, user_id) WHERE items_truncated;
CREATE INDEX IF NOT EXISTS item_properties_g{g}_by_value ON item_properties_g{g} (account, livemode, property, value, subscription_id, customer_id);
