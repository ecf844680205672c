CREATE FUNCTION {schema}.invalidate_cache(tags text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    INSERT INTO {outbox} (tags) SELECT $1 WHERE cardinality($1) > 0
$body$
