-- A table of the manifest without a rule, or another table of its schemas that a user reads whole.
WITH ours AS (
    SELECT to_regclass(name) AS oid FROM unnest(%(tables)s::text[]) AS name
), ruled AS (
    SELECT to_regclass(name) AS oid FROM unnest(%(ruled)s::text[]) AS name
), bound AS (
    SELECT rolname::text AS name FROM pg_roles WHERE rolname = ANY (%(bound)s)
), readers AS (
    SELECT c.oid, c.oid IN (SELECT oid FROM ours) AS is_ours, c.relrowsecurity, (
        SELECT string_agg(quote_ident(bound.name), ', ' ORDER BY bound.name) FROM bound
        WHERE has_any_column_privilege(bound.name, c.oid, 'SELECT')
    ) AS names
    FROM pg_class AS c WHERE relnamespace = ANY (%(schemas)s::regnamespace[]) AND relkind IN ('r', 'p', 'f')
)
SELECT oid::regclass::text AS object,
    CASE WHEN names IS NULL THEN 'has no rule: no user sees its rows' ELSE 'has no rule: ' || names || ' reads all of its rows' END AS says,
    concat_ws(
        ' ',
        CASE WHEN is_ours THEN 'Give it access: in the manifest, or access: none if no user may see it.' END,
        'REVOKE ALL ON ' || oid::regclass || ' FROM ' || names
    ) AS remedy
FROM readers
WHERE NOT oid IN (SELECT oid FROM ruled WHERE oid IS NOT NULL) AND (is_ours OR names IS NOT NULL AND NOT relrowsecurity)
ORDER BY object
