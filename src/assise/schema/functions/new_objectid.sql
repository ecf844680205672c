-- A key for a new row: an ObjectId of the current second as a uuid of version 8, so that it sorts behind all older ones.
CREATE FUNCTION {name}() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT (second || left(random, 4) || '8' || substr(random, 5, 3) || '8' || substr(random, 8, 3) || right(random, 6) || '000000')::uuid
    FROM (SELECT lpad(to_hex(floor(extract(epoch FROM clock_timestamp()))::bigint), 8, '0') AS second,
                 replace(gen_random_uuid()::text, '-', '') AS random) AS parts
$$
