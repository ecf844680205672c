-- The loads whose tables are audited, and what was made for them.
CREATE TABLE assise.audit_load (
    load text PRIMARY KEY,
    schema text NOT NULL,
    made json NOT NULL                  -- what was made: kind, table, name, how it is made and dropped
);
