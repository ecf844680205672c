-- snapshot --
-- Let other sessions read what this transaction reads.
SELECT pg_export_snapshot()

-- extension --
-- Whether an extension is made, and whether it can be.
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = %(name)s) AS is_made,
    EXISTS (SELECT FROM pg_available_extensions WHERE name = %(name)s) AS is_available

-- load --
-- A load by its name.
SELECT id, name, source, layout, schema, chunk_bytes, finished_at IS NOT NULL AS is_finished, to_jsonb(load) -> 'options' AS options,
    coalesce((to_jsonb(load) ->> 'is_revised')::bool, false) AS is_revised, coalesce(to_jsonb(load) ->> 'closed_by', '') AS closed_by
FROM assise.load WHERE name = %(name)s

-- insert_load --
-- A load begins.
INSERT INTO assise.load (name, source, options, manifest, layout, schema, chunk_bytes)
VALUES (%(name)s, %(source)s, %(options)s, %(manifest)s, %(layout)s, %(schema)s, %(chunk_bytes)s) RETURNING id

-- update_manifest --
-- Keep the manifest's text and comments as they are now.
UPDATE assise.load SET manifest = %(manifest)s, comments = %(comments)s::jsonb
WHERE id = %(load_id)s AND (manifest, comments) IS DISTINCT FROM (%(manifest)s, %(comments)s::jsonb)

-- load_comments --
-- The comments that the manifest set when it was last applied.
SELECT comments FROM assise.load WHERE id = %(load_id)s

-- schema_comments --
-- The comments of schemas.
SELECT nspname::text, obj_description(oid, 'pg_namespace') FROM pg_namespace
WHERE nspname = ANY (%(schemas)s::text[]) AND obj_description(oid, 'pg_namespace') IS NOT NULL

-- comments --
-- The comments of tables, by their numbers from 1 on, (column null) and of their columns.
SELECT number, attname::text AS column, description FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS ours (name, number)
JOIN pg_description ON classoid = 'pg_class'::regclass AND objoid = to_regclass(name)
LEFT JOIN pg_attribute ON attrelid = objoid AND attnum = objsubid AND attnum > 0

-- first_load --
-- A load of a ledger of version 1, by its name.
SELECT id, name, source, manifest, schema, chunk_bytes, finished_at IS NOT NULL AS is_finished
FROM assise.load WHERE name = %(name)s

-- first_loads --
-- The loads of a ledger of version 1, oldest first.
SELECT id, manifest, schema FROM assise.load ORDER BY id

-- set_layout --
-- Keep the layout of a load that has none.
UPDATE assise.load SET layout = %(layout)s WHERE id = %(load_id)s

-- set_created --
-- Note how many tables of a load there are; null for all.
UPDATE assise.load SET created = %(created)s WHERE id = %(load_id)s AND created IS DISTINCT FROM %(created)s

-- created --
-- How many tables of a load there are; null for all.
SELECT created FROM assise.load WHERE id = %(load_id)s

-- insert_collections --
-- Keep what mongodump wrote of collections, and what decides how they are read.
INSERT INTO assise.collection (load_id, name, metadata, survey)
SELECT %(load_id)s, name, metadata, survey::jsonb
FROM unnest(%(names)s::text[], %(metadata)s::text[], %(surveys)s::text[]) AS held (name, metadata, survey)

-- surveys --
-- What decides how the collections of a load are read; in an older ledger nothing.
SELECT name, to_jsonb(held) -> 'survey' AS survey FROM assise.collection AS held
WHERE load_id = %(load_id)s AND jsonb_typeof(to_jsonb(held) -> 'survey') = 'object'

-- metadata --
-- What mongodump wrote of a collection.
SELECT metadata FROM assise.collection WHERE load_id = %(load_id)s AND name = %(name)s

-- move_source --
-- Keep the place of a source that was moved.
UPDATE assise.load SET source = %(source)s WHERE id = %(load_id)s AND source <> %(source)s

-- finish_load --
-- Everything of a load is there.
UPDATE assise.load SET finished_at = now() WHERE id = %(load_id)s

