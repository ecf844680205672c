-- The schemas that loads have made for tables whose names give one.
CREATE TABLE assise.schema (
    load_id int NOT NULL REFERENCES assise.load ON DELETE CASCADE,
    name text NOT NULL,
    PRIMARY KEY (load_id, name)
);
