-- The terms of a text in every language, the readings of each of its words but what hyphens and slashes join, and (raw) the
-- word as it is typed, without accents. Words
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
    ), plain AS (
        SELECT place, min(lexeme) AS word
        FROM unnest(to_tsvector({code}, {schema}._search_space(body))) AS found, unnest(positions) AS place GROUP BY place
    ), chosen AS (
        SELECT * FROM groups WHERE is_everywhere OR NOT (SELECT coalesce(bool_or(is_everywhere), false) FROM groups)
    ), terms AS (
        SELECT lexeme, count(*) AS times FROM groups, unnest(lexemes) AS lexeme GROUP BY lexeme
    )
    SELECT jsonb_build_object(
        'terms', (SELECT coalesce(jsonb_object_agg(lexeme, times), '{}') FROM terms),
        'words', (SELECT coalesce(jsonb_agg(lexemes ORDER BY is_typed, place), '[]') FROM chosen),
        'raw', (SELECT coalesce(jsonb_agg(CASE WHEN NOT is_typed THEN word END ORDER BY is_typed, place), '[]')
            FROM chosen LEFT JOIN plain USING (place)))
$$
