-- In the days of which time zone each load counts: one for all that are in this database.
CREATE TABLE assise.analytics_zone (
    load text PRIMARY KEY,
    timezone text NOT NULL
);

-- Adds what an UPDATE changed of one row, which its trigger has found to count otherwise; its argument
-- is day and whether it counts, of the row before and of the row after.
CREATE FUNCTION assise.analytics_recount() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was date;
    had boolean;
    became date;
    has boolean;
BEGIN
    EXECUTE 'SELECT ' || TG_ARGV[0] INTO was, had, became, has USING OLD, NEW;
    INSERT INTO assise.analytics_total (relation, day, rows)
    SELECT TG_RELID, day, n FROM (VALUES (was, had, -1), (became, has, 1)) AS changed (day, counts, n) WHERE counts;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION assise.analytics_recount FROM PUBLIC;

-- The bitmaps of an event, whatever else there is on its days.
CREATE INDEX ON assise.analytics_bitmap (event, day);
