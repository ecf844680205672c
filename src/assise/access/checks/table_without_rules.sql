-- A table of the manifest without a rule, or another table of its schema that a user reads whole.
WITH bound AS (
    SELECT rolname::text AS name FROM pg_roles WHERE rolname = ANY (%(bound)s)
), readers AS (
    SELECT c.oid, c.relname::text AS name, c.relrowsecurity, (
        SELECT string_agg(quote_ident(bound.name), ', ' ORDER BY bound.name) FROM bound
        WHERE has_any_column_privilege(bound.name, c.oid, 'SELECT')
    ) AS names
    FROM pg_class AS c WHERE relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND relkind IN ('r', 'p', 'f')
)
SELECT oid::regclass::text AS object,
    CASE WHEN names IS NULL THEN 'has no rule: no user sees its rows' ELSE 'has no rule: ' || names || ' reads all of its rows' END AS says,
    concat_ws(
        ' ',
        CASE WHEN name = ANY (%(tables)s) THEN 'Give it access: in the manifest, or access: none if no user may see it.' END,
        'REVOKE ALL ON ' || oid::regclass || ' FROM ' || names
    ) AS remedy
FROM readers
WHERE NOT name = ANY (%(ruled)s) AND (name = ANY (%(tables)s) OR names IS NOT NULL AND NOT relrowsecurity)
ORDER BY object
