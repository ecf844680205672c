-- How far events were sent to a sink, such as posthog; those that it did not take, with its answer.
CREATE TABLE assise.analytics_forward (
    sink text PRIMARY KEY,
    xid xid8 NOT NULL,
    number bigint NOT NULL DEFAULT 0,
    sent bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    moved timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE assise.analytics_refused (
    sink text NOT NULL,
    uuid uuid NOT NULL,
    answer text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, uuid)
);