-- insert_chunks --
-- Chunks are finished, in the transaction that copied their rows.
INSERT INTO assise.chunk (
    load_id, collection, start_offset, stop_offset, sha256, documents, loaded, rejected, rows, columns, typed, read, jsonb, extra, seconds
)
SELECT %(load_id)s, collection, start_offset, stop_offset, sha256, documents, loaded, rejected, rows, columns, typed, read, jsonb, extra, seconds
FROM json_to_recordset(%(lines)s) AS line (
    collection text, start_offset bigint, stop_offset bigint, sha256 text, documents bigint, loaded bigint, rejected bigint,
    rows jsonb, columns jsonb, typed bigint, read bigint, jsonb bigint, extra bigint, seconds float8
)

-- insert_live_chunks --
-- What of chunks of a live source is kept beside their lines.
INSERT INTO assise.live_chunk (load_id, collection, start_offset, bytes, digests)
SELECT %(load_id)s, collection, start_offset, bytes, digests
FROM unnest(%(collections)s::text[], %(starts)s::bigint[], %(sizes)s::bigint[], %(digests)s::bytea[])
    AS live (collection, start_offset, bytes, digests)

-- live_sizes --
-- The bytes of the documents of each chunk of a live source.
SELECT collection, start_offset, bytes FROM assise.live_chunk WHERE load_id = %(load_id)s

-- digests --
-- The digests of the documents of a live collection, or of one chunk of it.
SELECT digests FROM assise.live_chunk
WHERE load_id = %(load_id)s AND collection = %(collection)s AND start_offset = coalesce(%(start)s, start_offset) ORDER BY start_offset

-- write_digests --
-- Keep other digests of a chunk of a live collection: documents were written again, or rejected.
UPDATE assise.live_chunk SET digests = %(digests)s
WHERE load_id = %(load_id)s AND collection = %(collection)s AND start_offset = %(start)s

-- update_survey --
-- Keep what decides how a collection is read.
UPDATE assise.collection SET survey = %(survey)s::jsonb WHERE load_id = %(load_id)s AND name = %(name)s

-- all_chunks --
-- The finished chunks of all collections, in the order of the source.
SELECT start_offset, stop_offset, sha256, documents, loaded, rejected, rows, typed,
    coalesce((to_jsonb(chunk) ->> 'read')::bigint, 0) AS values_read, jsonb, extra, collection,
    to_jsonb(chunk) -> 'columns' AS columns
FROM assise.chunk WHERE load_id = %(load_id)s ORDER BY collection, start_offset

-- chunks --
-- The finished chunks of a collection, in the order of the source; older ledgers have neither read nor columns.
SELECT start_offset, stop_offset, sha256, documents, loaded, rejected, rows, typed,
    coalesce((to_jsonb(chunk) ->> 'read')::bigint, 0) AS values_read, jsonb, extra, to_jsonb(chunk) -> 'columns' AS columns
FROM assise.chunk WHERE load_id = %(load_id)s AND collection = %(collection)s ORDER BY start_offset

-- copy_rejects --
-- Rejects with their bytes.
COPY assise.reject (load_id, collection, start_offset, size, reason, detail, sha256, raw) FROM STDIN (FORMAT binary)

-- rejects --
-- The rejects of a load without their bytes.
SELECT collection, start_offset AS offset, size, reason, detail, sha256
FROM assise.reject WHERE load_id = %(load_id)s ORDER BY collection, start_offset

-- chunk_rejects --
-- The rejects of one chunk without their bytes.
SELECT collection, start_offset AS offset, size, reason, detail, sha256
FROM assise.reject
WHERE load_id = %(load_id)s AND collection = %(collection)s AND start_offset >= %(start)s AND start_offset < %(stop)s

-- reject_raw --
-- The bytes of one reject.
SELECT raw FROM assise.reject WHERE load_id = %(load_id)s AND collection = %(collection)s AND start_offset = %(offset)s

-- next_rejects --
-- The rejects behind an offset with their bytes: one, and more as long as they have few bytes.
SELECT start_offset AS offset, size, reason, raw
FROM (
    SELECT start_offset, size, reason, raw, sum(octet_length(raw)) OVER (ORDER BY start_offset) - octet_length(raw) AS bytes_before
    FROM (
        SELECT start_offset, size, reason, raw FROM assise.reject
        WHERE load_id = %(load_id)s AND collection = %(collection)s AND start_offset > %(offset)s
        ORDER BY start_offset LIMIT %(count)s
    ) AS following
) AS page WHERE bytes_before < %(bytes)s ORDER BY start_offset

