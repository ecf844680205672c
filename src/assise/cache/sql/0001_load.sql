-- The loads whose tables have an outbox of the cache, and what it was made from.
CREATE TABLE assise.cache_load (
    load text PRIMARY KEY,
    schema text NOT NULL,
    made json NOT NULL                  -- what was made: kind, table, name, how it is made and dropped
);
