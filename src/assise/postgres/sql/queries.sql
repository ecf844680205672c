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

-- snapshot --
-- What stands in the schemas of a database but assise: kind, what it belongs to, name, definition, and how it is made and dropped.
WITH space AS (
    SELECT n.oid, nspname, nspacl, nspowner FROM pg_namespace AS n
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'assise')
), member AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), role AS (
    SELECT oid, quote_ident(rolname) AS who FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = 'made by Assise'
), relation AS (
    SELECT c.*, format('%I.%I', nspname, relname) AS called FROM pg_class AS c JOIN space AS n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition
    AND NOT EXISTS (SELECT FROM member WHERE (classid, objid) = ('pg_class'::regclass, c.oid))
), routine AS (
    SELECT p.*, format('%I.%I(%3$s)', nspname, proname, pg_get_function_identity_arguments(p.oid)) AS called,
        CASE prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS word
    FROM pg_proc AS p JOIN space AS n ON n.oid = pronamespace
    WHERE prokind IN ('f', 'p') AND NOT EXISTS (SELECT FROM member WHERE (classid, objid) = ('pg_proc'::regclass, p.oid))
), field AS (
    SELECT r.called, r.relkind, a.* FROM relation AS r JOIN pg_attribute AS a ON attrelid = r.oid WHERE attnum > 0 AND NOT attisdropped
), granted AS (
    SELECT called AS "on", called AS target, '' AS part, relowner AS owner, a.grantee, a.privilege_type
    FROM relation, aclexplode(relacl) AS a
    UNION ALL SELECT f.called, f.called, format(' (%I)', attname), relowner, a.grantee, a.privilege_type
    FROM field AS f JOIN pg_class AS c ON c.oid = attrelid, aclexplode(attacl) AS a
    UNION ALL SELECT called, word || ' ' || called, '', proowner, a.grantee, a.privilege_type
    FROM routine, aclexplode(coalesce(proacl, acldefault('f', proowner))) AS a
    UNION ALL SELECT quote_ident(nspname), format('SCHEMA %I', nspname), '', nspowner, a.grantee, a.privilege_type
    FROM space, aclexplode(nspacl) AS a WHERE a.grantee IN (SELECT oid FROM role)
), said AS (
    SELECT 'SCHEMA ' || quote_ident(nspname) AS what, quote_ident(nspname) AS "on", obj_description(oid, 'pg_namespace') AS text
    FROM space WHERE nspname <> 'public'
    UNION ALL SELECT CASE relkind WHEN 'v' THEN 'VIEW ' WHEN 'm' THEN 'MATERIALIZED VIEW ' ELSE 'TABLE ' END || called, called,
        obj_description(oid, 'pg_class') FROM relation
    UNION ALL SELECT format('COLUMN %1$s.%I', called, attname), called, col_description(attrelid, attnum) FROM field
    UNION ALL SELECT word || ' ' || called, called, obj_description(oid, 'pg_proc') FROM routine
)
SELECT 'schema' AS kind, quote_ident(nspname) AS "on", quote_ident(nspname) AS name, '' AS definition,
    format('CREATE SCHEMA IF NOT EXISTS %I', nspname) AS "create", format('DROP SCHEMA %I', nspname) AS drop
FROM space WHERE nspname <> 'public'
UNION ALL
SELECT 'extension', quote_ident(extname), quote_ident(extname), '',
    format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I', extname, nspname), format('DROP EXTENSION %I', extname)
FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace WHERE extname <> 'plpgsql'
UNION ALL
SELECT 'table', called, called, coalesce('PARTITION BY ' || pg_get_partkeydef(oid), ''), '', format('DROP TABLE %1$s', called)
FROM relation WHERE relkind IN ('r', 'p')
UNION ALL
SELECT 'column', called, quote_ident(attname), json_build_object(
    'type', format_type(atttypid, atttypmod),
    'collation', (SELECT format('%I.%I', nspname, collname) FROM pg_collation JOIN pg_namespace AS n ON n.oid = collnamespace
        WHERE pg_collation.oid = attcollation AND attcollation <> (SELECT typcollation FROM pg_type WHERE pg_type.oid = atttypid)),
    'not_null', attnotnull, 'default', pg_get_expr(adbin, adrelid), 'generated', attgenerated, 'identity', attidentity, 'place', attnum
)::text, '', format('ALTER TABLE %1$s DROP COLUMN %I', called, attname)
FROM field LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE relkind IN ('r', 'p')
UNION ALL
SELECT 'constraint', called, quote_ident(conname), pg_get_constraintdef(k.oid),
    format('ALTER TABLE %1$s ADD CONSTRAINT %I %3$s', called, conname, pg_get_constraintdef(k.oid)),
    format('ALTER TABLE %1$s DROP CONSTRAINT %I', called, conname)
