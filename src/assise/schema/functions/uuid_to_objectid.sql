-- The 24 digits of the ObjectId that is a key; NULL for any other uuid.
CREATE FUNCTION {name}(id uuid) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT left(digits, 12) || substr(digits, 14, 3) || substr(digits, 18, 9)
    FROM (SELECT replace(id::text, '-', '') AS digits) AS parts
    WHERE digits ~ '^.{12}8.{3}8.{9}000000$'
$$
