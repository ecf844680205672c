-- The beginning of a word, in lower case and without accents.
CREATE OR REPLACE FUNCTION {schema}._search_prefix(word text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce((ts_lexize({fold}, plain))[1], plain) FROM lower(substring(word FROM '\w+\*$')) AS cut, rtrim(cut, '*') AS plain
$$
