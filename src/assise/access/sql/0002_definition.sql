-- What the catalog said of a policy, trigger, index or function when it was made: so it is seen when somebody alters it.
ALTER TABLE assise.rule ADD COLUMN definition text;

CREATE FUNCTION assise.rule_definition(schema regnamespace)
RETURNS TABLE (kind text, "table" text, name text, definition text)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT 'policy', relname::text, polname::text,
        concat_ws(' ', polcmd::text, polpermissive::text, polroles::regrole[]::text, pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid))
    FROM pg_policy JOIN pg_class AS c ON c.oid = polrelid WHERE relnamespace = schema
    UNION ALL
    SELECT 'trigger', relname::text, tgname::text, pg_get_triggerdef(t.oid)
    FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid WHERE relnamespace = schema AND NOT tgisinternal
    UNION ALL
    SELECT 'index', c.relname::text, i.relname::text, pg_get_indexdef(indexrelid)
    FROM pg_index JOIN pg_class AS c ON c.oid = indrelid JOIN pg_class AS i ON i.oid = indexrelid WHERE c.relnamespace = schema
    UNION ALL
    SELECT 'function', '', proname::text,
        string_agg(pg_get_functiondef(oid) || pg_get_userbyid(proowner), ';' ORDER BY pg_get_function_identity_arguments(oid))
    FROM pg_proc WHERE pronamespace = schema AND prokind IN ('f', 'p') GROUP BY proname
$$;
