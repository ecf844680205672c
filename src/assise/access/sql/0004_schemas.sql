-- A table or function of the first schema is known by its name alone, and with its schema: a manifest may give either.
CREATE OR REPLACE FUNCTION assise.rule_definition(schema regnamespace)
RETURNS TABLE (kind text, "table" text, name text, definition text)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    WITH space AS (
        SELECT oid, nspname || '.' AS start FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'assise')
        UNION ALL
        SELECT schema, ''
    ), place AS (
        SELECT c.oid, start || relname AS called FROM pg_class AS c JOIN space ON space.oid = relnamespace
    )
    SELECT 'policy', called, polname::text,
        concat_ws(' ', polcmd::text, polpermissive::text, polroles::regrole[]::text, pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid))
    FROM pg_policy JOIN place ON place.oid = polrelid
    UNION ALL
    SELECT 'trigger', called, tgname::text, pg_get_triggerdef(t.oid)
    FROM pg_trigger AS t JOIN place ON place.oid = tgrelid WHERE NOT tgisinternal
    UNION ALL
    SELECT 'index', called, i.relname::text, pg_get_indexdef(indexrelid)
    FROM pg_index JOIN place ON place.oid = indrelid JOIN pg_class AS i ON i.oid = indexrelid
    UNION ALL
    SELECT 'function', '', start || proname,
        string_agg(pg_get_functiondef(p.oid) || pg_get_userbyid(proowner), ';' ORDER BY pg_get_function_identity_arguments(p.oid))
    FROM pg_proc AS p JOIN space ON space.oid = pronamespace WHERE prokind IN ('f', 'p') GROUP BY start, proname
$$;
