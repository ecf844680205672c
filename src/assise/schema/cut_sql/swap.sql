DECLARE
    _name text := {name};
    _table regclass := {name};
    _views oid[];
    _again text[];
    _todo text[];
    _ids text[];
    _parts text[];
    _statement text;
    _what text;
BEGIN
{look}
{carry}
    -- Names of indexes are free for those of the whole, which find these as their parts.
    _parts := ARRAY(
        SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', _name, conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE conrelid = _table AND contype IN ('f', 'u', 'x') ORDER BY oid
    ) || ARRAY(
        SELECT pg_get_indexdef(i.oid) FROM pg_index JOIN pg_class AS i ON i.oid = indexrelid
        WHERE indrelid = _table AND relname <> {past_key_text} AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.oid AND contype IN ('p', 'u', 'x'))
    );
    _todo := _todo || ARRAY(
        SELECT format('ALTER INDEX %s RENAME TO %I', i.oid::regclass, left(relname, 58 - octet_length(relname::text) + length(relname::text)) || '_past')
        FROM pg_index JOIN pg_class AS i ON i.oid = indexrelid
        WHERE indrelid = _table AND relname <> {past_key_text} AND NOT (indisprimary AND {past_key_text} <> '')
    ) || ARRAY(
        SELECT format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %3$I PRIMARY KEY USING INDEX %3$I', _name, conname, {past_key_text})
        FROM pg_constraint WHERE conrelid = _table AND contype = 'p' AND {past_key_text} <> ''
    );
    FOREACH _statement IN ARRAY _todo LOOP
        EXECUTE _statement;
    END LOOP;
    ALTER TABLE {table} RENAME TO {past_name};
    CREATE TABLE {table} (LIKE {past} INCLUDING ALL EXCLUDING INDEXES) {cut};
    ALTER TABLE {table} DROP CONSTRAINT {bounds}, ADD CONSTRAINT {key};
    _todo := ARRAY(
        SELECT format('REVOKE ALL ON %s FROM %s', _name, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
        FROM pg_class AS c, aclexplode(relacl) WHERE c.oid = _name::regclass AND grantee <> relowner
    ) || ARRAY(
        SELECT format('ALTER TABLE %s ALTER COLUMN %I DROP IDENTITY', _table, attname) FROM pg_attribute WHERE attrelid = _table AND attidentity <> ''
    ) || ARRAY(
        SELECT format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (MINVALUE) TO (%L)', _name, _table, substring(pg_get_constraintdef(oid) FROM '''([^'']+)'''))
        FROM pg_constraint WHERE conrelid = _table AND conname = {bounds_text}
    );
    FOREACH _statement IN ARRAY _ids || _parts || _todo || _again LOOP
        EXECUTE _statement;
    END LOOP;
END
