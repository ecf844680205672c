-- The best passage of each text for a query, with U+0001 before and U+0002 behind the words that it has; NULL without any.
CREATE OR REPLACE FUNCTION {schema}.search_headlines(bodies text[], q text, languages text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    terms text[] := ARRAY(SELECT jsonb_object_keys({schema}.search_query(q, languages) -> 'terms'));
    options text := format('StartSel="%s", StopSel="%s", MaxWords=35, MinWords=20, ShortWord=0', chr(1), chr(2));
    found text[] := '{}';
    best text;
    asked tsquery;
    marked text;
    clean text;
    language text;
    body text;
BEGIN
    FOREACH body IN ARRAY bodies LOOP
        best := NULL;
        clean := {schema}._search_clean(left(translate(body, chr(1) || chr(2), '  '), 100000));
        FOREACH language IN ARRAY languages LOOP
            SELECT string_agg('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', ' | ')::tsquery INTO asked
            FROM (
                SELECT CASE WHEN cardinality(languages) = 1 THEN term ELSE substr(term, length(language) + 2) END AS lexeme
                FROM unnest(terms) AS term
                WHERE cardinality(languages) = 1 OR starts_with(term, language || ':')
            ) AS own;
            marked := ts_headline(CASE language
            {configurations}
            END, clean, asked, options);
            IF strpos(marked, chr(1)) > 0 AND (
                best IS NULL OR length(replace(marked, chr(1), '')) - length(marked) < length(replace(best, chr(1), '')) - length(best)
            ) THEN
                best := marked;
            END IF;
        END LOOP;
        found := found || best;
    END LOOP;
    RETURN found;
END
$$
