-- Which revisions a database has, and how far one is that was begun.
CREATE TABLE assise.revision (
    name text NOT NULL,                 -- of the manifest
    number int NOT NULL,
    title text NOT NULL,
    sha256 text NOT NULL,               -- of its file
    text text NOT NULL,                 -- of its file, by which an edited or a lost one can be put back
    state text NOT NULL CHECK (state IN ('begun', 'applied', 'marked', 'reverting')),
    begun_at timestamptz NOT NULL DEFAULT now(),
    applied_at timestamptz,
    PRIMARY KEY (name, number)
);

CREATE TABLE assise.step (
    name text NOT NULL,
    number int NOT NULL,
    step int NOT NULL,                  -- of the up part from 1, of the down part from -1
    is_done bool NOT NULL,              -- false: it runs outside of a transaction, or batch by batch
    last_key text[],                    -- of its batches: the primary key up to which rows are done
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, number, step),
    FOREIGN KEY (name, number) REFERENCES assise.revision ON DELETE CASCADE
);