FROM pg_constraint AS k JOIN relation AS r ON r.oid = conrelid WHERE contype IN ('p', 'u', 'f', 'c', 'x') AND conparentid = 0
UNION ALL
SELECT 'index', called, format('%I.%I', nspname, i.relname),
    replace(pg_get_indexdef(i.oid), format('INDEX %I ON', i.relname), 'INDEX ON') || CASE WHEN indisvalid THEN '' ELSE ' INVALID' END,
    pg_get_indexdef(i.oid), format('DROP INDEX %I.%I', nspname, i.relname)
FROM pg_index AS x JOIN relation AS r ON r.oid = indrelid JOIN pg_class AS i ON i.oid = indexrelid JOIN space AS n ON n.oid = i.relnamespace
WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.oid AND contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'security', called, 'ROW LEVEL SECURITY', '',
    format('ALTER TABLE %1$s ENABLE ROW LEVEL SECURITY', called), format('ALTER TABLE %1$s DISABLE ROW LEVEL SECURITY', called)
FROM relation WHERE relrowsecurity
UNION ALL
SELECT 'security', called, 'FORCE', '',
    format('ALTER TABLE %1$s FORCE ROW LEVEL SECURITY', called), format('ALTER TABLE %1$s NO FORCE ROW LEVEL SECURITY', called)
FROM relation WHERE relforcerowsecurity
UNION ALL
SELECT 'policy', called, quote_ident(polname), made, made, format('DROP POLICY %I ON %2$s', polname, called)
FROM (SELECT r.called, polname, format(
    'CREATE POLICY %I ON %2$s AS %3$s FOR %4$s TO %5$s%6$s%7$s', polname, r.called, CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
    CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    (SELECT string_agg(CASE g WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g)) END, ', ' ORDER BY pg_get_userbyid(g)) FROM unnest(polroles) AS g),
    ' USING (' || pg_get_expr(polqual, polrelid) || ')', ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')'
) AS made FROM pg_policy JOIN relation AS r ON r.oid = polrelid) AS p
UNION ALL
SELECT 'trigger', called, quote_ident(tgname), pg_get_triggerdef(t.oid) || CASE tgenabled WHEN 'O' THEN '' ELSE ' -- ' || tgenabled::text END,
    pg_get_triggerdef(t.oid), format('DROP TRIGGER %I ON %2$s', tgname, called)
FROM pg_trigger AS t JOIN relation AS r ON r.oid = tgrelid WHERE NOT tgisinternal
UNION ALL
SELECT 'function', called, called, rtrim(pg_get_functiondef(oid), E'\n'), rtrim(pg_get_functiondef(oid), E'\n'), format('DROP %1$s %2$s', word, called)
FROM routine
UNION ALL
SELECT 'view', called, called, made || E'\n-- columns: ' || (
    SELECT string_agg(format('%1$I %2$s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = v.oid AND attnum > 0
), made, format('DROP %1$s %2$s', word, called)
FROM (SELECT oid, called, w.word, format('CREATE %1$s %2$s%3$s AS%4$s%5$s', w.word, called, ' WITH (' || array_to_string(reloptions, ', ') || ')',
    E'\n', rtrim(pg_get_viewdef(oid), ';') || CASE relkind WHEN 'm' THEN E'\n  WITH NO DATA' ELSE '' END) AS made
    FROM relation, LATERAL (SELECT CASE relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS word) AS w WHERE relkind IN ('v', 'm')) AS v
UNION ALL
SELECT 'owner', called, who, '', format('ALTER TABLE %1$s OWNER TO %2$s', called, who), format('ALTER TABLE %1$s OWNER TO CURRENT_USER', called)
FROM relation JOIN role ON role.oid = relowner
UNION ALL
SELECT 'owner', called, who, '', format('ALTER %1$s %2$s OWNER TO %3$s', word, called, who), format('ALTER %1$s %2$s OWNER TO CURRENT_USER', word, called)
FROM routine JOIN role ON role.oid = proowner
UNION ALL
SELECT 'grant', "on", format('%1$s%2$s TO %3$s', privilege_type, part, who), '',
    format('GRANT %1$s%2$s ON %3$s TO %4$s', privilege_type, part, target, who), format('REVOKE %1$s%2$s ON %3$s FROM %4$s', privilege_type, part, target, who)
FROM granted, LATERAL (SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS who) AS g
WHERE grantee <> owner
UNION ALL
SELECT 'comment', "on", what, text, format('COMMENT ON %1$s IS %L', what, text), format('COMMENT ON %1$s IS NULL', what)
FROM said WHERE text IS NOT NULL
ORDER BY 1, 2, 3

-- index_state --
-- Whether an index is valid; no row where there is none.
SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%(index)s)

-- blockers --
-- For whom a session waits, as in holders.
SELECT DISTINCT pid, application_name::text AS program, coalesce(date_trunc('second', clock_timestamp() - xact_start)::text, '') AS age,
    left(regexp_replace(coalesce(query, ''), '\s+', ' ', 'g'), 80) AS statement
FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids(%(pid)s)) ORDER BY pid

