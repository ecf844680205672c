-- A view of ruled tables that reads them with its owner's rights, or a materialized view of them that a user reads.
WITH RECURSIVE ruled AS (
    SELECT oid, relowner FROM pg_class
    WHERE oid IN (SELECT to_regclass(name) FROM unnest(%(ruled)s::text[]) AS name)
), above AS (
    SELECT oid AS relation, oid AS base FROM ruled
    UNION
    SELECT ev_class, base FROM above JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = relation
    JOIN pg_rewrite ON classid = 'pg_rewrite'::regclass AND pg_rewrite.oid = objid
), views AS (
    SELECT DISTINCT c.oid, c.relkind, c.relowner, coalesce((
        SELECT option_value::bool FROM pg_options_to_table(reloptions) WHERE option_name = 'security_invoker'
    ), false) AS is_invoker
    FROM above JOIN pg_class AS c ON c.oid = relation WHERE relkind IN ('v', 'm')
), readers AS (
    SELECT views.oid, string_agg(quote_ident(rolname), ', ' ORDER BY rolname) AS names FROM views, pg_roles
    WHERE rolname = ANY (%(bound)s) AND has_any_column_privilege(pg_roles.oid, views.oid, 'SELECT') GROUP BY views.oid
)
SELECT views.oid::regclass::text AS object,
    CASE relkind WHEN 'v' THEN 'reads ruled tables as ' || quote_ident(rolname) || ', whom no rule binds'
    ELSE 'holds rows of ruled tables, and ' || names || ' reads all of them' END AS says,
    CASE relkind WHEN 'v' THEN 'ALTER VIEW ' || views.oid::regclass || ' SET (security_invoker = true)'
    ELSE 'REVOKE ALL ON ' || views.oid::regclass || ' FROM ' || names END AS remedy
FROM views JOIN pg_roles ON pg_roles.oid = relowner LEFT JOIN readers ON readers.oid = views.oid
WHERE (relkind = 'v' AND NOT is_invoker AND (
        rolsuper OR rolbypassrls OR NOT %(is_forced)s AND EXISTS (SELECT FROM ruled WHERE pg_has_role(views.relowner, ruled.relowner, 'USAGE'))
    )) OR (relkind = 'm' AND names IS NOT NULL)
ORDER BY object
