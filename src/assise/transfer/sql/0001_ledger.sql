-- The ledger: what is known of a load. It is not needed to use the tables, and `DROP SCHEMA assise CASCADE` takes it away.
CREATE SCHEMA IF NOT EXISTS assise;

CREATE TABLE assise.version (
    version int NOT NULL                -- of this bookkeeping
);
INSERT INTO assise.version VALUES (1);

CREATE TABLE assise.load (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,          -- of the manifest
    source text NOT NULL,               -- without secrets
    manifest text NOT NULL,
    schema text NOT NULL,               -- of the tables
    chunk_bytes bigint NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz             -- set when rows, foreign keys and statistics are there
);

CREATE TABLE assise.collection (
    load_id int NOT NULL REFERENCES assise.load ON DELETE CASCADE,
    name text NOT NULL,
    metadata text NOT NULL,             -- what mongodump wrote of its options and indexes
    PRIMARY KEY (load_id, name)
);

CREATE TABLE assise.chunk (
    load_id int NOT NULL REFERENCES assise.load ON DELETE CASCADE,
    collection text NOT NULL,
    start_offset bigint NOT NULL,       -- in the uncompressed source
    stop_offset bigint NOT NULL,
    sha256 text NOT NULL,               -- of the source bytes between
    documents bigint NOT NULL,
    loaded bigint NOT NULL,
    rejected bigint NOT NULL,
    rows jsonb NOT NULL,                -- table -> rows
    typed bigint NOT NULL,              -- values in typed columns
    jsonb bigint NOT NULL,              -- values in jsonb columns
    extra bigint NOT NULL,              -- values in _extra
    seconds float8 NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (load_id, collection, start_offset),
    CHECK (documents = loaded + rejected)
);

CREATE TABLE assise.repair (
    load_id int NOT NULL REFERENCES assise.load ON DELETE CASCADE,
    repaired_at timestamptz NOT NULL DEFAULT now(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);

CREATE TABLE assise.reject (
    load_id int NOT NULL,               -- without a foreign key, whose check for each row takes as long as a load of the row
    collection text COLLATE "C" NOT NULL,
    start_offset bigint NOT NULL,       -- in the uncompressed source
    size bigint NOT NULL,
    reason int NOT NULL,                -- 1 not BSON, 2 duplicate _id, 3 asked for, 4 limit of the server, 5 _id does not fit the key
    detail text NOT NULL,
    sha256 text NOT NULL,               -- of all its bytes
    raw bytea NOT NULL,                 -- all of its bytes; of a run over 16 MiB the first 64 KiB
    PRIMARY KEY (load_id, collection, start_offset)
);

CREATE FUNCTION assise.objectid_to_uuid(objectid text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN objectid ~ '^[0-9a-fA-F]{24}$'
        THEN (left(objectid, 12) || '8' || substr(objectid, 13, 3) || '8' || substr(objectid, 16, 9) || '000000')::uuid END
$$;

CREATE FUNCTION assise.uuid_to_objectid(id uuid) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT left(digits, 12) || substr(digits, 14, 3) || substr(digits, 18, 9)
    FROM (SELECT replace(id::text, '-', '') AS digits) AS parts
    WHERE digits ~ '^.{12}8.{3}8.{9}000000$'
$$;