-- holders --
-- Who has locks on these tables, or on any of users, or waits for them: process, program, how long its transaction is open, and its last statement.
SELECT DISTINCT pid, application_name::text AS program, coalesce(date_trunc('second', clock_timestamp() - xact_start)::text, '') AS age,
    left(query, 80) AS statement
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'relation' AND pid <> pg_backend_pid() AND granted AND relation = ANY (
    SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS name
    UNION ALL SELECT oid FROM pg_class WHERE %(tables)s::text[] IS NULL AND oid >= 16384 AND relkind IN ('r', 'p')
)

-- key_columns --
-- The columns of a table's primary key, and their types.
SELECT quote_ident(attname) AS name, format_type(atttypid, atttypmod) AS type
FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
WHERE indrelid = to_regclass(%(table)s) AND indisprimary ORDER BY array_position(indkey::int2[], attnum)

-- may_create_database --
-- Whether the user may create databases.
SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user

-- scratch_left --
-- Databases for sums that a command has left which was killed over an hour ago: nobody uses them.
SELECT datname::text FROM pg_database AS d
WHERE shobj_description(oid, 'pg_database') ~ '^assise: a scratch database of \d+$' AND pg_has_role(datdba, 'MEMBER')
AND substring(shobj_description(oid, 'pg_database') FROM '\d+$')::bigint < extract(epoch FROM now()) - 3600
AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.datid = d.oid)

-- partitioned_by --
-- How a table is cut into partitions, empty where it is not; nothing where there is no such table.
SELECT coalesce(pg_get_partkeydef(oid), '') FROM pg_class WHERE oid = to_regclass(%(table)s)

-- bounds_check --
-- The check of a table that is to be cut and is not yet, and whether its rows were checked.
SELECT pg_get_constraintdef(c.oid), convalidated FROM pg_constraint AS c JOIN pg_class AS t ON t.oid = conrelid
WHERE conrelid = to_regclass(%(table)s) AND conname = %(name)s AND contype = 'c' AND relkind = 'r'

-- partitions --
-- The partitions of a table: name, bounds, and whether one is being detached.
SELECT relname::text, pg_get_expr(relpartbound, oid), inhdetachpending
FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = to_regclass(%(table)s)

