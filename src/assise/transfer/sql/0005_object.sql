-- What the tables of a load have because the manifest asks for it: constraints, indexes, defaults.
CREATE TABLE assise.object (
    load_id int NOT NULL REFERENCES assise.load ON DELETE CASCADE,
    "table" text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,                 -- of the constraint or index; of a default and the like, the column
    create_sql text NOT NULL,           -- what was asked for
    drop_sql text NOT NULL,
    finding jsonb,                      -- why it is not, or not wholly, as asked for: rows break it
    PRIMARY KEY (load_id, "table", kind, name)
);
