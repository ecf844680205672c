-- What was done with rows that break a key of the manifest and are not kept: orphans and duplicates.
CREATE TABLE assise.amended (
    load_id int NOT NULL REFERENCES assise.load ON DELETE CASCADE,
    "table" text NOT NULL,
    name text NOT NULL,                 -- of the constraint or index
    finding jsonb NOT NULL,             -- how many rows, the keys of the first, and what became of them
    PRIMARY KEY (load_id, "table", name)
);
