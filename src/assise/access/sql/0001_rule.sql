-- What the access rules of a load have made in the database, in the order in which it was made.
CREATE TABLE assise.rule (
    load text NOT NULL,                 -- the name of the load
    position int NOT NULL,
    kind text NOT NULL,                 -- column, owner, function, trigger, index, security, policy, grant
    "table" text NOT NULL,              -- empty for what belongs to no table
    name text NOT NULL,
    create_sql text NOT NULL,
    drop_sql text NOT NULL,
    PRIMARY KEY (load, position)
);
