-- The lexemes of a text in one of a table's languages, which stands before each where the table has several.
-- A lexeme of the parser holds no blank.
CREATE OR REPLACE FUNCTION {schema}._search_tagged(body text, languages text[], language text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    found tsvector := coalesce({schema}._search_read(body, language), '');
BEGIN
    RETURN CASE WHEN cardinality(languages) > 1
        THEN replace(' ' || found::text, ' ''', ' ''' || language || ':')::tsvector ELSE found END;
END
$$
