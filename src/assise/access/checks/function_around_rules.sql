-- A function with the rights of somebody whom no rule binds, that a user may call.
WITH callers AS (
    SELECT p.oid, string_agg(quote_ident(rolname), ', ' ORDER BY rolname) AS names FROM pg_proc AS p, pg_roles
    WHERE prosecdef AND rolname = ANY (%(bound)s) AND has_function_privilege(pg_roles.oid, p.oid, 'EXECUTE')
        AND has_schema_privilege(pg_roles.oid, pronamespace, 'USAGE') GROUP BY p.oid
)
SELECT p.oid::regprocedure::text AS object,
    'runs as ' || quote_ident(rolname) || ', whom no rule binds, and ' || names || ' may call it' AS says,
    'ALTER FUNCTION ' || p.oid::regprocedure || ' SECURITY INVOKER; or REVOKE EXECUTE ON FUNCTION ' || p.oid::regprocedure
    || ' FROM PUBLIC, ' || names AS remedy
FROM pg_proc AS p JOIN callers USING (oid) JOIN pg_roles AS o ON o.oid = proowner
WHERE (rolsuper OR rolbypassrls OR NOT %(is_forced)s AND EXISTS (
        SELECT FROM pg_class WHERE oid IN (SELECT to_regclass(name) FROM unnest(%(ruled)s::text[]) AS name)
        AND pg_has_role(proowner, relowner, 'USAGE')
    )) AND pronamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema'))
    AND NOT EXISTS (SELECT FROM json_array_elements(%(functions)s::json) AS ours WHERE to_regnamespace(ours ->> 0) = pronamespace AND ours ->> 1 = proname)
    AND NOT (%(tracker)s::text IS NOT NULL AND proname = 'analytics_track' AND pronamespace = to_regnamespace('assise'))
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
ORDER BY object
