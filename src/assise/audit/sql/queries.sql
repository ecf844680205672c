-- made --
-- What was made for a load, in order.
SELECT line ->> 0 AS kind, line ->> 1 AS "table", line ->> 2 AS name, line ->> 3 AS create, line ->> 4 AS drop
FROM assise.audit_load, json_array_elements(made) WITH ORDINALITY AS lines (line, place)
WHERE load = %(load)s ORDER BY place

-- keep --
-- Keep what was made for a load.
INSERT INTO assise.audit_load (load, schema, made) VALUES (%(load)s, %(schema)s, %(lines)s::json)
ON CONFLICT (load) DO UPDATE SET schema = excluded.schema, made = excluded.made

-- forget --
-- Forget a load; gives the statements for what no other load of its schema needs, the last first.
WITH gone AS (DELETE FROM assise.audit_load WHERE load = %(load)s RETURNING *)
SELECT line ->> 4 FROM gone, json_array_elements(made) WITH ORDINALITY AS lines (line, place)
WHERE line ->> 0 <> 'trigger' AND NOT EXISTS (
    SELECT FROM assise.audit_load AS other, json_array_elements(other.made) AS others (other_line)
    WHERE other.load <> %(load)s AND other.schema = gone.schema AND other_line ->> 4 = line ->> 4
) ORDER BY place DESC

-- has_objects --
-- Whether any load is audited.
SELECT EXISTS (SELECT FROM assise.audit_load)

-- drop_objects --
-- Drop the table of loads, when none is audited.
DROP TABLE assise.audit_load

-- columns_now --
-- The columns of tables: number of the table, name, type, and whether it is of the key; those of a key in its order.
SELECT place::int, attname::text, format_type(atttypid, atttypmod), attnum = ANY (indkey) IS TRUE
FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS n (name, place)
JOIN pg_attribute ON attrelid = to_regclass(name) AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_index ON indrelid = attrelid AND indisprimary ORDER BY 1, array_position(indkey::int2[], attnum), attnum

-- since --
-- When the oldest line was written; nothing where there is none.
SELECT at FROM {log} ORDER BY xid, id LIMIT 1

-- last_seal --
-- The last seal.
SELECT number, era, last_xid::text, last_id, chain FROM {seal} ORDER BY number DESC LIMIT 1

-- restored --
-- The last line of another server: its transaction is one that this server has not reached.
SELECT max(id) FROM {log} WHERE id > %(era)s AND xid >= pg_snapshot_xmax(pg_current_snapshot())
    AND (SELECT xid >= pg_snapshot_xmax(pg_current_snapshot()) FROM {log} ORDER BY xid DESC LIMIT 1)

-- in_order --
-- Read the log by its index, until the transaction ends: a sort of all that waits would be one for each seal.
SELECT set_config('enable_sort', 'off', true)

-- line --
-- One line as the text that is hashed; times are UTC whatever the session has.
jsonb_build_array(l.id, to_char(l.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), l.xid::text, l.statement, l."table", l.op,
    l.key, l.old, l.new, to_jsonb(l.hidden), l.actor, l.request, l.reason, l.login)::text

-- digest --
-- What a seal says, beside the one before it: its lines, and all that tells which these are.
sha256(s.hashes || convert_to(concat_ws(' ', s.number, s.era, s.last_xid, s.last_id, extract(epoch FROM s.first_at), extract(epoch FROM s.last_at),
    extract(epoch FROM s.sealed_at), s.ids::text), 'UTF8'))

-- seal_next --
-- Seal the next lines in the order of transactions, and among those of one by number; all of a seal are of one partition.
WITH next AS (
    SELECT l.*, date_trunc('month', l.at AT TIME ZONE 'UTC') AS month FROM {log} AS l
    WHERE l.id > %(era)s AND (l.xid, l.id) > (%(xid)s::xid8, %(id)s)
        AND CASE WHEN %(restored)s::bigint IS NULL THEN l.xid < pg_snapshot_xmin(pg_current_snapshot()) ELSE l.id <= %(restored)s END
    ORDER BY l.xid, l.id LIMIT %(size)s
), line AS (
    SELECT l.xid, l.id, l.at, sha256(convert_to({line}, 'UTF8')) AS hash
    FROM (SELECT *, bool_and(month = first) OVER (ORDER BY xid, id) AS is_of_first
        FROM (SELECT *, first_value(month) OVER (ORDER BY xid, id) AS first FROM next) AS n) AS l
    WHERE is_of_first
), batch AS (
    SELECT %(number)s::bigint AS number, %(era)s::bigint AS era, now() AS sealed_at, max(xid) AS last_xid, (array_agg(id ORDER BY xid DESC, id DESC))[1] AS last_id, min(at) AS first_at, max(at) AS last_at,
        array_agg(id ORDER BY xid, id) AS ids, string_agg(hash, ''::bytea ORDER BY xid, id) AS hashes, count(*) AS lines FROM line
)
INSERT INTO {seal} (number, era, last_xid, last_id, first_at, last_at, ids, hashes, chain, sealed_at)
SELECT number, era, last_xid, last_id, first_at, last_at, ids, hashes, sha256(%(chain)s::bytea || {digest}), sealed_at
FROM batch AS s WHERE lines > 0 RETURNING cardinality(ids)

