DECLARE
    _name text := {name};
    _table regclass := {name};
    _past regclass := {past_text};
    _views oid[];
    _again text[];
    _todo text[];
    _ids text[];
    _parts text[];
    _statement text;
    _what text;
    _has_rows bool;
BEGIN
{look}
    FOR _what IN SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = _table AND inhrelid <> _past LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', _what) INTO _has_rows;
        IF _has_rows THEN
            RAISE EXCEPTION '% has rows, which the way back would write under a lock', _what USING ERRCODE = 'invalid_table_definition';
        END IF;
    END LOOP;
{carry}
    _todo := _todo || format('ALTER TABLE %s DETACH PARTITION %s', _name, _past);
    _parts := ARRAY(
        SELECT format('ALTER INDEX %s RENAME TO %I', part.oid::regclass, whole.relname) FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid
        JOIN pg_class AS whole ON whole.oid = inhparent JOIN pg_index ON indexrelid = part.oid WHERE indrelid = _past AND part.relname <> {past_key_text}
    );
    _ids := ARRAY(
        SELECT format('ALTER TABLE %s ALTER COLUMN %I ADD GENERATED %s AS IDENTITY', _name, attname, CASE attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END)
        FROM pg_attribute WHERE attrelid = _table AND attidentity <> ''
    ) || _ids;
    FOREACH _statement IN ARRAY _todo LOOP
        EXECUTE _statement;
    END LOOP;
    ALTER TABLE {table} RENAME TO {whole_name};
    ALTER TABLE {past} RENAME TO {name_alone};
    FOREACH _statement IN ARRAY _ids || _again LOOP
        EXECUTE _statement;
    END LOOP;
    DROP TABLE {whole};
    FOREACH _statement IN ARRAY _parts LOOP
        EXECUTE _statement;
    END LOOP;
    {old_key}
END
