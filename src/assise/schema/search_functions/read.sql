-- The lexemes of a text in one language, with their positions; none in a language that was not asked for.
CREATE OR REPLACE FUNCTION {schema}._search_read(body text, language text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE language
        {readings}
    END;
END
$$
