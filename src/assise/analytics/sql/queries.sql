-- track --
-- Keep events that are not known yet; how many.
SELECT assise.analytics_track(
    %(uuids)b::uuid[], %(events)b::text[], %(ids)b::text[], %(ats)b::timestamptz[], %(sents)b::text[],
    %(sessions)s::text[], %(traffics)b::text[], %(properties)b::text[]
) AS kept

-- partitions --
-- Make the partitions of the next months.
SELECT assise.analytics_partitions()

-- has_events --
-- Whether there is an event.
SELECT EXISTS (SELECT FROM assise.analytics_events)

-- present --
-- The roles that are in the server, of these.
SELECT rolname FROM pg_roles WHERE rolname = ANY (%(names)s)

-- drop --
-- Drop the tables and functions of this part.
DROP TABLE assise.analytics_events, assise.analytics_seen, assise.analytics_forward, assise.analytics_refused,
    assise.analytics_subscription;
DROP SEQUENCE assise.analytics_event_number;
DROP FUNCTION assise.analytics_track, assise.analytics_partitions, assise.analytics_drop_old

-- forget_seen --
-- Forget the uuids of events that came over 30 days ago.
DELETE FROM assise.analytics_seen WHERE arrived < now() - interval '30 days'

-- drop_old --
-- Drop the partitions that are old enough; how many.
SELECT assise.analytics_drop_old(%(keep)s::interval)
