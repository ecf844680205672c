-- A key for a new row: the 24 digits of an ObjectId of the current second, which sort behind all older ones.
CREATE FUNCTION {name}() RETURNS text
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT lpad(to_hex(floor(extract(epoch FROM clock_timestamp()))::bigint), 8, '0')
        || left(random, 10) || right(random, 6)
    FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS random) AS parts
$$
