-- The terms of a text in every language, and the readings of each of its words: not of a stop word of any language, nor
-- of what hyphens and slashes join.
CREATE OR REPLACE FUNCTION {schema}._search_terms(body text, languages text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH read AS (
        SELECT language, lexeme, place, false AS is_typed
        FROM unnest(languages) AS language,
            unnest({schema}._search_tagged({schema}._search_space(body), languages, language)) AS found,
            unnest(positions) AS place
        UNION ALL
        SELECT '', lexeme, place, true FROM unnest({schema}._search_typed(body)) AS found, unnest(positions) AS place
    ), words AS (
        SELECT is_typed, place, jsonb_agg(DISTINCT lexeme) AS readings,
            is_typed OR count(DISTINCT language) = cardinality(languages) AS is_everywhere
        FROM read WHERE NOT is_typed OR lexeme ~ '[.:@+#_]' GROUP BY is_typed, place
    ), terms AS (
        SELECT lexeme, count(*) AS times FROM read GROUP BY lexeme
    )
    SELECT jsonb_build_object(
        'terms', (SELECT coalesce(jsonb_object_agg(lexeme, times), '{}') FROM terms),
        'words', (SELECT coalesce(jsonb_agg(readings ORDER BY is_typed, place), '[]') FROM words
            WHERE is_everywhere OR NOT (SELECT coalesce(bool_or(is_everywhere), false) FROM words)))
$$
