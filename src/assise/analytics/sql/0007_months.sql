-- Months of events are made and retired as those of all tables that are cut, outside the database: see
-- assise/analytics/months.py. Beside a default partition none leaves without stopping writers.
LOCK TABLE assise.analytics_events IN ACCESS EXCLUSIVE MODE;
SELECT assise.analytics_partitions();
ALTER TABLE assise.analytics_events DETACH PARTITION assise.analytics_events_other;
DO $$
BEGIN
    IF EXISTS (SELECT FROM assise.analytics_events_other) THEN
        RAISE EXCEPTION 'assise.analytics_events_other has events, whose months stand beside assise.analytics_events';
    END IF;
END
$$;
DROP TABLE assise.analytics_events_other;
DROP FUNCTION assise.analytics_partitions, assise.analytics_drop_old;
