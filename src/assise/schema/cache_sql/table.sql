CREATE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    _tags text[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(tag) INTO _tags FROM (
            SELECT DISTINCT tag FROM added AS t CROSS JOIN LATERAL unnest({tags}) AS tag LIMIT {many}
        ) AS found;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(tag) INTO _tags FROM (
            SELECT DISTINCT tag FROM gone AS t CROSS JOIN LATERAL unnest({tags}) AS tag LIMIT {many}
        ) AS found;
    ELSIF TG_OP = 'UPDATE' THEN
        SELECT array_agg(tag) INTO _tags FROM (
            SELECT tag FROM gone AS t CROSS JOIN LATERAL unnest({tags}) AS tag
            UNION SELECT tag FROM added AS t CROSS JOIN LATERAL unnest({tags}) AS tag LIMIT {many}
        ) AS found;
    END IF;
    IF TG_OP = 'TRUNCATE' OR cardinality(_tags) >= {many} THEN
        INSERT INTO {outbox} (tags, patterns) VALUES ('{}', {patterns});
    ELSIF cardinality(_tags) > 0 THEN
        INSERT INTO {outbox} (tags) VALUES (_tags);
    END IF;
    RETURN NULL;
END
$body$
