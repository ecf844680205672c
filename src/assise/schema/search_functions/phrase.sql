-- A phrase in each language that has lexemes of it: in order, and as the text of a tsquery with the gaps of stop words.
CREATE OR REPLACE FUNCTION {schema}._search_phrase(body text, languages text[]) RETURNS TABLE (query text, words jsonb)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg(concat('<' || nullif(place - before, 0) || '> ', '''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || ''''), ' ' ORDER BY place),
        jsonb_agg(lexeme ORDER BY place)
    FROM (
        SELECT language, lexeme, place, lag(place) OVER (PARTITION BY language ORDER BY place, lexeme) AS before
        FROM unnest(languages) AS language,
            unnest({schema}._search_tagged({schema}._search_space(body), languages, language)) AS found,
            unnest(positions) AS place
    ) AS placed
    GROUP BY language
$$
