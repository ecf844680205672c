-- What rows depend on (`layout`), what stands in the catalog because the manifest says so (`comments`), and the functions
-- that a load made in the schema of its tables. Layouts are filled in from the manifests, and the functions of keys leave
-- schema assise, by a step in Python.
ALTER TABLE assise.load
    ADD COLUMN layout jsonb,            -- null where it could not be read from the manifest's text
    ADD COLUMN comments jsonb NOT NULL DEFAULT '[]';    -- table, column or null, text; of the manifest, not of other SQL

COMMENT ON COLUMN assise.load.manifest IS 'for people: programs read the layout';

CREATE TABLE assise.function (
    schema text NOT NULL,               -- of the tables
    name text NOT NULL,
    PRIMARY KEY (schema, name)
);

-- A publication FOR ALL TABLES refuses an UPDATE or DELETE of a table without a key.
ALTER TABLE assise.version REPLICA IDENTITY FULL;
ALTER TABLE assise.repair REPLICA IDENTITY FULL;

-- A program from before assise.part reads this number, and asks for a newer program.
UPDATE assise.version SET version = 2;
