-- A text in which what is written as one word stands as its parts; only the points of numbers are kept.
CREATE OR REPLACE FUNCTION {schema}._search_space(body text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF body !~ {compound} THEN
        RETURN body;
    END IF;
    body := {spaced};
    RETURN CASE WHEN body ~ {dotted} THEN regexp_replace(body, {dotted}, '\1\2 ', 'g') ELSE body END;
END
$$
