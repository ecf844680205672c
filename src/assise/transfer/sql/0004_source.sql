-- How a source is read: what the user asked for, and what was found before the first chunk.
ALTER TABLE assise.load
    ADD COLUMN options jsonb NOT NULL DEFAULT '{}';     -- database, zone, queries; no secrets

ALTER TABLE assise.collection
    ALTER COLUMN metadata DROP NOT NULL,
    ADD COLUMN survey jsonb;            -- such as the dialect of a JSON file, or the ranges of a live collection

CREATE TABLE assise.live_chunk (        -- beside assise.chunk, of a source that may change while it is read
    load_id int NOT NULL,
    collection text NOT NULL,
    start_offset bigint NOT NULL,
    bytes bigint NOT NULL,              -- of the documents
    digests bytea NOT NULL,             -- of the documents
    PRIMARY KEY (load_id, collection, start_offset),
    FOREIGN KEY (load_id, collection, start_offset) REFERENCES assise.chunk ON DELETE CASCADE
);
