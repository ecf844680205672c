-- next --
-- The next events behind the last one that was sent; none of a transaction beside which another runs.
SELECT uuid, event, distinct_id, at, properties::text AS properties, xid::text AS xid, number
FROM assise.analytics_events
WHERE (xid, number) > (%(xid)s::xid8, %(number)s) AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid, number LIMIT %(size)s

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

-- waiting --
-- How many events are not sent yet, and since when the first of them is here.
SELECT count(*), min(e.arrived) FROM assise.analytics_events AS e JOIN assise.analytics_forward AS f
ON f.sink = %(sink)s AND (e.xid, e.number) > (f.xid, f.number)
