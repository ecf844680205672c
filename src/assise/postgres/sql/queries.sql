-- set_session --
-- Set what a session depends on, where the server knows it. Catalogs come first on the path, unless it names them.
SELECT set_config(name, value, false) FROM unnest(%(names)s::text[], %(values)s::text[]) AS setting (name, value)
WHERE current_setting(name, true) IS NOT NULL
UNION ALL
SELECT set_config('search_path', (
    SELECT coalesce(string_agg(quote_ident(name), ', ' ORDER BY place), '')
    FROM unnest(current_schemas(false)) WITH ORDINALITY AS path (name, place) WHERE name <> 'pg_catalog'
), false) WHERE 'pg_catalog' = ANY (current_schemas(false))

-- has_parts --
-- Whether any part has tables here, with a version of its own.
SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE (nspname, relname) = ('assise', 'part'))

-- access --
-- Who owns schema assise, and which privileges the user lacks there: on the schema, and of those given on its tables.
SELECT pg_get_userbyid(nspowner)::text AS owner, quote_ident(current_user) AS user, array_remove(ARRAY[
    CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN 'USAGE' END,
    CASE WHEN NOT %(is_made)s AND NOT has_schema_privilege(n.oid, 'CREATE') THEN 'CREATE' END
], NULL) AS on_schema, ARRAY(
    SELECT privilege FROM unnest(%(privileges)s::text[]) AS privilege WHERE EXISTS (
        SELECT FROM pg_class WHERE relnamespace = n.oid AND relkind = 'r' AND NOT has_table_privilege(oid, privilege)
    )
) AS on_tables FROM pg_namespace AS n WHERE nspname = 'assise'

-- tables --
-- Which of these tables there are in schema assise.
SELECT relname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = 'assise' AND relkind = 'r' AND relname = ANY (%(names)s)

-- part_version --
-- The version of a part's tables; no row where it has none.
SELECT version FROM assise.part WHERE name = %(name)s

-- set_part --
-- Note the version that a part's tables have now.
INSERT INTO assise.part VALUES (%(name)s, %(version)s, now())
ON CONFLICT (name) DO UPDATE SET version = excluded.version, upgraded_at = excluded.upgraded_at

-- delete_part --
-- Forget a part, whose tables are gone.
DELETE FROM assise.part WHERE name = %(name)s

-- is_last_part --
-- Whether no part is left.
SELECT NOT EXISTS (SELECT FROM assise.part)

-- drop_parts --
-- Drop the table of parts, when none is left.
DROP TABLE assise.part

-- others --
-- What stands in schema assise, or depends on it.
SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend
WHERE refclassid = 'pg_namespace'::regclass AND refobjid = to_regnamespace('assise') ORDER BY 1

-- drop_schema --
-- Drop the schema, when nothing stands in it.
DROP SCHEMA assise

-- lock --
-- Wait for a lock, as long as lock_timeout says; it is held until the session ends.
SELECT pg_advisory_lock(hashtextextended(%(key)s, 0))

-- lock_shared --
-- Take a lock together with others.
SELECT pg_advisory_lock_shared(hashtextextended(%(key)s, 0))

-- try_lock --
-- Take a lock if it is free; whether it was.
SELECT pg_try_advisory_lock(hashtextextended(%(key)s, 0))

-- unlock --
-- Give a lock back.
SELECT pg_advisory_unlock(hashtextextended(%(key)s, 0))

-- is_held_by --
-- Whether a session of this database holds a lock.
SELECT EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid = %(pid)s
    AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%(key)s, 0)
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)

-- server --
-- What the preflight asks of a server.
SELECT current_setting('server_encoding') AS encoding,
    pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS is_read_only,
    coalesce((
        SELECT name FROM unnest(current_schemas(false)) WITH ORDINALITY AS path (name, place)
        WHERE name NOT IN ('assise', 'information_schema') AND name !~ '^pg_' ORDER BY place LIMIT 1
    ), '')::text AS schema

-- locks --
-- How many locks the server has for all sessions together.
SELECT current_setting('max_locks_per_transaction')::int
    * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)

-- may_create --
-- Whether the user may create what a load needs: the schema assise, where there is none, and tables.
SELECT to_regnamespace('assise') IS NOT NULL OR has_database_privilege(current_database(), 'CREATE')
    AS in_database, has_schema_privilege(%(schema)s, 'CREATE') AS in_schema

-- see_all --
-- Turn row_security on where the user's own tables are forced, and a policy shows the user all rows of each table that has rules.
WITH bound AS (
    SELECT c.oid, relforcerowsecurity, EXISTS (
        SELECT FROM pg_policy WHERE polrelid = c.oid AND polpermissive AND polcmd = '*'
        AND EXISTS (SELECT FROM unnest(polroles) AS role WHERE role = 0 OR pg_has_role(role, 'USAGE'))
        AND pg_get_expr(polqual, polrelid) = '(( SELECT current_setting(''app.role''::text, true) AS current_setting) = ''owner''::text)'
        AND polwithcheck IS NULL
    ) AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid AND NOT polpermissive) AS is_open
    FROM pg_class AS c WHERE relkind IN ('r', 'p') AND relrowsecurity AND row_security_active(c.oid) AND has_table_privilege(c.oid, 'SELECT')
)
SELECT set_config('app.role', 'owner', false), set_config('row_security', CASE WHEN bool_and(is_open) THEN 'on' ELSE 'off' END, false)
FROM bound HAVING bool_or(relforcerowsecurity)

-- unbound --
-- Why policies do not bind the user, if they do not: what the role is, ruled tables that it owns or may own, and which of these others it may be.
SELECT rolname::text AS name, rolsuper AS is_superuser, rolbypassrls AS may_bypass, ARRAY(
    SELECT oid::regclass::text FROM pg_class
    WHERE relkind IN ('r', 'p') AND relrowsecurity AND NOT relforcerowsecurity AND pg_has_role(relowner, 'MEMBER')
    ORDER BY 1 LIMIT 5
) AS tables, ARRAY(
    SELECT rolname::text FROM pg_roles WHERE rolname = ANY (%(others)s) AND pg_has_role(oid, 'MEMBER') ORDER BY 1
) AS others FROM pg_roles WHERE rolname = current_user
