-- list_models --
SELECT name, place, dimensions, is_active, embedder FROM {models} ORDER BY is_active DESC, name

-- begin_model --
INSERT INTO {models} (name, place, dimensions, is_active, embedder, query_middle, query_top, passage_middle, weight)
VALUES (%(name)s, %(place)s, %(dimensions)s, NOT EXISTS (SELECT FROM {models} WHERE is_active), %(embedder)s::jsonb,
    %(query_middle)s, %(query_top)s, %(passage_middle)s, %(weight)s)

-- drop_model --
DELETE FROM {models} WHERE name = %(name)s

-- leave_models --
UPDATE {models} SET is_active = false WHERE is_active

-- enter_model --
UPDATE {models} SET is_active = true WHERE name = %(name)s

-- made_from --
SELECT made_from FROM {sources} WHERE model = %(model)s AND source = %(source)s

-- fill --
INSERT INTO {changed} (source, key) SELECT {name}, {key_of_t} FROM {place} AS t ORDER BY 2 ON CONFLICT DO NOTHING

-- keep_source --
INSERT INTO {sources} (model, source, made_from) VALUES (%(model)s, %(source)s, %(made_from)s)
ON CONFLICT (model, source) DO UPDATE SET made_from = excluded.made_from

-- list_gone --
SELECT DISTINCT source FROM {sources} WHERE source <> ALL (%(sources)s::text[])

-- forget_source --
WITH one AS (DELETE FROM {changed} WHERE source = %(source)s), two AS (DELETE FROM {sources} WHERE source = %(source)s)
SELECT {withdraw}(%(source)s, NULL, true)

-- count_changed --
SELECT count(*), min(noted_at) FROM {changed} WHERE source = %(source)s

-- count_rows --
SELECT count(*) FROM {place}

-- list_changed --
SELECT c.key::text, c.version FROM {changed} AS c WHERE c.source = %(source)s AND c.key > coalesce(%(after)s::jsonb, 'null') ORDER BY c.key LIMIT %(limit)s

-- read_rows --
SELECT k.key, {is_wanted}, {fields} FROM unnest(%(keys)s::text[]) AS k (key)
JOIN {place} AS t ON {key_of_t} = k.key::jsonb AND {is_key}

-- measure --
SELECT k.key, {size} FROM unnest(%(keys)s::text[]) AS k (key)
JOIN {place} AS t ON {key_of_t} = k.key::jsonb AND {is_key}

-- known_vectors --
SELECT DISTINCT ON (hash) hash, v::text FROM {passages} WHERE hash = ANY (%(hashes)s::bytea[]) ORDER BY hash, id

-- spend --
SELECT {spend}(%(model)s, %(tokens)s, %(most)s)

-- keep_vectors --
INSERT INTO {passages} (source, key, number, first, last, hash, is_stale, v)
SELECT '', to_jsonb(encode(k.hash, 'hex')), 0, 0, 0, k.hash, true, k.v::{v}.halfvec
FROM unnest(%(hashes)s::bytea[], %(vectors)s::text[]) AS k (hash, v) ON CONFLICT DO NOTHING

-- forget_kept --
DELETE FROM {passages} WHERE source = ''

-- take_changed --
-- Whoever changes these rows right now is not waited for, lest they wait for us: the note stays.
WITH free AS MATERIALIZED (
    SELECT c.key, u.key AS told FROM unnest(%(keys)s::text[], %(versions)s::int8[]) AS u (key, version)
    JOIN {changed} AS c ON c.source = %(source)s AND c.key = u.key::jsonb AND c.version = u.version
    FOR UPDATE OF c SKIP LOCKED
)
DELETE FROM {changed} AS c USING free WHERE c.source = %(source)s AND c.key = free.key RETURNING free.told

-- forget_passages --
DELETE FROM {passages} WHERE source = %(source)s AND key = ANY (%(keys)s::text[]::jsonb[])

-- write_passages --
INSERT INTO {passages} (source, key, number, first, last, heading, hash, scope, v)
SELECT %(source)s, k.key::jsonb, k.number, k.first, k.last, k.heading, k.hash, {scope_of_t}, k.v::{v}.halfvec
FROM unnest(%(keys)s::text[], %(numbers)s::int4[], %(firsts)s::int4[], %(lasts)s::int4[], %(headings)s::text[], %(hashes)s::bytea[], %(vectors)s::text[])
    AS k (key, number, first, last, heading, hash, v)
JOIN {place} AS t ON {is_key}

-- size --
SELECT c.reltuples::float8, coalesce(pg_stat_get_dead_tuples(c.oid), 0)::float8,
    EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass({near_text}) AND indisvalid)
FROM pg_class AS c WHERE c.oid = {passages_text}::regclass

-- count_passages --
SELECT count(*), count(*) FILTER (WHERE is_stale) FROM {passages} WHERE source = %(source)s

-- analyze --
VACUUM (ANALYZE) {passages}

-- allow --
-- What is asked for, up to half of what the server has for files; never less than it allows by itself.
SELECT set_config('maintenance_work_mem', greatest(
    pg_size_bytes(current_setting('maintenance_work_mem')),
    least(%(memory)s, pg_size_bytes(current_setting('effective_cache_size')) / 2, 1024 * 2147483647::int8)
) / 1024 || 'kB', false)

-- drop_near --
DROP INDEX CONCURRENTLY IF EXISTS {near_place}

-- build_near --
CREATE INDEX CONCURRENTLY {near_index} ON {passages} USING hnsw (v {v}.halfvec_ip_ops) WITH (m = 16, ef_construction = 100)
