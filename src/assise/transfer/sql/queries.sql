-- lock --
SELECT pg_advisory_lock(hashtextextended('assise ' || %s, 0))

-- join --
SELECT pg_advisory_lock_shared(hashtextextended('assise workers ' || %s, 0))

-- leader --
SELECT pg_backend_pid()

-- leads --
SELECT EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid = %s
    AND (classid::bigint << 32 | objid::bigint) = hashtextextended('assise ' || %s, 0)
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)

-- wait_for_workers --
SELECT pg_advisory_lock(hashtextextended('assise workers ' || name, 0)), pg_advisory_unlock(hashtextextended('assise workers ' || name, 0))
FROM (VALUES (%s)) AS load (name)

-- snapshot --
SELECT pg_export_snapshot()

-- create_lock --
SELECT pg_advisory_xact_lock(hashtextextended('assise ledger', 0))

-- version --
SELECT version FROM assise.version

-- has_ledger --
SELECT to_regclass('assise.version') IS NOT NULL

-- loads --
SELECT id, name, source, manifest, schema, chunk_bytes, finished_at IS NOT NULL FROM assise.load ORDER BY id

-- insert_load --
INSERT INTO assise.load (name, source, manifest, schema, chunk_bytes) VALUES (%s, %s, %s, %s, %s) RETURNING id

-- insert_collection --
INSERT INTO assise.collection (load_id, name, metadata) VALUES (%s, %s, %s)

-- metadata --
SELECT metadata FROM assise.collection WHERE load_id = %s AND name = %s

-- next_reject --
SELECT start_offset, size, reason, raw FROM assise.reject WHERE load_id = %s AND collection = %s AND start_offset > %s ORDER BY start_offset LIMIT 1

-- move_source --
UPDATE assise.load SET source = %s WHERE id = %s AND source <> %s

-- finish_load --
UPDATE assise.load SET finished_at = now() WHERE id = %s

-- insert_chunk --
INSERT INTO assise.chunk (load_id, collection, start_offset, stop_offset, sha256, documents, loaded, rejected, rows, typed, jsonb, extra, seconds)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)

-- chunks --
SELECT start_offset, stop_offset, documents, loaded, rejected, typed, jsonb, extra, sha256, rows::text, seconds
FROM assise.chunk WHERE load_id = %s AND collection = %s ORDER BY start_offset

-- copy_rejects --
COPY assise.reject (load_id, collection, start_offset, size, reason, detail, sha256, raw) FROM STDIN (FORMAT binary)

-- rejects --
SELECT collection, start_offset, size, reason, detail, sha256
FROM assise.reject WHERE load_id = %s ORDER BY collection, start_offset

-- reject_raw --
SELECT raw FROM assise.reject WHERE load_id = %s AND collection = %s AND start_offset = %s

-- rejected_between --
SELECT collection, start_offset, size, reason, detail, sha256
FROM assise.reject WHERE load_id = %s AND collection = %s AND start_offset >= %s AND start_offset < %s

-- columns --
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute AS a WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum

-- has_relation --
SELECT to_regclass(%s) IS NOT NULL

-- has_foreign_key --
SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass(%s) AND contype = 'f')

-- foreign_key_to_validate --
SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(%s) AND contype = 'f' AND NOT convalidated

-- server --
SELECT current_setting('server_encoding'), pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', coalesce((
    SELECT name FROM unnest(current_schemas(false)) WITH ORDINALITY AS path (name, place) WHERE name <> 'assise' ORDER BY place LIMIT 1
), '')

-- may_create --
SELECT has_database_privilege(current_database(), 'CREATE'), has_schema_privilege(%s, 'CREATE')

-- is_table --
SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass(%s) AND relkind = 'r')

-- loaded_rows --
SELECT key, sum(value::bigint)::bigint FROM assise.chunk, jsonb_each_text(rows) WHERE load_id = %s GROUP BY key

-- changes --
SELECT count(*) FILTER (WHERE ours.xid IS NULL), count(*)
FROM {table} AS t LEFT JOIN ({transactions}) AS ours ON ours.xid = t.xmin

-- edited --
SELECT count(*) FROM ONLY {table} AS t JOIN {stage} AS s ON {same} AND {differs} LEFT JOIN ({transactions}) AS ours ON ours.xid = t.xmin
WHERE ours.xid IS NULL

-- transactions --
SELECT xid::xid AS xid FROM assise.chunk WHERE load_id = %s UNION SELECT xid::xid FROM assise.repair WHERE load_id = %s

-- foreign_keys --
SELECT relname::text, conname::text, confdeltype::text, confupdtype::text, nspname::text,
    ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)),
    ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = confrelid AND attnum = ANY (confkey))
FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE contype = 'f' AND confrelid = to_regclass(%s) ORDER BY 1, 2

-- insert_repair --
INSERT INTO assise.repair (load_id) VALUES (%s)

-- additions --
WITH ours AS (SELECT to_regclass(%s) AS id, to_regclass(%s) AS parent, %s::text[] AS names)
SELECT 'column ' || attname FROM pg_attribute, ours WHERE attrelid = id AND attnum > 0 AND NOT attisdropped AND attname <> ALL (names)
UNION ALL
SELECT 'index ' || relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid, ours WHERE indrelid = id AND NOT indisprimary
UNION ALL
SELECT 'constraint ' || conname FROM pg_constraint, ours
WHERE conrelid = id AND (contype = 'c' OR contype = 'f' AND confrelid IS DISTINCT FROM parent)
UNION ALL
SELECT 'trigger ' || tgname FROM pg_trigger, ours WHERE tgrelid = id AND NOT tgisinternal
UNION ALL
SELECT 'policy ' || polname FROM pg_policy, ours WHERE polrelid = id
UNION ALL
SELECT 'rule ' || rulename FROM pg_rewrite, ours WHERE ev_class = id
ORDER BY 1

-- lock_loads --
LOCK TABLE assise.load IN SHARE ROW EXCLUSIVE MODE

-- delete_rejects --
DELETE FROM assise.reject WHERE load_id = %s

-- delete_load --
DELETE FROM assise.load WHERE id = %s

-- has_loads --
SELECT EXISTS (SELECT FROM assise.load)

-- drop_ledger --
DROP TABLE assise.reject, assise.repair, assise.chunk, assise.collection, assise.load, assise.version;
DROP FUNCTION assise.objectid_to_uuid(text), assise.uuid_to_objectid(uuid);
DROP SCHEMA assise

-- is_unused --
SELECT to_regprocedure(%s) IS NOT NULL
    AND NOT EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_proc'::regclass AND refobjid = to_regprocedure(%s))
