CREATE TABLE {seal} (
    number bigint PRIMARY KEY,
    era bigint NOT NULL,
    last_xid xid8 NOT NULL,
    last_id bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    ids bigint[] NOT NULL,
    hashes bytea NOT NULL,
    chain bytea NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT now()
)
