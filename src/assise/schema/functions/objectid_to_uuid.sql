-- The key of an ObjectId that is written with 24 digits; NULL for any other text.
CREATE FUNCTION {name}(objectid text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN objectid ~ '^[0-9a-fA-F]{24}$'
        THEN (left(objectid, 12) || '8' || substr(objectid, 13, 3) || '8' || substr(objectid, 16, 9) || '000000')::uuid END
$$