-- columns --
-- Names and types of the columns of tables, by their numbers from 1 on.
SELECT number, attname::text, format_type(atttypid, atttypmod)
FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS ours (name, number)
JOIN pg_attribute ON attrelid = to_regclass(name) AND attnum > 0 AND NOT attisdropped

-- existing --
-- Of which names, by their numbers from 1 on, there is a table, view, sequence or index.
SELECT number FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS ours (name, number)
WHERE to_regclass(name) IS NOT NULL ORDER BY number

-- foreign_keys_of --
-- The foreign keys of tables, by the tables' numbers from 1 on: the name, and whether old rows are checked. One not checked wins.
SELECT number, conname::text, convalidated FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS ours (name, number)
JOIN pg_constraint ON conrelid = to_regclass(name) AND contype = 'f' ORDER BY number, convalidated DESC

-- are_tables --
-- Which of these names, by their numbers from 1 on, are those of tables; a view is none.
SELECT number FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS ours (name, number)
JOIN pg_class ON pg_class.oid = to_regclass(name) AND relkind IN ('r', 'p')

-- loaded_rows --
-- How many rows each table got, by the lines of the chunks.
SELECT key, sum(value::bigint)::bigint FROM assise.chunk, jsonb_each_text(rows) WHERE load_id = %(load_id)s GROUP BY key

-- changes --
-- How many rows of a table the load did not write, and how many there are.
SELECT count(*) FILTER (WHERE ours.xid IS NULL), count(*)
FROM {table} AS t LEFT JOIN ({transactions}) AS ours ON ours.xid = t.xmin

-- edited --
-- How many rows, among those that differ from the stage, the load did not write.
SELECT count(*) FROM ONLY {table} AS t JOIN {stage} AS s ON {same} AND {differs} LEFT JOIN ({transactions}) AS ours ON ours.xid = t.xmin
WHERE ours.xid IS NULL

-- transactions --
-- The transactions of a load and of its repairs.
SELECT xid::xid AS xid FROM assise.chunk WHERE load_id = %(load_id)s
UNION SELECT xid::xid FROM assise.repair WHERE load_id = %(load_id)s

-- foreign_keys --
-- The foreign keys that refer to a table.
SELECT relname::text, conname::text, confdeltype::text, confupdtype::text, nspname::text,
    ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)),
    ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = confrelid AND attnum = ANY (confkey))
FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE contype = 'f' AND confrelid = to_regclass(%(table)s) ORDER BY 1, 2

-- insert_repair --
-- Note this transaction as a repair of a load.
INSERT INTO assise.repair (load_id) VALUES (%(load_id)s)

-- additions --
-- What others added to a table of a load.
WITH ours AS (SELECT to_regclass(%(table)s) AS id, to_regclass(%(parent)s) AS parent, %(names)s::text[] AS names, %(made)s::text[] AS made)
SELECT 'column ' || attname FROM pg_attribute, ours WHERE attrelid = id AND attnum > 0 AND NOT attisdropped AND attname <> ALL (names)
UNION ALL
SELECT 'index ' || relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid, ours
WHERE indrelid = id AND NOT indisprimary AND relname <> ALL (made)
UNION ALL
SELECT 'constraint ' || conname FROM pg_constraint, ours
WHERE conrelid = id AND conname <> ALL (made) AND (contype = 'c' OR contype = 'f' AND confrelid IS DISTINCT FROM parent)
UNION ALL
SELECT 'trigger ' || tgname FROM pg_trigger, ours WHERE tgrelid = id AND NOT tgisinternal
UNION ALL
SELECT 'policy ' || polname FROM pg_policy, ours WHERE polrelid = id
UNION ALL
SELECT 'rule ' || rulename FROM pg_rewrite, ours WHERE ev_class = id
ORDER BY 1

-- lock_loads --
-- No other load begins or ends until this transaction does.
LOCK TABLE assise.load IN SHARE ROW EXCLUSIVE MODE

