-- Keeps events whose uuid is not known yet, but those of erased persons; says how many.
-- Events of before are history: they stand in the month in which they were, and are never forgotten.
CREATE OR REPLACE FUNCTION assise.analytics_track(
    uuids uuid[], events text[], ids text[], ats timestamptz[], sents text[], sessions text[],
    traffics text[], properties text[], is_history boolean DEFAULT false
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    has_erased constant boolean := EXISTS (SELECT FROM assise.analytics_erased) AND EXISTS (
        SELECT FROM unnest(ids, ats) AS g (distinct_id, at) JOIN assise.analytics_erased AS x
            ON x.id = sha256(convert_to(g.distinct_id, 'UTF8')) AND g.at <= x.at
    );
    is_fresh boolean := NOT (is_history OR has_erased);
    fresh uuid[];
BEGIN
    -- Most events are new. To look for each before it is written costs more than one that is known now and then.
    -- In the order of uuids: two transactions with the same events wait for each other in one order.
    IF is_fresh THEN
        BEGIN
            INSERT INTO assise.analytics_seen (uuid) SELECT uuid FROM unnest(uuids) AS g (uuid) ORDER BY uuid;
        EXCEPTION WHEN unique_violation THEN
            is_fresh := false;
        END;
    END IF;
    IF NOT is_fresh THEN
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
        is_fresh := cardinality(fresh) = cardinality(uuids);
    END IF;
    IF is_fresh THEN
        INSERT INTO assise.analytics_events
            (uuid, event, distinct_id, at, sent, arrived, session, traffic, properties)
        SELECT g.uuid, g.event, g.distinct_id, g.at, g.sent, CASE WHEN is_history THEN g.at ELSE now() END, g.session, g.traffic, g.properties::jsonb
        FROM unnest(uuids, events, ids, ats, sents, sessions, traffics, properties)
            AS g (uuid, event, distinct_id, at, sent, session, traffic, properties);
        RETURN cardinality(uuids);
    END IF;
    INSERT INTO assise.analytics_events
        (uuid, event, distinct_id, at, sent, arrived, session, traffic, properties)
    SELECT uuid, event, distinct_id, at, sent, CASE WHEN is_history THEN at ELSE now() END, session, traffic, properties::jsonb
    FROM (
        SELECT DISTINCT ON (uuid) g.* FROM unnest(uuids, events, ids, ats, sents, sessions, traffics, properties)
            WITH ORDINALITY AS g (uuid, event, distinct_id, at, sent, session, traffic, properties, place)
        JOIN unnest(fresh) AS f (uuid) USING (uuid) ORDER BY uuid, place
    ) AS given ORDER BY place;
    RETURN coalesce(cardinality(fresh), 0);
END
$$;
