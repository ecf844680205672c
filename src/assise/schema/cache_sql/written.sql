CREATE FUNCTION {schema}._cache_written() RETURNS TABLE (id bigint, tags text[], patterns text[])
LANGUAGE sql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $body$
    SELECT o.id, o.tags, o.patterns FROM {outbox} AS o
    WHERE pg_current_xact_id_if_assigned() IS NOT NULL AND o.xid = pg_current_xact_id_if_assigned()
$body$
