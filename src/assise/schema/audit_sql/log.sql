CREATE TABLE {log} (
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    statement bigint NOT NULL,
    "table" text NOT NULL,
    op text NOT NULL CHECK (op IN ('i', 'u', 'd', 't')),
    key jsonb,
    old jsonb,
    new jsonb,
    hidden text[],
    actor text,
    request text,
    reason text,
    login text NOT NULL,
    PRIMARY KEY (xid, id, at)
) PARTITION BY RANGE (at);
CREATE INDEX {index_key} ON {log} ((key::text) COLLATE "C")
