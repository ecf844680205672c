-- log --
CREATE TABLE {log} (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    q text NOT NULL,
    tables text[],                       -- NULL: all that are searched
    asked_by text,                       -- the user's key or its hash
    tenant text,
    hits int4,                           -- NULL where they were not counted
    ms float8 NOT NULL,
    is_next bool NOT NULL,               -- a further page of an earlier query
    shown jsonb NOT NULL,                -- the hits: table and key
    clicks jsonb NOT NULL DEFAULT '[]',  -- those of them that were opened
    PRIMARY KEY (id, asked_at)
) {cut};
CREATE INDEX ON {log} (asked_at);
CREATE INDEX ON {log} (tenant, asked_at);
CREATE INDEX ON {log} (asked_by, asked_at)

-- secret --
CREATE TABLE {secret} (is_only bool PRIMARY KEY DEFAULT true, inner_key bytea NOT NULL, outer_key bytea NOT NULL);
INSERT INTO {secret} (inner_key, outer_key)
SELECT decode(replace(concat(gen_random_uuid(), gen_random_uuid()), '-', ''), 'hex'),
    decode(replace(concat(gen_random_uuid(), gen_random_uuid()), '-', ''), 'hex')

-- person --
CREATE FUNCTION {person}() RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $body$
    SELECT {stored_user}
    FROM nullif(current_setting('app.user_id', true), '') AS u (key), {secret} AS s
$body$

-- note --
CREATE FUNCTION {note}(q text, tables text[], hits int4, ms float8, is_next bool, shown jsonb) RETURNS uuid
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    INSERT INTO {log} (q, tables, asked_by, tenant, hits, ms, is_next, shown)
    SELECT left(btrim(regexp_replace(left($1, 2000), '\s+', ' ', 'g')), 1000), $2, {person}(),
        nullif(current_setting('app.tenant_id', true), ''), $3, $4, $5,
        (SELECT coalesce(jsonb_agg(e), '[]') FROM (SELECT e FROM jsonb_array_elements($6) AS e LIMIT 100) AS e)
    RETURNING id
$body$

-- popular --
CREATE FUNCTION {popular}(typed text) RETURNS text[] LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    _person text := {person}();
    _tenant text := nullif(current_setting('app.tenant_id', true), '');
BEGIN
    -- What a single other person has asked is nobody's business.
    RETURN ARRAY(
        SELECT lower(l.q) FROM (
            (SELECT * FROM {log} WHERE tenant = _tenant AND NOT is_next ORDER BY asked_at DESC LIMIT 500)
            UNION ALL
            (SELECT * FROM {log} WHERE _tenant IS NULL AND tenant IS NULL AND asked_by = _person AND NOT is_next
            ORDER BY asked_at DESC LIMIT 500)
        ) AS l
        WHERE starts_with(lower(l.q), lower(typed)) AND lower(l.q) <> lower(typed) AND l.hits > 0
        GROUP BY 1 HAVING bool_or(l.asked_by = _person) OR count(DISTINCT l.asked_by) > 1
        ORDER BY count(*) DESC, 1 LIMIT 5
    );
END
$body$

-- click --
CREATE FUNCTION {click}(query uuid, key text[], "table" text DEFAULT NULL) RETURNS bool
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    _hit jsonb;
BEGIN
    SELECT e INTO _hit FROM {log} AS l, jsonb_array_elements(l.shown) AS e
    WHERE l.id = $1 AND ARRAY(SELECT jsonb_array_elements_text(e -> 1)) = $2 AND ($3 IS NULL OR e ->> 0 = $3);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE {log} AS l SET clicks = l.clicks || jsonb_build_array(_hit)
    WHERE l.id = $1 AND NOT l.clicks @> jsonb_build_array(_hit);
    RETURN true;
END
$body$

-- set_aside --
ALTER TABLE {log} RENAME TO _search_queries_before

-- take_back --
INSERT INTO {log} (id, asked_at, q, tables, asked_by, tenant, hits, ms, is_next, shown, clicks)
SELECT id, asked_at, q, tables, asked_by, tenant, hits, ms, is_next, shown, clicks FROM {before};
DROP TABLE {before}

-- forget --
DELETE FROM {log} WHERE id IN (
    SELECT id FROM {log} WHERE asked_at < now() - %(keep)s::interval ORDER BY asked_at LIMIT 10000 FOR UPDATE SKIP LOCKED
) RETURNING 1

-- sums --
SELECT count(*) AS queries, count(DISTINCT asked_by) AS users, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50_ms,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY ms) AS p95_ms, count(*) FILTER (WHERE hits = 0) AS without_hits,
    count(*) FILTER (WHERE clicks <> '[]') AS with_clicks
FROM {log} WHERE NOT is_next AND asked_at >= now() - %(days)s * interval '1 day'

-- slow --
SELECT lower(q) AS text, count(*) AS times, max(ms) AS ms, max(hits) AS hits, 0 AS before FROM {log}
WHERE asked_at >= now() - %(days)s * interval '1 day' GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT %(limit)s

-- empty --
SELECT lower(q) AS text, count(*) AS times, max(ms) AS ms, 0 AS hits, 0 AS before FROM {log}
WHERE NOT is_next AND asked_at >= now() - %(days)s * interval '1 day' AND hits = 0 AND q <> ''
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(limit)s

-- trending --
SELECT q AS text, times, ms, hits, before FROM (
    SELECT lower(q) AS q, count(*) FILTER (WHERE is_new) AS times, max(ms) AS ms, max(hits) AS hits, count(*) FILTER (WHERE NOT is_new) AS before
    FROM {log}, LATERAL (SELECT asked_at >= now() - %(days)s * interval '1 day' AS is_new) AS n
    WHERE NOT is_next AND q <> '' AND asked_at >= now() - 2 * %(days)s * interval '1 day' GROUP BY 1
) AS asked WHERE times > before ORDER BY times - before DESC, q LIMIT %(limit)s

-- unclicked --
SELECT lower(q) AS text, count(*) AS times, max(ms) AS ms, max(hits) AS hits, 0 AS before FROM {log}
WHERE NOT is_next AND asked_at >= now() - %(days)s * interval '1 day' AND q <> ''
GROUP BY 1 HAVING bool_and(clicks = '[]') AND max(hits) > 0 ORDER BY 2 DESC, 1 LIMIT %(limit)s

-- clicked --
SELECT lower(q) AS query, e ->> 0 AS "table", ARRAY(SELECT jsonb_array_elements_text(e -> 1)) AS key, count(*) AS times FROM {log}, jsonb_array_elements(clicks) AS e
WHERE asked_at >= now() - %(days)s * interval '1 day' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
