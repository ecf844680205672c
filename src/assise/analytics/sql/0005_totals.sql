-- How many rows tables have, by the day on which they were made: each statement adds a line of what it
-- changes, and the worker adds lines up. One line without a day is there always.
CREATE TABLE assise.analytics_total (
    relation regclass NOT NULL,
    day date,                           -- in the project's time zone
    rows bigint NOT NULL
);

-- What counts the rows of a load's tables, in the order in which it was made.
CREATE TABLE assise.analytics_object (
    load text NOT NULL,
    position int NOT NULL,
    kind text NOT NULL,                 -- trigger
    "table" text NOT NULL,
    name text NOT NULL,
    create_sql text NOT NULL,
    drop_sql text NOT NULL,
    PRIMARY KEY (load, position)
);

-- Adds what a statement changed; its arguments are the day of a row, and the condition of those that
-- count. TRUNCATE takes away what there was.
CREATE FUNCTION assise.analytics_count() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed text := format('SELECT %s AS day, 1 AS n FROM after WHERE %s', TG_ARGV[0], TG_ARGV[1]);
    gone text := format('SELECT %s AS day, -1 AS n FROM before WHERE %s', TG_ARGV[0], TG_ARGV[1]);
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO assise.analytics_total (relation, day, rows)
        SELECT TG_RELID, day, -sum(rows) FROM assise.analytics_total WHERE relation = TG_RELID GROUP BY day;
        RETURN NULL;
    ELSIF TG_OP = 'DELETE' THEN
        changed := gone;
    ELSIF TG_OP = 'UPDATE' THEN
        changed := changed || ' UNION ALL ' || gone;
    END IF;
    EXECUTE 'INSERT INTO assise.analytics_total (relation, day, rows) SELECT $1, day, sum(n) FROM ('
        || changed || ') AS changed GROUP BY day HAVING sum(n) <> 0' USING TG_RELID;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION assise.analytics_count FROM PUBLIC;

-- Sessions of users that began on a day, and the seconds between the day's events and the ones before
-- them in the same session. Days that are dirty are not there.
CREATE TABLE assise.analytics_session (
    day date PRIMARY KEY,
    sessions bigint NOT NULL,
    seconds numeric NOT NULL
);

-- Cells of retention by day, as they were after a fold on a day: a row for each cohort.
CREATE TABLE assise.analytics_cell (
    mode text PRIMARY KEY,
    version bigint NOT NULL,
    today date NOT NULL,
    counts int[] NOT NULL
);
