-- The states of subscriptions: a row of the table as it was from `seen` until `gone`.
CREATE TABLE assise.analytics_subscription (
    load text NOT NULL,
    key text NOT NULL,
    customer text,
    amount numeric,
    currency text,
    interval text,
    quantity numeric,
    started timestamptz,
    ended timestamptz,
    status text,
    seen timestamptz NOT NULL,
    gone timestamptz,
    PRIMARY KEY (load, key, seen)
);
