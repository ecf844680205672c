-- track --
-- Keep events that are not known yet; how many. Each value of a field has a mark before it.
SELECT assise.analytics_track(
    %(uuids)b::uuid[], (string_to_array(%(events)s, %(mark)s))[2:], (string_to_array(%(ids)s, %(mark)s))[2:],
    %(ats)b::timestamptz[], (string_to_array(%(sents)s, %(mark)s))[2:], (string_to_array(%(sessions)s, %(mark)s, ''))[2:],
    (string_to_array(%(traffics)s, %(mark)s))[2:], (string_to_array(%(properties)s, %(mark)s))[2:]
) AS kept

-- track_history --
-- Keep events of before that are not known yet; how many.
SELECT assise.analytics_track(
    %(uuids)b::uuid[], (string_to_array(%(events)s, %(mark)s))[2:], (string_to_array(%(ids)s, %(mark)s))[2:],
    %(ats)b::timestamptz[], (string_to_array(%(sents)s, %(mark)s))[2:], (string_to_array(%(sessions)s, %(mark)s, ''))[2:],
    (string_to_array(%(traffics)s, %(mark)s))[2:], (string_to_array(%(properties)s, %(mark)s))[2:], true
) AS kept

-- unknown_events --
-- Which of some events have never been.
SELECT event FROM unnest(%(events)s::text[]) AS asked (event)
WHERE NOT EXISTS (SELECT FROM assise.analytics_bitmap AS b WHERE b.event = asked.event)
    AND NOT EXISTS (SELECT FROM assise.analytics_events AS e WHERE e.event = asked.event)

-- event_names --
-- The names of events that are folded.
SELECT DISTINCT event FROM assise.analytics_bitmap WHERE event <> ''

-- count_new --
-- How many of some events of before would be kept.
SELECT count(DISTINCT uuid) FROM unnest(%(uuids)s::uuid[], (string_to_array(%(ids)s, %(mark)s))[2:], %(ats)s::timestamptz[]) AS g (uuid, distinct_id, at)
WHERE NOT EXISTS (SELECT FROM assise.analytics_seen AS s WHERE s.uuid = g.uuid)
    AND NOT EXISTS (SELECT FROM assise.analytics_erased AS x WHERE x.id = sha256(convert_to(g.distinct_id, 'UTF8')) AND g.at <= x.at)

-- remember_seen --
-- Never forget these uuids, as a file has them too; infinity is for those that only a file has brought.
WITH captured AS (
    SELECT uuid FROM assise.analytics_seen WHERE uuid = ANY (%(uuids)s::uuid[]) AND arrived < '9999-12-31' ORDER BY uuid FOR UPDATE
)
UPDATE assise.analytics_seen AS s SET arrived = '9999-12-31' FROM captured WHERE s.uuid = captured.uuid

-- stored --
-- Begin to note which events are stored whose uuids are forgotten.
DROP TABLE IF EXISTS pg_temp.analytics_stored; CREATE TEMP TABLE analytics_stored (uuid uuid PRIMARY KEY)

