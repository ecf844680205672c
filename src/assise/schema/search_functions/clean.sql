-- A text with composed accents, plain apostrophes and quotation marks, whatever the locale takes for letters.
CREATE OR REPLACE FUNCTION {schema}._search_clean(body text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF body ~ {combining} THEN
        body := normalize(body);
    END IF;
    body := replace(body, '’', '''');
    RETURN CASE WHEN body ~ {typographic} THEN translate(body, {typographic_marks}, {plain_marks}) ELSE body END;
END
$$
