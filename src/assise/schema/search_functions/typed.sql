-- What must be found as it was typed: versions, identifiers, paths, e-mails, UUIDs, C++; lower case, without accents.
CREATE OR REPLACE FUNCTION {schema}._search_typed(body text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(string_agg(format('''%s'':%s', coalesce((ts_lexize({fold}, word))[1], word), least(place, 16383)), ' '), '')::tsvector
    FROM (
        SELECT word, row_number() OVER () AS place
        FROM (SELECT regexp_matches(body, {typed}, 'g') UNION ALL SELECT regexp_matches(body, {joined}, 'g')) AS cut (words),
            lower(words[1]) AS word
        WHERE octet_length(word) <= 255 AND word ~ '[[:alnum:]]' AND word !~ {decimal}
    ) AS found
$$
