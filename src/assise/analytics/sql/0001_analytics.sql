-- Events as they came, by the month of their arrival. They are the application's data: to keep them
-- without Assise, ALTER TABLE assise.analytics_events SET SCHEMA public.
CREATE SEQUENCE assise.analytics_event_number;
CREATE TABLE assise.analytics_events (
    uuid uuid NOT NULL,
    event text NOT NULL,
    distinct_id text NOT NULL,          -- of a user, or of somebody who is not signed in; may be empty
    at timestamptz NOT NULL,            -- when it happened, by our clock
    sent text NOT NULL DEFAULT '',      -- when it happened, as the sender said
    arrived timestamptz NOT NULL DEFAULT now(),
    session text,
    traffic text NOT NULL,              -- person, anonymous, system, bot, internal
    properties jsonb NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    number bigint NOT NULL DEFAULT nextval('assise.analytics_event_number')
) PARTITION BY RANGE (arrived);
CREATE INDEX ON assise.analytics_events (xid, number);
CREATE INDEX ON assise.analytics_events USING brin (at);
CREATE TABLE assise.analytics_events_other PARTITION OF assise.analytics_events DEFAULT;

-- The events of the last 30 days, none of which is kept a second time.
CREATE TABLE assise.analytics_seen (
    uuid uuid PRIMARY KEY,
    arrived timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON assise.analytics_seen USING brin (arrived);

-- Keeps events whose uuid is not known yet; says how many.
CREATE FUNCTION assise.analytics_track(
    uuids uuid[], events text[], ids text[], ats timestamptz[], sents text[], sessions text[],
    traffics text[], properties text[]
) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH given AS (
        SELECT DISTINCT ON (uuid) * FROM unnest(uuids, events, ids, ats, sents, sessions, traffics, properties)
            WITH ORDINALITY AS g (uuid, event, distinct_id, at, sent, session, traffic, properties, place)
        ORDER BY uuid, place
    ), fresh AS (
        INSERT INTO assise.analytics_seen (uuid) SELECT uuid FROM given ORDER BY uuid
        ON CONFLICT DO NOTHING RETURNING uuid
    ), kept AS (
        INSERT INTO assise.analytics_events
            (uuid, event, distinct_id, at, sent, session, traffic, properties)
        SELECT uuid, event, distinct_id, at, sent, session, traffic, properties::jsonb
        FROM given JOIN fresh USING (uuid) ORDER BY place
        RETURNING 1
    )
    SELECT count(*) FROM kept
$$;
REVOKE ALL ON FUNCTION assise.analytics_track FROM PUBLIC;

-- Makes the partitions of this month and of the next three; events that came without one are moved.
CREATE FUNCTION assise.analytics_partitions() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    month timestamp;
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('assise analytics partitions', 0));
    FOR month IN SELECT generate_series(
        date_trunc('month', least(now(), (SELECT min(arrived) FROM assise.analytics_events_other)) AT TIME ZONE 'UTC'),
        date_trunc('month', now() AT TIME ZONE 'UTC') + interval '3 months', interval '1 month'
    ) LOOP
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

-- Drops the partitions whose last day is over for this long; says how many.
CREATE FUNCTION assise.analytics_drop_old(keep interval) RETURNS int
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
        EXECUTE format('DROP TABLE assise.%I', name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION assise.analytics_drop_old FROM PUBLIC;

-- Whose an id is: a person, by a number. Merged persons have one number.
CREATE SEQUENCE assise.analytics_person_number AS int;
CREATE TABLE assise.analytics_identity (
    distinct_id text NOT NULL,
    person int NOT NULL DEFAULT nextval('assise.analytics_person_number'),
    is_identified boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX ON assise.analytics_identity (md5(distinct_id));   -- ids may be long
CREATE INDEX ON assise.analytics_identity (person);

-- The persons of an event on a day, as a roaring bitmap, and how many events there were.
-- The event '' is any activity.
CREATE TABLE assise.analytics_bitmap (
    event text NOT NULL,
    day date NOT NULL,
    persons bytea NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (day, event)
);
ALTER TABLE assise.analytics_bitmap ALTER COLUMN persons SET STORAGE EXTERNAL;

-- Users that were active on a day, and in the 7 and 30 days that end with it.
CREATE TABLE assise.analytics_daily (
    day date PRIMARY KEY,
    dau int NOT NULL,
    wau int NOT NULL,
    mau int NOT NULL
);

-- How far events are folded into bitmaps: all up to this transaction and number, in days of a zone.
CREATE TABLE assise.analytics_state (
    xid xid8 NOT NULL,
    number bigint NOT NULL,
    timezone text NOT NULL,
    cluster text NOT NULL,              -- after a restore elsewhere the numbers of transactions mean nothing
    version bigint NOT NULL,            -- changes with every fold
    users bytea NOT NULL                -- the persons that are users, not anonymous
);
