-- made --
-- What was made for a load, in order.
SELECT line ->> 0 AS kind, line ->> 1 AS "table", line ->> 2 AS name, line ->> 3 AS create, line ->> 4 AS drop
FROM assise.cache_load, json_array_elements(made) WITH ORDINALITY AS lines (line, place)
WHERE load = %(load)s ORDER BY place

-- keep --
-- Keep what was made for a load.
INSERT INTO assise.cache_load (load, schema, made) VALUES (%(load)s, %(schema)s, %(lines)s::json)
ON CONFLICT (load) DO UPDATE SET schema = excluded.schema, made = excluded.made

-- forget --
-- Forget a load; gives the statements for what no other load of its schema needs, the last first.
WITH gone AS (DELETE FROM assise.cache_load WHERE load = %(load)s RETURNING *)
SELECT line ->> 4 FROM gone, json_array_elements(made) WITH ORDINALITY AS lines (line, place)
WHERE line ->> 0 <> 'trigger' AND NOT EXISTS (
    SELECT FROM assise.cache_load AS other, json_array_elements(other.made) AS others (other_line)
    WHERE other.load <> %(load)s AND other.schema = gone.schema AND other_line ->> 4 = line ->> 4
) ORDER BY place DESC

-- has_objects --
-- Whether any load has an outbox.
SELECT EXISTS (SELECT FROM assise.cache_load)

-- drop_objects --
-- Drop the table of loads, when none has an outbox.
DROP TABLE assise.cache_load