-- find_stored --
-- Note those of a time; how many.
WITH found AS (
    INSERT INTO pg_temp.analytics_stored SELECT uuid FROM assise.analytics_events AS e
    WHERE at >= %(since)s AND at < %(until)s AND NOT EXISTS (SELECT FROM assise.analytics_seen AS s WHERE s.uuid = e.uuid)
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT count(*) AS found FROM found

-- known --
-- Which of some uuids were noted.
SELECT uuid FROM pg_temp.analytics_stored WHERE uuid = ANY (%(uuids)s::uuid[])

-- has_objects --
-- Whether there is an event.
SELECT EXISTS (SELECT FROM assise.analytics_events)

-- present --
-- The roles that are in the server, of these.
SELECT rolname FROM pg_roles WHERE rolname = ANY (%(names)s)

-- drop_objects --
-- Drop the tables and functions of this part.
DROP TABLE assise.analytics_events, assise.analytics_seen, assise.analytics_identity, assise.analytics_bitmap,
    assise.analytics_daily, assise.analytics_state, assise.analytics_forward, assise.analytics_refused,
    assise.analytics_subscription, assise.analytics_erased, assise.analytics_dropped, assise.analytics_total,
    assise.analytics_object, assise.analytics_session, assise.analytics_cell, assise.analytics_zone;
DROP SEQUENCE assise.analytics_event_number, assise.analytics_person_number;
DROP FUNCTION assise.analytics_track, assise.analytics_count, assise.analytics_recount

-- forget_seen --
-- Forget the uuids of events that came over 30 days ago.
DELETE FROM assise.analytics_seen WHERE arrived < now() - interval '30 days'

-- note_dropped --
-- Note that the events which arrived before a moment go, and until when they happened.
WITH gone AS (DELETE FROM assise.analytics_dropped RETURNING at),
    past AS (SELECT at FROM gone UNION ALL SELECT at FROM assise.analytics_events WHERE arrived < %(before)s)
INSERT INTO assise.analytics_dropped SELECT max(at) FROM past HAVING max(at) IS NOT NULL

-- oldest --
-- The begin of the oldest month whose events are kept.
SELECT date_trunc('month', now() - %(keep)s::interval, 'UTC') AS oldest

-- state --
-- How far events are folded, and what this session sees now.
SELECT coalesce(xid, '0')::text AS xid, coalesce(number, 0) AS number, timezone, cluster, coalesce(version, 0) AS version,
    users, snapshot::text AS snapshot, pg_snapshot_xmin(snapshot)::text AS xmin,
    (SELECT coalesce(max(person), 0) FROM assise.analytics_identity) AS last,
    (SELECT system_identifier::text FROM pg_control_system()) AS here, clock_timestamp() AS now
FROM pg_current_snapshot() AS snapshot LEFT JOIN assise.analytics_state ON true

-- opening --
-- How far events are folded, whether in the days of this zone, and whether there are others that this session sees.
SELECT *, EXISTS (
    -- In order: where there is none, as mostly, the index says so at once, and no table is read.
    SELECT FROM (
        SELECT FROM assise.analytics_events AS e
        WHERE (e.xid, e.number) > (CASE WHEN is_fresh THEN state.xid::xid8 ELSE '0' END, CASE WHEN is_fresh THEN state.number ELSE 0 END)
            AND pg_visible_in_snapshot(e.xid, snapshot::pg_snapshot)
        ORDER BY e.xid, e.number LIMIT 1
    ) AS first
) AS has_tail
FROM (SELECT *, coalesce(timezone = %(zone)s AND cluster = here, false) AS is_fresh FROM ({state}) AS state) AS state

-- version --
-- The version of the fold.
SELECT coalesce(max(version), 0) AS version FROM assise.analytics_state

-- tail --
-- The events between two places that this session sees.
SELECT event, distinct_id, at, traffic, properties, xid, number,
    traffic IN ('person', 'anonymous') AND lower(btrim(btrim(btrim(distinct_id), '''"'))) <> ALL (%(shared)s::text[]) AS has_person
FROM assise.analytics_events
WHERE (xid, number) > (%(xid)s::xid8, %(number)s) AND (xid, number) <= (%(to_xid)s::xid8, %(to_number)s)
    AND pg_visible_in_snapshot(xid, %(snapshot)s::pg_snapshot)

-- place --
-- The place of the last event of a batch.
SELECT e.xid::text AS xid, e.number FROM assise.analytics_events AS e
WHERE (e.xid, e.number) > (%(xid)s::xid8, %(number)s) AND e.xid < %(until)s::xid8
ORDER BY e.xid, e.number OFFSET %(size)s - 1 LIMIT 1

-- merges --
-- What says that two ids are one person, in order; then also who is a user of the application itself.
WITH merges AS (
    SELECT distinct_id, event = '$identify' AS identifies, properties ->> CASE event WHEN '$identify' THEN '$anon_distinct_id' ELSE 'alias' END AS other,
        xid, number
    FROM ({tail}) AS tail WHERE event IN ('$identify', '$create_alias', '$merge_dangerously')
), own AS (
    SELECT DISTINCT ON (distinct_id) distinct_id, true, NULL, xid, number FROM ({tail}) AS tail
    WHERE (SELECT count(*) FROM merges) > 0 AND has_person AND traffic = 'person' AND properties ->> '$lib' = 'assise'
    ORDER BY distinct_id, xid, number
)
SELECT distinct_id, identifies, other FROM (SELECT * FROM merges UNION ALL SELECT * FROM own) AS said ORDER BY xid, number

-- identities --
-- The persons of some ids, and whether they are identified.
SELECT i.distinct_id, i.person, EXISTS (
    SELECT FROM assise.analytics_identity AS o WHERE o.person = i.person AND o.is_identified
) AS is_identified
FROM unnest(%(ids)s::text[]) AS given (id) JOIN assise.analytics_identity AS i ON md5(i.distinct_id) = md5(id)

-- numbers --
-- The numbers behind the last that ids get which are not known yet.
SELECT id, (%(last)s + row_number() OVER (ORDER BY id))::int AS person FROM (
    SELECT distinct_id AS id FROM tail WHERE has_person UNION SELECT unnest(%(ids)s::text[])
) AS given LEFT JOIN assise.analytics_identity AS i ON md5(i.distinct_id) = md5(id) WHERE i.person IS NULL

-- groups --
-- The persons of each event and day. Ids that are not known get numbers behind the last.
WITH tail AS ({tail}), unknown AS ({numbers})
SELECT event, day, sum(n)::bigint AS events, coalesce(array_agg(person) FILTER (WHERE person IS NOT NULL), '{}') AS persons,
    coalesce(array_agg(person) FILTER (WHERE person IS NOT NULL AND is_user), '{}') AS users
FROM (
    SELECT event, day, n, is_user, coalesce(i.person, u.person) AS person
    FROM (
        SELECT distinct_id, event, least(greatest((at AT TIME ZONE %(zone)s)::date, '0002-01-01'), '9998-12-31') AS day,
            traffic <> 'system' AS is_somebody, count(*) AS n, bool_or(traffic = 'person') AS is_user
        FROM tail WHERE traffic IN ('person', 'anonymous', 'system') GROUP BY 1, 2, 3, 4
    ) AS did
    LEFT JOIN assise.analytics_identity AS i ON is_somebody AND md5(i.distinct_id) = md5(did.distinct_id)
        AND lower(btrim(btrim(btrim(i.distinct_id), '''"'''))) <> ALL (%(shared)s::text[])
    LEFT JOIN unknown AS u ON is_somebody AND u.id = did.distinct_id AND lower(btrim(btrim(btrim(u.id), '''"'''))) <> ALL (%(shared)s::text[])
) AS found GROUP BY 1, 2

-- unknown --
-- The numbers that ids get that are not known.
WITH tail AS MATERIALIZED ({tail})
SELECT id AS distinct_id, person FROM ({numbers}) AS numbered WHERE id = ANY (%(ids)s::text[])

-- batch --
-- The next events in order, by event, day, traffic and whether the application itself tracked them: how many and whose; where there may be more, also the place of the last one.
SELECT event, day, traffic, own, count(*) AS events,
    coalesce(array_agg(distinct_id) FILTER (WHERE traffic IN ('person', 'anonymous')), '{}') AS ids,
    CASE WHEN sum(count(*)) OVER () = %(size)s THEN (SELECT ARRAY[xid, number::text] FROM ({place}) AS place) END AS last
FROM (
    SELECT event, least(greatest((at AT TIME ZONE %(zone)s)::date, '0002-01-01'), '9998-12-31') AS day, traffic,
        traffic = 'person' AND coalesce(properties ->> '$lib' = 'assise', false) AS own, distinct_id
    FROM assise.analytics_events AS e
    WHERE (e.xid, e.number) > (%(xid)s::xid8, %(number)s) AND e.xid < %(until)s::xid8
    ORDER BY e.xid, e.number LIMIT %(size)s
) AS next GROUP BY 1, 2, 3, 4

-- find_persons --
-- The persons of ids, in their order; new ids get one, and ids that everybody has none. Who was tracked by the application itself is a user.
WITH given AS MATERIALIZED (
    SELECT id, own, number, i.person, i.is_identified, lower(btrim(btrim(btrim(id), '''"'))) <> ALL (%(shared)s::text[]) AS has_person
    FROM unnest(%(ids)s::text[], %(own)s::bool[]) WITH ORDINALITY AS g (id, own, number)
    LEFT JOIN assise.analytics_identity AS i ON md5(i.distinct_id) = md5(id)
), known AS (
    UPDATE assise.analytics_identity AS i SET is_identified = true FROM given
    WHERE own AND has_person AND NOT given.is_identified AND md5(i.distinct_id) = md5(id)
), fresh AS (
    INSERT INTO assise.analytics_identity (distinct_id, is_identified)
    SELECT id, own FROM given WHERE has_person AND person IS NULL ORDER BY id RETURNING distinct_id, person
)
SELECT array_agg(CASE WHEN has_person THEN coalesce(given.person, fresh.person) END ORDER BY number) AS persons
FROM given LEFT JOIN fresh ON fresh.distinct_id = id

-- move_identities --
-- Give the ids of merged persons to one of them.
UPDATE assise.analytics_identity SET person = moved.new
FROM unnest(%(old)s::int[], %(new)s::int[]) AS moved (old, new) WHERE person = moved.old

-- identify --
-- Persons that are identified from now on.
UPDATE assise.analytics_identity SET is_identified = true WHERE person = ANY (%(persons)s::int[]) AND NOT is_identified

-- bitmaps --
-- The persons of events on days.
SELECT event, day, persons, events FROM assise.analytics_bitmap
WHERE event = ANY (%(events)s::text[]) AND day BETWEEN %(first)s AND %(last)s

-- all_bitmaps --
-- The persons of all events on some days.
SELECT event, day, persons, events FROM assise.analytics_bitmap WHERE day = ANY (%(days)s::date[])

-- put_bitmaps --
-- Write persons of events on days.
INSERT INTO assise.analytics_bitmap (event, day, persons, events)
SELECT * FROM unnest(%(events)s::text[], %(days)s::date[], %(persons)s::bytea[], %(counts)s::bigint[])
ON CONFLICT (day, event) DO UPDATE SET persons = excluded.persons, events = excluded.events

-- put_daily --
-- Write the users of days.
INSERT INTO assise.analytics_daily (day, dau, wau, mau)
SELECT * FROM unnest(%(days)s::date[], %(daus)s::int[], %(waus)s::int[], %(maus)s::int[])
ON CONFLICT (day) DO UPDATE SET dau = excluded.dau, wau = excluded.wau, mau = excluded.mau

-- daily --
-- The users of days.
SELECT day, dau, wau, mau FROM assise.analytics_daily WHERE day BETWEEN %(first)s AND %(last)s

-- forget_later --
-- Forget the users of days behind the last one.
DELETE FROM assise.analytics_daily WHERE %(last)s::date IS NULL OR day > %(last)s::date

-- last_day --
-- The last day on which anybody was active.
SELECT max(day) AS day FROM assise.analytics_bitmap WHERE event = ''

-- put_state --
-- Write how far events are folded.
WITH gone AS (DELETE FROM assise.analytics_state RETURNING version)
INSERT INTO assise.analytics_state
SELECT %(to_xid)s::xid8, %(to_number)s, %(zone)s, %(here)s, coalesce((SELECT version FROM gone), 0) + 1, %(users)s

-- reset --
-- Forget what was folded, to fold all of it again. Versions begin again too, so the cells of one go.
WITH a AS (DELETE FROM assise.analytics_state), b AS (DELETE FROM assise.analytics_daily), c AS (DELETE FROM assise.analytics_identity),
    d AS (DELETE FROM assise.analytics_cell)
DELETE FROM assise.analytics_bitmap

-- reset_xids --
-- Events of another cluster come before all of this one.
UPDATE assise.analytics_events SET xid = '3'

-- people --
-- Events of a time with whose they are: persons that are known by their numbers, others by their ids.
SELECT event, at, number, session, traffic, properties, CASE WHEN has_person THEN coalesce(m.new, a.person, i.person)::text END AS person,
    CASE WHEN has_person THEN '+' || e.distinct_id END AS id
FROM (
    SELECT *, lower(btrim(btrim(btrim(distinct_id), '''"'))) <> ALL (%(shared)s::text[]) AS has_person
    FROM assise.analytics_events WHERE at >= %(since)s AND at < %(until)s AND traffic IN ('person', 'anonymous', 'system')
) AS e
LEFT JOIN assise.analytics_identity AS i ON has_person AND md5(i.distinct_id) = md5(e.distinct_id)
LEFT JOIN unnest(%(ids)s::text[], %(persons)s::int[]) AS a (id, person) ON a.id = e.distinct_id
LEFT JOIN unnest(%(old)s::int[], %(new)s::int[]) AS m (old, new) ON m.old = i.person

-- trend --
-- Events of a kind by day and value of a property: how many, the sum of another property, and whose.
SELECT (at AT TIME ZONE %(zone)s)::date AS day, properties ->> %(breakdown)s AS value, count(*) AS events,
    sum(CASE WHEN jsonb_typeof(properties -> %(sum)s) = 'number' THEN (properties ->> %(sum)s)::numeric END) AS total,
    array_agg(DISTINCT coalesce(person, id)) FILTER (WHERE id IS NOT NULL) AS persons,
    array_agg(DISTINCT id) FILTER (WHERE person IS NULL AND traffic = 'person') AS strangers
FROM ({people}) AS people
WHERE (%(event)s = '' AND traffic <> 'system' OR event = %(event)s) AND properties @> %(where)s::jsonb
GROUP BY 1, 2

-- cohorts --
-- Whose first event of a kind was on a day, with a value of a property.
WITH tail AS MATERIALIZED ({tail}), unknown AS ({numbers})
SELECT day, value, array_agg(person) AS persons FROM (
    SELECT DISTINCT ON (person) person, day, value FROM (
        SELECT coalesce(a.person, m.new, i.person, u.person) AS person, at, number, properties ->> %(breakdown)s AS value,
            least(greatest((at AT TIME ZONE %(zone)s)::date, '0002-01-01'), '9998-12-31') AS day
        FROM assise.analytics_events AS e
        LEFT JOIN assise.analytics_identity AS i ON md5(i.distinct_id) = md5(e.distinct_id)
        LEFT JOIN unnest(%(alias_ids)s::text[], %(alias_persons)s::int[]) AS a (id, person) ON a.id = e.distinct_id
        LEFT JOIN unnest(%(old)s::int[], %(new)s::int[]) AS m (old, new) ON m.old = i.person
        LEFT JOIN unknown AS u ON u.id = e.distinct_id
        WHERE (%(event)s = '' AND event <> ALL (%(system)s::text[]) OR event = %(event)s) AND traffic IN ('person', 'anonymous')
            AND lower(btrim(btrim(btrim(e.distinct_id), '''"'))) <> ALL (%(shared)s::text[])
            AND pg_visible_in_snapshot(xid, %(snapshot)s::pg_snapshot)
    ) AS did WHERE person IS NOT NULL ORDER BY person, at, number
) AS firsts GROUP BY 1, 2

-- sessions_by_day --
-- Sessions of users that begin on each day: how many, and how many seconds in all.
SELECT (begin AT TIME ZONE %(zone)s)::date AS day, count(*) AS sessions, sum(extract(epoch FROM length))::float8 AS seconds FROM (
    SELECT min(at) AS begin, max(at) - min(at) AS length FROM (
        SELECT person, at, count(*) FILTER (WHERE is_first) OVER (PARTITION BY person ORDER BY at, number) AS session FROM (
            SELECT coalesce(person, id) AS person, at, number,
                coalesce(at - lag(at) OVER (PARTITION BY coalesce(person, id) ORDER BY at, number) > interval '30 minutes', true) AS is_first
            FROM ({people}) AS people WHERE id IS NOT NULL AND traffic = 'person'
        ) AS gaps
    ) AS numbered GROUP BY person, session
) AS lengths GROUP BY 1

-- steps --
-- The events of a funnel in the order of each person's time, of one part of the persons.
SELECT coalesce(person, id) AS person, event, at, number, traffic, properties ->> %(breakdown)s AS value
FROM ({people}) AS people
WHERE id IS NOT NULL AND traffic <> 'system' AND (event = ANY (%(events)s::text[]) OR %(strict)s)
    AND mod(hashtextextended(coalesce(person, id), 0) & 1023, %(parts)s) = %(part)s
ORDER BY 1, at, number

-- count_steps --
-- How many events a funnel has to look at.
SELECT count(*) AS events FROM assise.analytics_events
WHERE at >= %(since)s AND at < %(until)s AND (event = ANY (%(events)s::text[]) OR %(strict)s)

-- sessions --
-- Sessions of users by day: how many began, after a gap of over 30 minutes, and the seconds of all shorter gaps.
SELECT (at AT TIME ZONE %(zone)s)::date AS day, count(*) FILTER (WHERE gap IS NULL OR gap > interval '30 minutes') AS sessions,
    coalesce(sum(extract(epoch FROM gap)) FILTER (WHERE gap <= interval '30 minutes'), 0) AS seconds
FROM (
    SELECT at, at - lag(at) OVER (PARTITION BY coalesce(person, id) ORDER BY at, number) AS gap
    FROM ({people}) AS people WHERE id IS NOT NULL AND traffic = 'person'
) AS gaps WHERE at >= %(begin)s GROUP BY 1

-- kept_sessions --
-- The sessions of days, as far as they are kept.
SELECT day, sessions, seconds FROM assise.analytics_session WHERE day BETWEEN %(first)s AND %(last)s

-- keep_sessions --
-- Keep the sessions of days.
INSERT INTO assise.analytics_session (day, sessions, seconds)
SELECT * FROM unnest(%(days)s::date[], %(sessions)s::bigint[], %(seconds)s::numeric[])
ON CONFLICT (day) DO UPDATE SET sessions = excluded.sessions, seconds = excluded.seconds

-- forget_sessions --
-- Forget the sessions of days, and of those that follow them.
DELETE FROM assise.analytics_session WHERE day = ANY (%(days)s::date[]) OR day - 1 = ANY (%(days)s::date[])

-- forget_all_sessions --
-- Forget the sessions of all days.
DELETE FROM assise.analytics_session

-- sizes --
-- All days with something stored or to count, and how many events they have.
SELECT day, sum(events)::bigint AS events FROM (
    SELECT DISTINCT day, 0 AS events FROM assise.analytics_bitmap
    UNION ALL
    SELECT least(greatest((at AT TIME ZONE %(zone)s)::date, '0002-01-01'), '9998-12-31'), count(*) FROM assise.analytics_events
    WHERE (xid, number) <= (%(xid)s::xid8, %(number)s) AND traffic IN ('person', 'anonymous', 'system') GROUP BY 1
) AS found GROUP BY 1 ORDER BY 1

-- dropped --
-- The last day of which events were dropped.
SELECT max((at AT TIME ZONE %(zone)s)::date) AS day FROM assise.analytics_dropped

-- recount --
-- The persons of each event and day, of some days, counted from the events that are folded.
SELECT event, least(greatest((at AT TIME ZONE %(zone)s)::date, '0002-01-01'), '9998-12-31') AS day, count(*) AS events,
    coalesce(array_agg(DISTINCT i.person) FILTER (WHERE i.person IS NOT NULL), '{}') AS persons
FROM (
    SELECT event, at, distinct_id, traffic IN ('person', 'anonymous') AND lower(btrim(btrim(btrim(distinct_id), '''"'))) <> ALL (%(shared)s::text[]) AS has_person
    FROM assise.analytics_events
    WHERE (xid, number) <= (%(xid)s::xid8, %(number)s) AND traffic IN ('person', 'anonymous', 'system')
        AND at >= coalesce(%(since)s::timestamptz, '-infinity') AND at < coalesce(%(until)s::timestamptz, 'infinity')
        AND least(greatest((at AT TIME ZONE %(zone)s)::date, '0002-01-01'), '9998-12-31') = ANY (%(days)s::date[])
) AS e LEFT JOIN assise.analytics_identity AS i ON has_person AND md5(i.distinct_id) = md5(e.distinct_id)
GROUP BY 1, 2

-- kinds --
-- The events that there are, with their traffic, and how many.
SELECT event, traffic, count(*) AS events, count(*) FILTER (WHERE lower(btrim(btrim(btrim(distinct_id), '''"'))) = ANY (%(shared)s::text[])) AS shared
FROM assise.analytics_events GROUP BY 1, 2 ORDER BY 1, 2

-- properties --
-- How often events have a property with values of each kind; those of clients, which begin with $, apart.
SELECT event, key, kind, count(*) AS events FROM (
    SELECT event, key, CASE
        WHEN jsonb_typeof(value) = 'number' AND (value #>> '{}')::numeric = trunc((value #>> '{}')::numeric) THEN 'whole'
        WHEN jsonb_typeof(value) = 'string' AND value #>> '{}' ~* '^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$' THEN 'uuid'
        ELSE jsonb_typeof(value) END AS kind
    FROM assise.analytics_events, jsonb_each(CASE WHEN jsonb_typeof(properties) = 'object' THEN properties END)
    WHERE event = ANY (%(events)s::text[]) AND left(key, 1) <> '$' AND value <> 'null'
) AS found GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2, 3

-- counts --
-- How often events happened, as far as they are folded.
SELECT event, sum(events)::bigint AS events FROM assise.analytics_bitmap WHERE event = ANY (%(events)s::text[]) GROUP BY 1

-- cells --
-- Cells of retention, as far as they are of this fold and day.
SELECT counts[%(from)s:%(to)s][1:%(periods)s] AS counts FROM assise.analytics_cell
WHERE mode = %(mode)s AND version = %(version)s AND today = %(today)s

-- keep_cells --
-- Keep cells of retention.
INSERT INTO assise.analytics_cell (mode, version, today, counts) VALUES (%(mode)s, %(version)s, %(today)s, %(counts)s::int[])
ON CONFLICT (mode) DO UPDATE SET version = excluded.version, today = excluded.today, counts = excluded.counts

-- put_zone --
-- Note in which time zone a load counts; without one that it does not count.
WITH gone AS (DELETE FROM assise.analytics_zone WHERE load = %(load)s AND %(zone)s::text IS NULL)
INSERT INTO assise.analytics_zone SELECT %(load)s, %(zone)s WHERE %(zone)s::text IS NOT NULL
ON CONFLICT (load) DO UPDATE SET timezone = excluded.timezone

-- other_zone --
-- A load that counts in another time zone.
SELECT load, timezone FROM assise.analytics_zone WHERE load <> %(load)s AND timezone <> %(zone)s ORDER BY 1 LIMIT 1

-- made --
-- What counts the rows of a load's tables, in order.
SELECT kind, "table", name, create_sql AS create, drop_sql AS drop FROM assise.analytics_object WHERE load = %(load)s ORDER BY position

-- keep --
-- Keep what counts the rows of a load's tables.
WITH gone AS (DELETE FROM assise.analytics_object WHERE load = %(load)s AND position >= json_array_length(%(lines)s::json))
INSERT INTO assise.analytics_object (load, position, kind, "table", name, create_sql, drop_sql)
SELECT %(load)s, place - 1, line ->> 0, line ->> 1, line ->> 2, line ->> 3, line ->> 4
FROM json_array_elements(%(lines)s::json) WITH ORDINALITY AS lines (line, place)
ON CONFLICT (load, position) DO UPDATE SET kind = excluded.kind, "table" = excluded."table", name = excluded.name,
    create_sql = excluded.create_sql, drop_sql = excluded.drop_sql

-- counting --
-- How many triggers of some tables count.
SELECT count(*) FROM pg_trigger JOIN unnest(%(tables)s::text[]) AS name ON tgrelid = to_regclass(name)
WHERE tgfoid IN ('assise.analytics_count'::regproc, 'assise.analytics_recount'::regproc) AND tgenabled = 'O'

-- empty_total --
-- Forget the total of a table, which is counted anew.
WITH gone AS (DELETE FROM assise.analytics_total WHERE relation = to_regclass(%(table)s))
INSERT INTO assise.analytics_total (relation, rows) SELECT to_regclass(%(table)s), 0

-- totals --
-- The rows of tables, and those of a day and later, as far as they are counted.
SELECT asked.name, sum(rows)::bigint AS rows, coalesce(sum(rows) FILTER (WHERE day >= %(today)s), 0)::bigint AS today
FROM unnest(%(names)s::text[], %(tables)s::text[]) AS asked (name, "table") JOIN assise.analytics_total ON relation = to_regclass("table")
GROUP BY 1

-- add_up_totals --
-- Make one line of all lines of a day.
WITH gone AS (
    DELETE FROM assise.analytics_total AS t USING (
        SELECT relation, day FROM assise.analytics_total GROUP BY 1, 2 HAVING count(*) > 1
    ) AS several
    WHERE t.relation = several.relation AND t.day IS NOT DISTINCT FROM several.day RETURNING t.*
)
INSERT INTO assise.analytics_total SELECT relation, day, sum(rows) FROM gone GROUP BY 1, 2 HAVING day IS NULL OR sum(rows) <> 0

-- forget --
-- Forget what counted the tables of a load, which are gone with their triggers.
WITH objects AS (DELETE FROM assise.analytics_object WHERE load = %(load)s),
zones AS (DELETE FROM assise.analytics_zone WHERE load = %(load)s),
totals AS (DELETE FROM assise.analytics_total WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = relation))
SELECT NULL::text AS drop_sql WHERE false

-- ids_of_person --
-- All ids of the persons of some ids.
SELECT o.distinct_id FROM assise.analytics_identity AS i JOIN assise.analytics_identity AS o USING (person)
WHERE md5(i.distinct_id) = ANY (SELECT md5(id) FROM unnest(%(ids)s::text[]) AS given (id))

-- count_person --
-- How many of some ids there are, and how many events they have.
SELECT count(DISTINCT distinct_id) AS ids, count(*) AS events FROM assise.analytics_events WHERE distinct_id = ANY (%(ids)s::text[])

-- note_erased --
-- Note that the person of these ids is erased.
INSERT INTO assise.analytics_erased (id, at)
SELECT sha256(convert_to(id, 'UTF8')), clock_timestamp() FROM unnest(%(ids)s::text[]) AS given (id)
ON CONFLICT (id) DO UPDATE SET at = excluded.at

-- erase_identities --
-- Erase ids; whose they were.
WITH gone AS (
    DELETE FROM assise.analytics_identity
    WHERE md5(distinct_id) = ANY (SELECT md5(id) FROM unnest(%(ids)s::text[]) AS given (id)) RETURNING person
)
SELECT DISTINCT person FROM gone

-- erase_events --
-- Erase the events of ids; how many, and how many of them were counted, by event and day.
WITH gone AS (
    DELETE FROM assise.analytics_events WHERE distinct_id = ANY (%(ids)s::text[])
    RETURNING uuid, event, at, traffic IN ('person', 'anonymous', 'system') AND (xid, number) <= (%(xid)s::xid8, %(number)s) AS is_counted
), refused AS (
    DELETE FROM assise.analytics_refused AS r USING gone WHERE r.uuid = gone.uuid
)
SELECT event, least(greatest((at AT TIME ZONE %(zone)s)::date, '0002-01-01'), '9998-12-31') AS day, count(*) AS events,
    count(*) FILTER (WHERE is_counted) AS counted
FROM gone GROUP BY 1, 2

-- erase_others --
-- Take erased ids out of the events of others, which name them to merge with.
UPDATE assise.analytics_events SET properties = properties - '$anon_distinct_id' - 'alias'
WHERE event IN ('$identify', '$create_alias', '$merge_dangerously')
    AND (properties ->> '$anon_distinct_id' = ANY (%(ids)s::text[]) OR properties ->> 'alias' = ANY (%(ids)s::text[]))

-- erase_late --
-- Erase the events of erased persons that were kept meanwhile; a row for each.
DELETE FROM assise.analytics_events
WHERE (xid, number) > (%(xid)s::xid8, %(number)s) AND (xid, number) <= (%(to_xid)s::xid8, %(to_number)s)
    AND EXISTS (SELECT FROM assise.analytics_erased)
    AND EXISTS (SELECT FROM assise.analytics_erased AS x WHERE x.id = sha256(convert_to(distinct_id, 'UTF8')) AND analytics_events.at <= x.at)
RETURNING 1 AS gone

-- days --
-- The days of which something is stored.
SELECT DISTINCT day FROM assise.analytics_bitmap ORDER BY 1

-- forget_empty --
-- Forget events and days without events.
DELETE FROM assise.analytics_bitmap WHERE events <= 0

-- put_users --
-- Write who is a user.
UPDATE assise.analytics_state SET users = %(users)s, version = version + 1

-- is_forwarded --
-- Whether events were sent elsewhere.
SELECT EXISTS (SELECT FROM assise.analytics_forward WHERE sent > 0)
