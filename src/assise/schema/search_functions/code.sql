-- The lexemes of source text: identifiers in lower case, and behind them the parts of those with humps.
CREATE OR REPLACE FUNCTION {schema}._search_code(body text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_tsvector({code}, regexp_replace(plain, {hump}, '\1\3 \2\4', 'g'))
        || to_tsvector({code}, array_to_string(ARRAY(SELECT found[1] FROM regexp_matches(plain, {humped}, 'g') AS found), ' '))
    FROM translate(body, '<>&', '   ') AS plain
$$
