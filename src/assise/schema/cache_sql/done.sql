CREATE FUNCTION {schema}._cache_done(ids bigint[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    DELETE FROM {outbox} WHERE id = ANY ($1)
$body$
