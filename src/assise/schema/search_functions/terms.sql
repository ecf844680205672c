-- The terms of a text in every language, and the readings of each of its words but what hyphens and slashes join. Words
-- that are stop words in the language of the text have none; where that cannot be told, words are those of all languages.
CREATE OR REPLACE FUNCTION {schema}._search_terms(body text, languages text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH read AS (
        SELECT language, lexeme, place, spoken
        FROM {schema}.search_language(body, languages) AS spoken, unnest(languages) AS language,
            unnest({schema}._search_tagged({schema}._search_space(body), languages, language)) AS found,
            unnest(positions) AS place
    ), groups AS (
        SELECT false AS is_typed, place, array_agg(lexeme ORDER BY lexeme) AS lexemes, count(*) = cardinality(languages) AS is_everywhere
        FROM read GROUP BY place, spoken HAVING array_agg(language) && spoken
        UNION ALL
        SELECT true, place, ARRAY[lexeme], lexeme ~ '[.:@+#_]'
        FROM unnest({schema}._search_typed(body)) AS found, unnest(positions) AS place
    ), terms AS (
        SELECT lexeme, count(*) AS times FROM groups, unnest(lexemes) AS lexeme GROUP BY lexeme
    )
    SELECT jsonb_build_object(
        'terms', (SELECT coalesce(jsonb_object_agg(lexeme, times), '{}') FROM terms),
        'words', (SELECT coalesce(jsonb_agg(lexemes ORDER BY is_typed, place), '[]') FROM groups
            WHERE is_everywhere OR NOT (SELECT coalesce(bool_or(is_everywhere), false) FROM groups)))
$$
