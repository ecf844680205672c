-- made --
-- What the rules of a load have made, in order.
SELECT kind, "table", name, create_sql AS create, drop_sql AS drop FROM assise.rule WHERE load = %(load)s ORDER BY position

-- keep --
-- Keep what the rules of a load have made.
WITH gone AS (DELETE FROM assise.rule WHERE load = %(load)s AND position >= json_array_length(%(lines)s::json))
INSERT INTO assise.rule (load, position, kind, "table", name, create_sql, drop_sql)
SELECT %(load)s, place - 1, line ->> 0, line ->> 1, line ->> 2, line ->> 3, line ->> 4
FROM json_array_elements(%(lines)s::json) WITH ORDINALITY AS lines (line, place)
ON CONFLICT (load, position) DO UPDATE SET kind = excluded.kind, "table" = excluded."table", name = excluded.name,
    create_sql = excluded.create_sql, drop_sql = excluded.drop_sql

-- define --
-- Note what the catalog says now of what the rules of a load have made.
UPDATE assise.rule SET definition = now.definition
FROM assise.rule_definition(to_regnamespace(quote_ident(%(schema)s))) AS now
WHERE load = %(load)s AND (rule.kind, rule."table", rule.name) = (now.kind, now."table", now.name)

-- altered --
-- What is in the catalog, and not as it was made: kind, table and name.
SELECT kind, "table", name FROM assise.rule
JOIN assise.rule_definition(to_regnamespace(quote_ident(%(schema)s))) AS now USING (kind, "table", name)
WHERE load = %(load)s AND rule.definition IS DISTINCT FROM now.definition

-- forget --
-- Forget what the rules of a load have made; gives the statements for what does not go with its tables.
WITH gone AS (DELETE FROM assise.rule WHERE load = %(load)s RETURNING *)
SELECT drop_sql FROM gone WHERE "table" = '' AND NOT EXISTS (
    SELECT FROM assise.rule AS other WHERE other.load <> %(load)s AND other.drop_sql = gone.drop_sql
) ORDER BY position DESC

-- has_objects --
-- Whether any load has rules.
SELECT EXISTS (SELECT FROM assise.rule)

-- drop_objects --
-- Drop the table of rules, when no load has some, and what reads the catalog for it.
DROP TABLE assise.rule;
DROP FUNCTION IF EXISTS assise.rule_definition(regnamespace)

-- roles --
-- Roles of these names: whether Assise made each, and whether no rule binds it.
SELECT rolname::text AS name, shobj_description(oid, 'pg_authid') IS NOT DISTINCT FROM %(comment)s AS is_ours,
    rolsuper OR rolbypassrls AS is_unbound
FROM pg_roles WHERE rolname = ANY (%(names)s)

-- user --
-- Who the session is, whether it may make roles, and whether it has the rights of these.
SELECT current_user::text AS name, rolsuper AS is_superuser, rolsuper OR rolcreaterole AS may_create,
    (SELECT coalesce(bool_and(pg_has_role(oid, 'USAGE')), false) AND count(*) = cardinality(%(roles)s::text[])
        FROM pg_roles WHERE rolname = ANY (%(roles)s)) AS is_member
FROM pg_roles WHERE rolname = current_user

-- policies --
-- The policies of a table that the application's role has; without such a role those of the user.
SELECT polname::text AS name, CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS command,
    pg_get_expr(polqual, polrelid) AS using, pg_get_expr(polwithcheck, polrelid) AS check
FROM pg_policy WHERE polrelid = to_regclass(%(table)s) AND EXISTS (
    SELECT FROM unnest(polroles) AS role WHERE role = 0
    OR pg_get_userbyid(role) = ANY (CASE WHEN cardinality(%(app)s::text[]) = 0 THEN ARRAY[current_user::text] ELSE %(app)s::text[] END)
)
ORDER BY polcmd = 'r' DESC, polname