-- next_era --
-- The line behind which those of this server begin, where the last seal is one of another server's lines.
SELECT greatest(%(era)s::bigint, (SELECT max(id) FROM {log} WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())), (SELECT max(i) FROM {seal}, unnest(ids) AS i))
WHERE %(xid)s::xid8 >= pg_snapshot_xmax(pg_current_snapshot())

-- holders --
-- Who keeps lines from being sealed: the oldest open transactions of all databases of the server.
SELECT format('process %%1$s of database %%2$s, open for %%3$s', pid, coalesce(datname, '-'), date_trunc('second', clock_timestamp() - xact_start))
FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() AND %(waiting)s > 0 ORDER BY backend_xid::text::bigint LIMIT 5

-- waiting --
-- How many lines wait for a seal behind the last one; of those before a moment, where one is given.
SELECT count(*) FROM {log} WHERE id > %(era)s AND (xid, id) > (%(xid)s::xid8, %(id)s) AND at < coalesce(%(before)s::timestamptz, 'infinity')

-- chain --
-- The seals whose chain is broken: number, and whether it is what its lines and the seal before it say.
SELECT number FROM (SELECT number, chain, sha256(lag(chain, 1, ''::bytea) OVER (ORDER BY number) || {digest}) AS wanted,
    number - lag(number, 1, 0::bigint) OVER (ORDER BY number) AS distance FROM {seal} AS s) AS t
WHERE chain <> wanted OR distance <> 1 ORDER BY number

-- altered --
-- The sealed lines that are not as they were: number of the seal, of the line, and whether it was changed or removed.
SELECT s.number, s.id, CASE WHEN l.id IS NULL THEN 'removed' ELSE 'changed' END
FROM (SELECT number, last_at, u.id, substr(hashes, 32 * (u.place::int - 1) + 1, 32) AS hash FROM {seal}, unnest(ids) WITH ORDINALITY AS u (id, place)) AS s
LEFT JOIN {log} AS l ON l.id = s.id
WHERE (l.id IS NULL AND NOT coalesce(s.last_at < %(oldest)s::timestamptz, false)) OR (l.id IS NOT NULL AND sha256(convert_to({line}, 'UTF8')) <> s.hash)
ORDER BY 2 LIMIT 100

-- inserted --
-- Lines that stand among sealed ones, and that no seal has.
SELECT l.id FROM {log} AS l, (SELECT era, last_xid, last_id FROM {seal} ORDER BY number DESC LIMIT 1) AS s
WHERE (l.id <= s.era OR (l.xid, l.id) <= (s.last_xid, s.last_id)) AND NOT EXISTS (SELECT FROM {seal}, unnest(ids) AS i WHERE i = l.id)
ORDER BY 1 LIMIT 100

-- head --
-- The chain of the last seal in hex digits, with its number and how many lines are sealed.
SELECT encode(chain, 'hex'), number, (SELECT coalesce(sum(cardinality(ids)), 0)::bigint FROM {seal}) FROM {seal} ORDER BY number DESC LIMIT 1

-- has_head --
-- Whether a chain is that of some seal.
SELECT EXISTS (SELECT FROM {seal} WHERE encode(chain, 'hex') = lower(%(head)s))

-- history --
-- The changes of one row, newest first; a TRUNCATE is one of all. Equal numbers may have two texts: such keys have no use of the index.
SELECT id, at, op, old, new, hidden, actor, request, reason, login FROM {log}
WHERE "table" = %(table)s AND (
    key = %(key)s::jsonb AND (key::text COLLATE "C" = %(key)s::jsonb::text OR %(has_numeric)s) OR key::text COLLATE "C" IS NULL AND op = 't'
) ORDER BY xid DESC, id DESC

-- row --
-- A row as it is now, without what is personal.
SELECT to_jsonb(t) - %(hidden)s::text[] FROM {place} AS t, jsonb_to_record(%(key)s::jsonb) AS r ({types}) WHERE {same}

-- as_json --
-- A part of a key as the log has it: numbers are numbers.
SELECT to_jsonb(%(value)s::text::{kind})
