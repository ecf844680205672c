-- lock --
SELECT pg_advisory_lock(hashtextextended('assise ' || %s, 0))

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

-- move_source --
UPDATE assise.load SET source = %s WHERE id = %s AND source <> %s

-- finish_load --
UPDATE assise.load SET finished_at = now() WHERE id = %s

-- insert_chunk --
INSERT INTO assise.chunk (load_id, collection, start_offset, stop_offset, sha256, documents, loaded, rejected, rows, typed, jsonb, extra, seconds)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)

-- chunks --
SELECT start_offset, stop_offset, sha256, documents, loaded, rejected, rows::text, typed, jsonb, extra, seconds
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

-- server --
SELECT current_setting('server_encoding'), pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', coalesce((
    SELECT name FROM unnest(current_schemas(false)) WITH ORDINALITY AS path (name, place) WHERE name <> 'assise' ORDER BY place LIMIT 1
), '')

-- may_create --
SELECT has_database_privilege(current_database(), 'CREATE'), has_schema_privilege(%s, 'CREATE')
