-- Ids whose person was erased, by their hash, and when: no event of before comes back.
CREATE TABLE assise.analytics_erased (
    id bytea PRIMARY KEY,               -- sha256
    at timestamptz NOT NULL
);

-- How far events were dropped that are older than they are kept: none of after this was.
CREATE TABLE assise.analytics_dropped (
    at timestamptz NOT NULL
);

-- Keeps events whose uuid is not known yet, but those of erased persons; says how many.
-- Events of before are history: they stand in the month in which they were, and are never forgotten.
DROP FUNCTION assise.analytics_track;
CREATE FUNCTION assise.analytics_track(
    uuids uuid[], events text[], ids text[], ats timestamptz[], sents text[], sessions text[],
    traffics text[], properties text[], is_history boolean DEFAULT false
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    has_erased constant boolean := EXISTS (SELECT FROM assise.analytics_erased);
    fresh uuid[];
BEGIN
    -- In the order of uuids: two transactions with the same events wait for each other in one order.
    WITH kept AS (
        INSERT INTO assise.analytics_seen (uuid, arrived)
        SELECT g.uuid, CASE WHEN is_history THEN 'infinity' ELSE now() END
        FROM unnest(uuids, ids, ats) AS g (uuid, distinct_id, at)
        WHERE NOT (has_erased AND EXISTS (
            SELECT FROM assise.analytics_erased AS x WHERE x.id = sha256(convert_to(g.distinct_id, 'UTF8')) AND g.at <= x.at
        ))
        ORDER BY g.uuid ON CONFLICT DO NOTHING RETURNING uuid
    )
    SELECT array_agg(uuid) INTO fresh FROM kept;
    IF cardinality(fresh) = cardinality(uuids) THEN
        INSERT INTO assise.analytics_events
            (uuid, event, distinct_id, at, sent, arrived, session, traffic, properties)
        SELECT g.uuid, g.event, g.distinct_id, g.at, g.sent, CASE WHEN is_history THEN g.at ELSE now() END, g.session, g.traffic, g.properties::jsonb
        FROM unnest(uuids, events, ids, ats, sents, sessions, traffics, properties)
            AS g (uuid, event, distinct_id, at, sent, session, traffic, properties);
    ELSIF cardinality(fresh) > 0 THEN
        INSERT INTO assise.analytics_events
            (uuid, event, distinct_id, at, sent, arrived, session, traffic, properties)
        SELECT uuid, event, distinct_id, at, sent, CASE WHEN is_history THEN at ELSE now() END, session, traffic, properties::jsonb
        FROM (
            SELECT DISTINCT ON (uuid) g.* FROM unnest(uuids, events, ids, ats, sents, sessions, traffics, properties)
                WITH ORDINALITY AS g (uuid, event, distinct_id, at, sent, session, traffic, properties, place)
            JOIN unnest(fresh) AS f (uuid) USING (uuid) ORDER BY uuid, place
        ) AS given ORDER BY place;
    END IF;
    RETURN coalesce(cardinality(fresh), 0);
END
$$;
REVOKE ALL ON FUNCTION assise.analytics_track FROM PUBLIC;

-- Makes the partitions of this month, of the next three, and of these; events that came without one
-- are moved.
DROP FUNCTION assise.analytics_partitions;
CREATE FUNCTION assise.analytics_partitions(months timestamptz[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    month timestamp;
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('assise analytics partitions', 0));
    FOR month IN
        SELECT date_trunc('month', m AT TIME ZONE 'UTC') FROM unnest(months) AS m
        UNION SELECT date_trunc('month', now() AT TIME ZONE 'UTC') + n * interval '1 month' FROM generate_series(0, 3) AS n
        UNION SELECT date_trunc('month', arrived AT TIME ZONE 'UTC') FROM assise.analytics_events_other
    LOOP
        name := 'analytics_events_' || to_char(month, 'YYYY_MM');
        CONTINUE WHEN to_regclass('assise.' || name) IS NOT NULL;
        EXECUTE format('CREATE TABLE assise.%I (LIKE assise.analytics_events INCLUDING DEFAULTS)', name);
        EXECUTE format(
            'WITH moved AS (DELETE FROM assise.analytics_events_other WHERE arrived >= %1$L AND arrived < %2$L RETURNING *)'
            ' INSERT INTO assise.%3$I SELECT * FROM moved',
            month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC', name
        );
        EXECUTE format(
            'ALTER TABLE assise.analytics_events ATTACH PARTITION assise.%I FOR VALUES FROM (%L) TO (%L)',
            name, month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
        );
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION assise.analytics_partitions FROM PUBLIC;

-- Drops the partitions whose last day is over for this long, and notes how far; says how many.
CREATE OR REPLACE FUNCTION assise.analytics_drop_old(keep interval) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text;
    dropped int := 0;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'assise.analytics_events'::regclass AND c.relname ~ '^analytics_events_[0-9]{4}_[0-9]{2}$'
            AND (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC' <= now() - keep
    LOOP
        EXECUTE format(
            'WITH gone AS (DELETE FROM assise.analytics_dropped RETURNING at),'
            ' past AS (SELECT at FROM gone UNION ALL SELECT at FROM assise.%I)'
            ' INSERT INTO assise.analytics_dropped SELECT max(at) FROM past HAVING max(at) IS NOT NULL', name
        );
        EXECUTE format('DROP TABLE assise.%I', name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
