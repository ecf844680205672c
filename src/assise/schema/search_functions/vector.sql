-- The lexemes of a text with their positions, in those of a table's languages that it is written in (own, or else found).
-- Each is tagged with its language where the table has several: fr:secur. NULL has none.
CREATE OR REPLACE FUNCTION {schema}.search_vector(body text, languages text[], own text[] DEFAULT NULL) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    clean text := {schema}._search_clean(body);
    spaced text := {schema}._search_space(clean);
    found tsvector := '';
    each text;
BEGIN
    IF body IS NULL OR languages IS NULL THEN
        RETURN found;
    END IF;
    IF own IS NULL OR own = '{}' OR NOT own <@ languages THEN
        own := {schema}.search_language(clean, languages);
    END IF;
    FOREACH each IN ARRAY own LOOP
        found := found || {schema}._search_tagged(spaced, languages, each);
    END LOOP;
    RETURN CASE WHEN clean ~ {compound} THEN found || {schema}._search_typed(clean) ELSE found END;
END
$$
