-- What search has made in the database for a load, in the order in which it was made.
CREATE TABLE assise.search_object (
    load text NOT NULL,                 -- the name of the load
    position int NOT NULL,
    kind text NOT NULL,                 -- table, function, trigger, grant, extension
    "table" text NOT NULL,              -- empty for what belongs to no table
    name text NOT NULL,
    create_sql text NOT NULL,
    drop_sql text NOT NULL,
    PRIMARY KEY (load, position)
);
