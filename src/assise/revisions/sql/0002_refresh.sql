-- When materialized views were refreshed, and how long it took.
CREATE TABLE assise.refresh (
    name text NOT NULL,                 -- of the manifest
    view text NOT NULL,
    refreshed_at timestamptz NOT NULL,
    seconds float8 NOT NULL,
    PRIMARY KEY (name, view)
);
