CREATE FUNCTION {schema}._cache_take(size integer) RETURNS TABLE (id bigint, tags text[], patterns text[])
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    DELETE FROM {outbox} WHERE id = ANY (ARRAY(
        SELECT o.id FROM {outbox} AS o ORDER BY o.id LIMIT $1 FOR UPDATE SKIP LOCKED
    )) RETURNING id, tags, patterns
$body$
