DECLARE
    _bound text := to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + interval '2 months', 'YYYY-MM-DD HH24:MI:SS') || '+00';
    _last text;
BEGIN
    EXECUTE format('SELECT max({by_format}) FROM {table_format} WHERE {by_format} >= %L', _bound) INTO _last;
    IF _last IS NOT NULL THEN
        RAISE EXCEPTION '% has rows up to % in %, and the first partition ends at %', {name}, _last, {by_text}, _bound
            USING ERRCODE = 'invalid_table_definition';
    END IF;
    EXECUTE format('ALTER TABLE {table_format} ADD CONSTRAINT {bounds_format} CHECK ({by_format} < %L) NOT VALID', _bound);
END
