-- A personal column, or an _extra beside one, that readers see.
SELECT c.oid::regclass::text || '.' || quote_ident(attname) AS object, quote_ident(rolname) || ' sees it, and may not' AS says,
    'REVOKE SELECT ON ' || c.oid::regclass || ' FROM PUBLIC, ' || quote_ident(rolname) || '; then `assise load`' AS remedy
FROM json_array_elements(%(personal)s::json) AS hidden JOIN pg_class AS c ON c.oid = to_regclass(hidden ->> 0)
JOIN pg_attribute ON attrelid = c.oid AND attname = hidden ->> 1, pg_roles
WHERE rolname = %(reader)s
    AND has_column_privilege(pg_roles.oid, c.oid, attnum, 'SELECT')
ORDER BY object
