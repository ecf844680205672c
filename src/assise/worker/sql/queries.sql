-- version --
-- The version of procrastinate that has made the tables of jobs.
SELECT procrastinate FROM assise.queue

-- set_version --
-- Keep the version of procrastinate.
WITH gone AS (DELETE FROM assise.queue) INSERT INTO assise.queue VALUES (%(version)s)

-- made --
-- Statements that drop what procrastinate has made.
SELECT 'DROP FUNCTION IF EXISTS ' || oid::regprocedure || ' CASCADE' FROM pg_proc
WHERE pronamespace = to_regnamespace('assise') AND proname LIKE 'procrastinate\_%'
UNION ALL
SELECT format('DROP TABLE IF EXISTS assise.%I CASCADE', relname) FROM pg_class
WHERE relnamespace = to_regnamespace('assise') AND relkind = 'r' AND relname LIKE 'procrastinate\_%'
UNION ALL
SELECT format('DROP TYPE IF EXISTS assise.%I CASCADE', typname) FROM pg_type
WHERE typnamespace = to_regnamespace('assise') AND typname LIKE 'procrastinate\_%' AND (typtype = 'e' OR typrelid <> 0)

-- drop_queue --
-- Drop our own table.
DROP TABLE assise.queue
