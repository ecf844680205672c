    -- What goes along, as statements for the table that has the name then.
    SELECT array_agg(made ORDER BY place, number), array_agg(dropped) FILTER (WHERE dropped <> '') INTO _again, _todo FROM (
        SELECT 1, 0, format('ALTER TABLE %s OWNER TO %I', _name, pg_get_userbyid(relowner)), '' FROM pg_class WHERE oid = _table
        UNION ALL SELECT 2, oid::bigint, pg_get_triggerdef(oid), format('DROP TRIGGER %I ON %s', tgname, _name)
        FROM pg_trigger WHERE tgrelid = _table AND NOT tgisinternal
        UNION ALL SELECT 3, 0, format('ALTER TABLE %s %s TRIGGER %I', _name,
            CASE tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, tgname), ''
        FROM pg_trigger WHERE tgrelid = _table AND NOT tgisinternal AND tgenabled <> 'O'
        UNION ALL SELECT 4, 0, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', polname, polrelid::regclass,
            CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
            CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
            (SELECT string_agg(CASE g WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g)) END, ', ') FROM unnest(polroles) AS g),
            ' USING (' || pg_get_expr(polqual, polrelid) || ')', ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')'
        ), format('DROP POLICY %I ON %s', polname, polrelid::regclass)
        FROM pg_policy AS p WHERE polrelid = _table OR EXISTS (SELECT FROM pg_depend
            WHERE (classid, objid) = ('pg_policy'::regclass, p.oid) AND (refclassid, refobjid) = ('pg_class'::regclass, _table::oid))
        UNION ALL SELECT 5, 0, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', _name), '' FROM pg_class WHERE oid = _table AND relrowsecurity
        UNION ALL SELECT 5, 1, format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', _name), '' FROM pg_class WHERE oid = _table AND relforcerowsecurity
        UNION ALL SELECT 6, 0, format('GRANT %s%s ON %s TO %s%s', privilege_type, part, _name,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), ''
        FROM (
            SELECT '' AS part, relowner, a.* FROM pg_class AS c, aclexplode(relacl) AS a WHERE c.oid = _table
            UNION ALL SELECT format(' (%I)', attname), relowner, a.*
            FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid, aclexplode(attacl) AS a WHERE c.oid = _table
        ) AS granted WHERE grantee <> relowner
        UNION ALL SELECT 7, 0, format('COMMENT ON TABLE %s IS %L', _name, said), ''
        FROM obj_description(_table, 'pg_class') AS said WHERE said IS NOT NULL
        UNION ALL SELECT 7, attnum, format('COMMENT ON COLUMN %s.%I IS %L', _name, attname, said), ''
        FROM pg_attribute, col_description(attrelid, attnum) AS said WHERE attrelid = _table AND attnum > 0 AND said IS NOT NULL
        UNION ALL SELECT 8, 0, format('CREATE OR REPLACE VIEW %s%s AS %s', oid::regclass,
            ' WITH (' || array_to_string(reloptions, ', ') || ')', pg_get_viewdef(oid)), ''
        FROM pg_class WHERE oid = ANY (_views)
    ) AS carried (place, number, made, dropped);
    _todo := coalesce(_todo, '{}') || ARRAY(
        SELECT format('REVOKE ALL%s ON %s FROM %s', part, _name, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
        FROM (
            SELECT '' AS part, relowner, grantee FROM pg_class AS c, aclexplode(relacl) WHERE c.oid = _table
            UNION SELECT format(' (%I)', attname), relowner, grantee
            FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid, aclexplode(attacl) WHERE c.oid = _table
        ) AS granted WHERE grantee <> relowner
    );
    -- Numbers go on where the last one was given.
    _ids := ARRAY(
        SELECT format('SELECT setval(pg_get_serial_sequence(%L, %L), %s, %L)', _name, attname, coalesce(last, 1), last IS NOT NULL)
        FROM pg_attribute, pg_sequence_last_value(pg_get_serial_sequence(_name, attname)::regclass) AS last
        WHERE attrelid = _table AND attidentity <> ''
    ) || ARRAY(
        SELECT format('ALTER SEQUENCE %s OWNED BY %s.%I', objid::regclass, _name, attname)
        FROM pg_depend JOIN pg_attribute ON (attrelid, attnum) = (refobjid, refobjsubid) JOIN pg_class AS s ON s.oid = objid
        WHERE classid = 'pg_class'::regclass AND refobjid = _table AND deptype = 'a' AND relkind = 'S'
    );
