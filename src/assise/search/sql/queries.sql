-- made --
-- What search has made for a load, in order.
SELECT kind, "table", name, create_sql AS create, drop_sql AS drop FROM assise.search_object WHERE load = %(load)s ORDER BY position

-- keep --
-- Keep what search has made for a load.
WITH gone AS (DELETE FROM assise.search_object WHERE load = %(load)s AND position >= json_array_length(%(lines)s::json))
INSERT INTO assise.search_object (load, position, kind, "table", name, create_sql, drop_sql)
SELECT %(load)s, place - 1, line ->> 0, line ->> 1, line ->> 2, line ->> 3, line ->> 4
FROM json_array_elements(%(lines)s::json) WITH ORDINALITY AS lines (line, place)
ON CONFLICT (load, position) DO UPDATE SET kind = excluded.kind, "table" = excluded."table", name = excluded.name,
    create_sql = excluded.create_sql, drop_sql = excluded.drop_sql

-- forget --
-- Forget what search has made for a load; gives the statements for what does not go with its tables.
WITH gone AS (DELETE FROM assise.search_object WHERE load = %(load)s RETURNING *)
SELECT drop_sql FROM gone WHERE kind IN ('table', 'function', 'extension') AND NOT EXISTS (
    SELECT FROM assise.search_object AS other WHERE other.load <> %(load)s AND other.drop_sql = gone.drop_sql
) ORDER BY position DESC

-- has_objects --
-- Whether any load is searched.
SELECT EXISTS (SELECT FROM assise.search_object)

-- drop_objects --
-- Drop the table of what search has made, when no load is searched.
DROP TABLE assise.search_object

-- vector --
-- The schema of pgvector 0.7 or later, if it is installed.
SELECT nspname::text FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace
WHERE extname = 'vector' AND string_to_array(extversion, '.')::int[] >= '{0,7}'

-- configurations --
-- The names of the server's own text search configurations.
SELECT cfgname::text FROM pg_ts_config WHERE cfgnamespace = 'pg_catalog'::regnamespace ORDER BY 1

-- available --
-- Whether an extension can be installed, and is not yet; pgvector from 0.7 on.
SELECT EXISTS (
    SELECT FROM pg_available_extensions WHERE name = %(name)s AND installed_version IS NULL
    AND (name <> 'vector' OR string_to_array(default_version, '.')::int[] >= '{0,7}')
)