-- partition_tidy --
-- The statements that give partitions the owner and the row level security of their table, and take grants from them.
WITH part AS (
    SELECT p.*, format('%%I.%%I', nspname, p.relname) AS called, t.relowner AS owner, t.relrowsecurity AS is_ruled, t.relforcerowsecurity AS is_forced
    FROM pg_class AS t JOIN pg_inherits ON inhparent = t.oid JOIN pg_class AS p ON p.oid = inhrelid JOIN pg_namespace AS n ON n.oid = p.relnamespace
    WHERE t.oid = to_regclass(%(table)s)
)
SELECT format('ALTER TABLE %%1$s OWNER TO %%2$I', called, pg_get_userbyid(owner)) FROM part WHERE relowner <> owner
UNION ALL
SELECT format('ALTER TABLE %%1$s ENABLE ROW LEVEL SECURITY', called) FROM part WHERE is_ruled AND NOT relrowsecurity
UNION ALL
SELECT format('ALTER TABLE %%1$s FORCE ROW LEVEL SECURITY', called) FROM part WHERE is_forced AND NOT relforcerowsecurity
UNION ALL
SELECT DISTINCT format('REVOKE ALL ON %%1$s FROM %%2$s', called, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
FROM part, aclexplode(relacl) AS a WHERE a.grantee NOT IN (relowner, owner)

-- before --
-- A moment, so much earlier.
SELECT %(now)s::timestamptz - %(keep)s::interval

-- referred --
-- The tables that a table refers to by foreign keys.
SELECT DISTINCT confrelid::regclass::text FROM pg_constraint WHERE conrelid = to_regclass(%(table)s) AND contype = 'f' ORDER BY 1

-- marked --
-- The tables that are marked to be dropped: those that still are partitions, or those that were.
SELECT relname::text FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE nspname = %(schema)s AND relkind IN ('r', 'p') AND relispartition = %(is_attached)s AND obj_description(pg_class.oid, 'pg_class') = %(mark)s ORDER BY 1

-- index_parts --
-- The partitions that lack their part of an index: partition, name of the part, how it is built and attached.
SELECT p.oid::regclass::text, format('%%I.%%I', n.nspname, part),
    replace(pg_get_indexdef(i.oid), format('INDEX %%I ON ONLY %%I.%%I USING', i.relname, tn.nspname, t.relname),
        format('INDEX CONCURRENTLY %%I ON %%I.%%I USING', part, n.nspname, p.relname)),
    format('ALTER INDEX %%1$s ATTACH PARTITION %%2$I.%%3$I', i.oid::regclass, n.nspname, part)
FROM pg_class AS i JOIN pg_index AS x ON x.indexrelid = i.oid JOIN pg_class AS t ON t.oid = x.indrelid JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
JOIN pg_inherits AS h ON h.inhparent = t.oid JOIN pg_class AS p ON p.oid = h.inhrelid JOIN pg_namespace AS n ON n.oid = p.relnamespace,
LATERAL (SELECT left(p.relname, 30) || '_' || left(md5(i.relname), 8) || '_idx' AS part) AS named
WHERE i.oid = to_regclass(%(index)s) AND NOT EXISTS (
    SELECT FROM pg_inherits AS own JOIN pg_index AS o ON o.indexrelid = own.inhrelid WHERE own.inhparent = i.oid AND o.indrelid = p.oid
) ORDER BY 1

-- constraint_parts --
-- The partitions of a table, and whether each has a constraint of a name that is valid; NULL where it has none.
SELECT p.oid::regclass::text, convalidated FROM pg_inherits JOIN pg_class AS p ON p.oid = inhrelid
LEFT JOIN pg_constraint ON conrelid = p.oid AND quote_ident(conname) = %(name)s WHERE inhparent = to_regclass(%(table)s) ORDER BY 1

-- managed --
-- What the catalog has of what is managed: kind, table and name, those of a schema also without it.
WITH space AS (
    SELECT oid, nspname || '.' AS start FROM pg_namespace WHERE nspname = ANY (%(schemas)s)
    UNION ALL
    SELECT oid, '' FROM pg_namespace WHERE nspname = %(schema)s
), relation AS (
    SELECT c.oid, start || relname AS name, relowner, relrowsecurity, relforcerowsecurity
    FROM pg_class AS c JOIN space ON space.oid = relnamespace WHERE relkind IN ('r', 'p')
), ours AS (
    SELECT * FROM relation WHERE name = ANY (%(tables)s)
)
SELECT 'table', '', name FROM relation
UNION ALL
SELECT 'column', name, attname::text FROM ours JOIN pg_attribute ON attrelid = ours.oid WHERE attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'owner', name, pg_get_userbyid(relowner)::text FROM ours
UNION ALL
SELECT 'security', name, name || CASE WHEN relforcerowsecurity THEN ' forced' ELSE '' END FROM ours WHERE relrowsecurity
UNION ALL
SELECT 'trigger', name, tgname::text FROM ours JOIN pg_trigger ON tgrelid = ours.oid WHERE tgenabled = 'O'
UNION ALL
SELECT 'policy', name, polname::text FROM ours JOIN pg_policy ON polrelid = ours.oid
UNION ALL
SELECT 'index', name, i.relname::text FROM ours JOIN pg_index ON indrelid = ours.oid JOIN pg_class AS i ON i.oid = indexrelid
UNION ALL
SELECT 'function', '', start || proname FROM pg_proc JOIN space ON space.oid = pronamespace
