-- The parts that have tables in schema assise, each with the version of its tables: how many of its files were applied.
-- Before there was this table, `assise.version` had the version of the ledger's.
DO $$
BEGIN
    CREATE SCHEMA IF NOT EXISTS assise;
EXCEPTION
    -- Another session has made it, and has committed since this one looked.
    WHEN duplicate_schema OR unique_violation THEN NULL;
END
$$;

CREATE TABLE assise.part (
    name text PRIMARY KEY,
    version int NOT NULL,
    upgraded_at timestamptz NOT NULL
);

DO $$
BEGIN
    IF to_regclass('assise.version') IS NOT NULL THEN
        INSERT INTO assise.part SELECT 'transfer', version, now() FROM assise.version;
    END IF;
END
$$;
