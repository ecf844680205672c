-- next --
-- The next events behind the last one that was sent; none of a transaction beside which another runs, and no history, whose uuids are never forgotten.
SELECT uuid, event, distinct_id, at, properties, xid, number
FROM (
    SELECT *, sum(octet_length(properties)) OVER (ORDER BY xid, number) - octet_length(properties) AS before
    FROM (
        SELECT uuid, event, distinct_id, at, properties::text AS properties, xid, number
        FROM assise.analytics_events AS e
        WHERE (xid, number) > (%(xid)s::xid8, %(number)s)
            AND xid < pg_snapshot_xmin(pg_current_snapshot())
            AND NOT EXISTS (SELECT FROM assise.analytics_seen AS s WHERE s.uuid = e.uuid AND s.arrived = 'infinity')
        ORDER BY xid, number LIMIT %(size)s
    ) AS e
) AS e WHERE before < %(bytes)s ORDER BY xid, number

-- place --
-- How far the events were sent.
SELECT xid::text, number FROM assise.analytics_forward WHERE sink = %(sink)s

-- begin --
-- Send the events that come from now on.
INSERT INTO assise.analytics_forward (sink, xid) VALUES (%(sink)s, pg_current_xact_id())
ON CONFLICT DO NOTHING

-- move --
-- Note that the events up to this one were sent.
UPDATE assise.analytics_forward SET xid = %(xid)s::xid8, number = %(number)s, sent = sent + %(sent)s,
    refused = refused + %(refused)s, moved = now() WHERE sink = %(sink)s

-- refuse --
-- Note an event that is not taken, with the answer.
INSERT INTO assise.analytics_refused (sink, uuid, answer) VALUES (%(sink)s, %(uuid)s, %(answer)s)
ON CONFLICT DO NOTHING