-- is_last_load --
-- Whether there is no load but this one, and the user may drop the ledger.
SELECT NOT EXISTS (SELECT FROM assise.load WHERE id <> %(load_id)s)
    AND (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'assise.load'::regclass)

-- delete_rejects --
-- Forget the rejects of a load.
DELETE FROM assise.reject WHERE load_id = %(load_id)s

-- delete_load --
-- Forget a load, and by its foreign keys the lines of its chunks, collections and repairs.
DELETE FROM assise.load WHERE id = %(load_id)s

-- drop_ledger --
-- Drop the tables of the ledger, when no load is left.
DROP TABLE assise.born, assise.schema, assise.amended, assise.object, assise.reject, assise.repair, assise.live_chunk, assise.chunk, assise.collection, assise.load, assise.function, assise.version

-- objects --
-- What the tables of a load have because the manifest asks for it.
SELECT "table", kind, name, create_sql, drop_sql, finding FROM assise.object WHERE load_id = %(load_id)s

-- note_object --
-- Keep what was made for the manifest, in the transaction that makes it; its texts are literals.
INSERT INTO assise.object (load_id, "table", kind, name, create_sql, drop_sql, finding)
VALUES ({load_id}, {table}, {kind}, {called}, {create}, {drop}, {finding})
ON CONFLICT (load_id, "table", kind, name)
DO UPDATE SET create_sql = excluded.create_sql, drop_sql = excluded.drop_sql, finding = excluded.finding

-- forget_object --
-- Forget what was dropped, in the transaction that drops it; the texts are literals.
DELETE FROM assise.object WHERE load_id = {load_id} AND ("table", kind, name) = ({table}, {kind}, {called})

-- has_constraint --
-- Whether a table has a constraint of this name, quoted as in SQL.
SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = %(table)s::regclass AND conname = (parse_ident(%(name)s))[1])

-- amended --
-- What was done with rows that break a key, in the order of the names.
SELECT "table", name, finding FROM assise.amended WHERE load_id = %(load_id)s ORDER BY "table", name

-- write_amended --
-- Keep what was done with rows that break a key.
INSERT INTO assise.amended (load_id, "table", name, finding) VALUES (%(load_id)s, %(table)s, %(name)s, %(finding)s)
ON CONFLICT (load_id, "table", name) DO UPDATE SET finding = excluded.finding

-- amend_chunk --
-- The figures of a chunk of which documents were rejected, or values set to NULL, after it was loaded.
UPDATE assise.chunk SET loaded = %(loaded)s, rejected = %(rejected)s, rows = %(rows)s, typed = %(typed)s, read = %(read)s,
    jsonb = %(jsonb)s, extra = %(extra)s, columns = CASE WHEN columns IS NOT NULL THEN %(columns)s::jsonb END
WHERE load_id = %(load_id)s AND collection = %(collection)s AND start_offset = %(start)s

-- amend_reject --
-- A second document with the _id of one that is rejected by now is rejected for the same reason.
UPDATE assise.reject SET reason = %(reason)s, detail = %(detail)s
WHERE load_id = %(load_id)s AND collection = %(collection)s AND start_offset = %(start)s

