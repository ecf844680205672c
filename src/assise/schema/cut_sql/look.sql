    -- Readers of a view have it before they have the table, and writers may hold what the table
    -- refers to: these are locked first, so that nobody waits in a circle.
    _views := ARRAY(
        SELECT DISTINCT ev_class FROM pg_depend JOIN pg_rewrite AS r ON r.oid = objid JOIN pg_class AS v ON v.oid = ev_class
        WHERE classid = 'pg_rewrite'::regclass AND (refclassid, refobjid) = ('pg_class'::regclass, _table::oid) AND relkind = 'v'
    );
    _todo := ARRAY(
        SELECT format('ALTER VIEW %s OWNER TO %I', oid::regclass, pg_get_userbyid(relowner)) FROM pg_class WHERE oid = ANY (_views)
    ) || ARRAY(
        SELECT DISTINCT format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', confrelid::regclass)
        FROM pg_constraint WHERE conrelid = _table AND contype = 'f' ORDER BY 1
    ) || format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', _name);
    FOREACH _statement IN ARRAY _todo LOOP
        EXECUTE _statement;
    END LOOP;
    SELECT string_agg(DISTINCT what, ', ') INTO _what FROM (
        SELECT format('the foreign key %s of %s', conname, conrelid::regclass) FROM pg_constraint WHERE confrelid = _table AND conparentid = 0
        UNION ALL SELECT pg_describe_object('pg_class'::regclass, ev_class, 0) FROM pg_depend JOIN pg_rewrite AS r ON r.oid = objid
        JOIN pg_class AS v ON v.oid = ev_class
        WHERE classid = 'pg_rewrite'::regclass AND (refclassid, refobjid) = ('pg_class'::regclass, _table::oid) AND relkind <> 'v'
        UNION ALL SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
        WHERE classid = 'pg_proc'::regclass AND (refclassid, refobjid) = ('pg_class'::regclass, _table::oid)
        UNION ALL SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend AS d
        JOIN pg_type AS t ON (d.refclassid, d.refobjid) = ('pg_type'::regclass, t.oid)
        WHERE d.deptype = 'n' AND (t.typrelid = _table OR t.typelem IN (SELECT oid FROM pg_type WHERE typrelid = _table))
        UNION ALL SELECT format('the publication %s', pubname) FROM pg_publication_rel JOIN pg_publication AS p ON p.oid = prpubid WHERE prrelid = _table
        UNION ALL SELECT format('the table %s, which inherits from it', inhrelid::regclass)
        FROM pg_inherits JOIN pg_class AS c ON c.oid = inhparent WHERE inhparent = _table AND relkind = 'r'
    ) AS found (what);
    IF _what IS NOT NULL THEN
        RAISE EXCEPTION '% would not follow when another table gets the name %', _what, _name USING ERRCODE = 'invalid_table_definition';
    END IF;
