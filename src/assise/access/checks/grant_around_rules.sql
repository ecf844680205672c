-- A privilege of a user that no policy limits: on a ruled table, its partitions, or schema assise; not those of the owner's members.
WITH RECURSIVE bound AS (
    SELECT oid, quote_ident(rolname) AS name FROM pg_roles WHERE rolname = ANY (%(bound)s)
), ruled AS (
    SELECT oid, relowner, true AS is_root FROM pg_class
    WHERE oid IN (SELECT to_regclass(name) FROM unnest(%(ruled)s::text[]) AS name)
    UNION
    SELECT inhrelid, relowner, false FROM ruled JOIN pg_inherits ON inhparent = ruled.oid
), found AS (
    SELECT ruled.oid::regclass::text AS object, bound.name, privilege,
        CASE WHEN is_root THEN 'which no policy limits' ELSE 'past the policies of the table that it is a part of' END AS why
    FROM ruled, bound, unnest('{TRUNCATE,TRIGGER,REFERENCES,SELECT,INSERT,UPDATE,DELETE}'::text[]) AS privilege
    WHERE NOT pg_has_role(bound.oid, relowner, 'USAGE') AND has_table_privilege(bound.oid, ruled.oid, privilege) AND (privilege IN ('TRUNCATE', 'TRIGGER', 'REFERENCES') OR NOT is_root)
)
SELECT object, 'gives ' || name || ' ' || string_agg(privilege, ', ' ORDER BY privilege) || ', ' || why AS says,
    'REVOKE ' || string_agg(privilege, ', ' ORDER BY privilege) || ' ON ' || object || ' FROM PUBLIC, ' || name AS remedy
FROM found GROUP BY object, name, why
UNION ALL
SELECT 'schema assise', 'may be used by ' || name, 'REVOKE ALL ON SCHEMA assise FROM PUBLIC, ' || name
FROM bound, pg_namespace WHERE nspname = 'assise' AND bound.name IS DISTINCT FROM quote_ident(%(tracker)s) AND has_schema_privilege(bound.oid, pg_namespace.oid, 'USAGE')
ORDER BY 1, 2