-- closed_schemas --
-- In which of these schemas the user may not create tables.
SELECT nspname::text FROM pg_namespace
WHERE nspname = ANY (%(names)s::text[]) AND NOT (has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE')) ORDER BY 1

-- found_schemas --
-- Which of these schemas there are, and whether a load has made each.
SELECT nspname::text, EXISTS (SELECT FROM assise.schema AS s WHERE s.name = nspname)
FROM pg_namespace WHERE nspname = ANY (%(names)s::text[])

-- insert_schemas --
-- Note schemas as made for a load.
INSERT INTO assise.schema (load_id, name) SELECT %(load_id)s, unnest(%(names)s::text[]) ON CONFLICT DO NOTHING

-- insert_born --
-- Note tables that hold no documents as made for a load.
INSERT INTO assise.born (load_id, name) SELECT %(load_id)s, unnest(%(names)s::text[]) ON CONFLICT DO NOTHING

-- born --
-- The tables of a load that hold no documents.
SELECT name FROM assise.born WHERE load_id = %(load_id)s ORDER BY name

-- rename_table --
-- A table of a load has another name by now.
WITH lines AS (
    UPDATE assise.chunk SET rows = rows - %(old)s::text || jsonb_build_object(%(new)s::text, rows -> %(old)s),
        columns = CASE WHEN columns ? %(old)s THEN columns - %(old)s::text || jsonb_build_object(%(new)s::text, columns -> %(old)s) ELSE columns END
    WHERE load_id = %(load_id)s AND rows ? %(old)s
), made AS (
    UPDATE assise.object SET "table" = %(new)s WHERE load_id = %(load_id)s AND "table" = %(old)s
)
UPDATE assise.born SET name = %(new)s WHERE load_id = %(load_id)s AND name = %(old)s

-- forget_born --
-- Forget such tables of a load, but for these.
DELETE FROM assise.born WHERE load_id = %(load_id)s AND name <> ALL (%(names)s::text[])

-- load_schemas --
-- The schemas that were made for this load, that no other load uses and in which there is nothing but these tables and what parts have made.
WITH named AS (
    SELECT to_regclass(name) AS id FROM unnest(%(tables)s::text[]) AS tables (name)
    UNION ALL
    SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname || '.' || relname = ANY (%(made)s)
),
ours AS (SELECT id FROM named UNION ALL SELECT inhrelid FROM named JOIN pg_inherits ON inhparent = id)
SELECT s.name FROM assise.schema AS s JOIN pg_namespace AS n ON nspname = s.name
WHERE load_id = %(load_id)s AND pg_has_role(nspowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM assise.schema AS o WHERE o.name = s.name AND o.load_id <> s.load_id)
    AND NOT EXISTS (
        SELECT FROM pg_depend AS d WHERE refclassid = 'pg_namespace'::regclass AND refobjid = n.oid
            AND NOT EXISTS (SELECT FROM ours WHERE d.classid = 'pg_class'::regclass AND d.objid = id)
            AND NOT EXISTS (
                SELECT FROM pg_proc AS p WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND s.name || '.' || proname = ANY (%(made)s)
            )
            AND NOT EXISTS (    -- the sequence of an identity
                SELECT FROM pg_depend AS q JOIN ours ON q.refobjid = id
                WHERE q.classid = d.classid AND q.objid = d.objid AND q.refclassid = 'pg_class'::regclass AND q.deptype IN ('a', 'i')
            )
    ) ORDER BY 1

-- has_schema --
-- Whether there is a schema of this name.
SELECT to_regnamespace(quote_ident(%(schema)s)) IS NOT NULL

-- function_body --
-- The body of a function in SQL; empty where it is a parsed expression, no row where there is no function.
SELECT CASE lanname WHEN 'sql' THEN prosrc ELSE 'in another language' END
FROM pg_proc JOIN pg_language ON pg_language.oid = prolang WHERE pg_proc.oid = to_regprocedure(%(signature)s)

-- insert_function --
-- Note a function as made by Assise.
INSERT INTO assise.function VALUES (%(schema)s, %(name)s) ON CONFLICT DO NOTHING

-- delete_function --
-- Forget a function that was dropped.
DELETE FROM assise.function WHERE schema = %(schema)s AND name = %(name)s

-- load_functions --
-- The functions that this load alone may need: defaults of keys, and with the last load of a schema what users call.
SELECT schema, name FROM assise.function AS f
WHERE starts_with(name, '_') AND schema = (SELECT schema FROM assise.load WHERE id = %(load_id)s)
    OR NOT EXISTS (SELECT FROM assise.load AS l WHERE l.schema = f.schema AND l.id <> %(load_id)s)
ORDER BY name, schema

-- is_unused --
-- Whether there is a function that nothing depends on, and that the user may drop.
SELECT EXISTS (SELECT FROM pg_proc WHERE oid = to_regprocedure(%(signature)s) AND pg_has_role(proowner, 'USAGE'))
    AND NOT EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_proc'::regclass AND refobjid = to_regprocedure(%(signature)s))

-- own --
-- Revisions own the schema of a load's tables from now on.
UPDATE assise.load SET is_revised = true WHERE id = %(load_id)s

-- close --
-- A revision closes a load: its documents can no longer be rebuilt.
UPDATE assise.load SET closed_by = coalesce(closed_by, %(revision)s) WHERE id = %(load_id)s
