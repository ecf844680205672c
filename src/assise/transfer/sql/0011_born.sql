-- The tables of a load that hold no documents: the application writes their rows.
CREATE TABLE assise.born (
    load_id int NOT NULL REFERENCES assise.load ON DELETE CASCADE,
    name text NOT NULL,
    PRIMARY KEY (load_id, name)
);
