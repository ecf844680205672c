-- fresh --
CREATE TABLE {fresh} (
    {key_columns},
    part int2 NOT NULL,
    vector tsvector NOT NULL,
    PRIMARY KEY ({keys}, part)
)

-- pending --
CREATE TABLE {pending} (
    {key_columns},
    PRIMARY KEY ({keys})
)

-- terms --
CREATE TABLE {terms} (
    generation int4 NOT NULL,
    term int4 NOT NULL,
    df int4 NOT NULL,
    PRIMARY KEY (generation, term)
)

-- rows --
CREATE TABLE {rows} (
    {key_columns},
    part int2 NOT NULL,
    generation int4 NOT NULL,
    number int8 NOT NULL,
    first int8 NOT NULL,
    vector tsvector NOT NULL,
    weights {v}.sparsevec NOT NULL,
    PRIMARY KEY ({keys}, generation, part)
);
CREATE UNIQUE INDEX ON {rows} (generation, number)

-- blocks --
CREATE TABLE {blocks} (
    generation int4 NOT NULL,
    term int4 NOT NULL,
    block int4 NOT NULL,
    weights {v}.sparsevec({size}) NOT NULL,
    PRIMARY KEY (generation, term, block)
)

-- owned --
CREATE TABLE {owned} (
    generation int4 NOT NULL,
    owner text COLLATE "C" NOT NULL,     -- a column of the rule, and its value
    block int4 NOT NULL,
    places {v}.sparsevec({size}) NOT NULL, -- of the rows of the block that the rule shows by this value
    PRIMARY KEY (generation, owner, block)
);
UPDATE {state} SET sealed = 0 WHERE name = {name}

-- vocabulary --
CREATE TABLE {vocabulary} (
    generation int4 NOT NULL,
    owner text COLLATE "C" NOT NULL,     -- whose rows have the words; empty: all rows
    initial text COLLATE "C" NOT NULL,   -- how the words begin: a letter, of all rows two
    part int8 NOT NULL,                  -- of the rows with lower numbers than this
    words text[] NOT NULL,               -- in lower case, without accents
    spellings text[] NOT NULL,           -- with accents; NULL for a word without
    counts int4[] NOT NULL,
    firsts int8[] NOT NULL,              -- the numbers of two rows that have the word
    lasts int8[] NOT NULL,
    PRIMARY KEY (generation, owner, initial, part)
);
UPDATE {state} SET learned = 0 WHERE name = {name}

-- index --
CREATE FUNCTION {index}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    {key_arrays};
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM {pending}; DELETE FROM {fresh}; DELETE FROM {rows};
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        IF (SELECT count(*) FROM (SELECT FROM added LIMIT 1001) AS a) > 1000 THEN
            INSERT INTO {pending} ({keys}) SELECT {keys} FROM added ON CONFLICT DO NOTHING;
        ELSE
            INSERT INTO {fresh} ({keys}, part, vector)
            SELECT {t_keys}, v.part, v.vector FROM added AS t CROSS JOIN LATERAL {vectors} AS v;
        END IF;
        RETURN NULL;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT {t_aggregates} INTO {key_variables} FROM gone AS t;
    ELSE
        BEGIN
            SELECT {t_aggregates} INTO {key_variables} FROM gone AS t
            WHERE NOT EXISTS (SELECT FROM added AS a WHERE {same_a_t} AND {unchanged_a_t});
        EXCEPTION WHEN undefined_column THEN
            -- Another rule has other columns of owners; the trigger that knows them is made after it.
            SELECT {t_aggregates} INTO {key_variables} FROM gone AS t;
        END;
    END IF;
    IF {first_variable} IS NOT NULL THEN
        DELETE FROM {pending} AS p USING unnest({key_variables}) AS k ({keys}) WHERE {same_p_k};
        DELETE FROM {fresh} AS f USING unnest({key_variables}) AS k ({keys}) WHERE {same_f_k};
        PERFORM FROM {rows} AS w JOIN unnest({key_variables}) AS k ({keys}) ON {same_w_k} FOR UPDATE OF w;
        DELETE FROM {rows} AS w USING unnest({key_variables}) AS k ({keys}) WHERE {same_w_k};
    END IF;
    IF TG_OP = 'UPDATE' THEN
        BEGIN
            SELECT {t_aggregates} INTO {key_variables} FROM added AS t
            WHERE NOT EXISTS (SELECT FROM gone AS a WHERE {same_a_t} AND {unchanged_a_t});
        EXCEPTION WHEN undefined_column THEN
            SELECT {t_aggregates} INTO {key_variables} FROM added AS t;
        END;
        IF cardinality({first_variable}) > 1000 THEN
            INSERT INTO {pending} ({keys}) SELECT * FROM unnest({key_variables}) ON CONFLICT DO NOTHING;
        ELSIF {first_variable} IS NOT NULL THEN
            INSERT INTO {fresh} ({keys}, part, vector)
            SELECT {t_keys}, v.part, v.vector FROM unnest({key_variables}) AS k ({keys}) JOIN added AS t ON {same_t_k}
            CROSS JOIN LATERAL {vectors} AS v;
        END IF;
    END IF;
    RETURN NULL;
END
$body$

-- dense --
CREATE FUNCTION {dense}(g int4, terms int4[], k int8, below float8, slack float8, owners text[], visible text, filters jsonb, required tsquery, words jsonb, enough float8)
RETURNS int8[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET work_mem = '64MB'
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_hashagg = off
SET plan_cache_mode = force_generic_plan AS $body$
DECLARE
    _last int4 := (SELECT max(number) / {size} FROM {rows} WHERE generation = g);
    -- Without a bound all rows of a block are looked at: the first of them give one, where most can be seen.
    _from int4 := 0; _until int4 := CASE WHEN visible IS NULL OR owners IS NOT NULL THEN 0 ELSE 1 END;
    _first_rows bit({size}) := overlay(repeat('0', {size}) PLACING repeat('1', 500) FROM 1)::bit({size});
    _theta float8 := 0; _limits {v}.vector; _above {v}.vector;
    _numbers int8[]; _scores float4[]; _size int8;
    _first int8[]; _score float4[];
    _best int8[] := '{}'; _best_score float4[] := '{}';
BEGIN
    IF below IS NOT NULL THEN
        _above := array_fill((below + slack)::float4, ARRAY[{size}])::{v}.vector;
    END IF;
    WHILE _from <= _last LOOP
        IF _theta > 0 THEN
            _limits := array_fill(_theta::float4, ARRAY[{size}])::{v}.vector;
        END IF;
        SELECT array_agg(s.block::int8 * {size} + c.o - 1), array_agg(c.x) INTO _numbers, _scores FROM (
            SELECT b.block, {v}.sum(b.weights::{v}.vector) AS scores FROM unnest(terms) AS u (term)
            JOIN {blocks} AS b ON b.generation = g AND b.term = u.term AND b.block >= _from AND b.block < greatest(_until, 1)
            GROUP BY b.block OFFSET 0
        ) AS s
        CROSS JOIN LATERAL (SELECT {v}.binary_quantize(coalesce(s.scores OPERATOR({v}.-) _limits, s.scores)) AS higher OFFSET 0) AS a
        CROSS JOIN LATERAL (SELECT CASE WHEN _until = 0 THEN a.higher & _first_rows ELSE a.higher END AS higher OFFSET 0) AS h
        CROSS JOIN LATERAL (
            SELECT coalesce(h.higher & ~{v}.binary_quantize(s.scores OPERATOR({v}.-) _above), h.higher) AS bits OFFSET 0
        ) AS q
        CROSS JOIN LATERAL (
            SELECT CASE WHEN owners IS NULL THEN q.bits ELSE q.bits & (
                SELECT {v}.binary_quantize({v}.sum(o.places::{v}.vector)) FROM {owned} AS o
                WHERE o.generation = g AND o.owner = ANY (owners) AND o.block = s.block
            ) END AS bits OFFSET 0
        ) AS m
        CROSS JOIN LATERAL (SELECT bit_count(m.bits) AS rows OFFSET 0) AS n
        CROSS JOIN LATERAL (
            SELECT u.o, u.x FROM unnest(s.scores::float4[]) WITH ORDINALITY AS u (x, o)
            WHERE n.rows > 500 AND get_bit(m.bits, u.o::int4 - 1) = 1
            UNION ALL
            -- A loop over position() would read the bits from their beginning for each row.
            SELECT z.o, (-({v}.subvector(s.scores, z.o::int4, 1) OPERATOR({v}.<#>) '[1]'::{v}.vector))::float4 FROM (
                SELECT sum(length(u.zeros) + 1) OVER (ORDER BY u.n) AS o
                FROM unnest(string_to_array(m.bits::text, '1')) WITH ORDINALITY AS u (zeros, n) LIMIT n.rows
            ) AS z WHERE n.rows BETWEEN 1 AND 500
        ) AS c;
        -- The best first: they set the bound for the others.
        _size := 2 * k + 20;
        LOOP
            SELECT array_agg(u.o ORDER BY u.x DESC), array_agg(u.x ORDER BY u.x DESC) INTO _numbers, _scores
            FROM unnest(_numbers, _scores) AS u (o, x) WHERE u.x > _theta;
            EXIT WHEN _numbers IS NULL;
            IF visible IS NULL THEN
                SELECT array_agg(w.first), array_agg(s.x) INTO _first, _score
                FROM unnest(_numbers[:_size], _scores[:_size]) AS s (o, x)
                CROSS JOIN LATERAL (SELECT w.first FROM {rows} AS w WHERE w.generation = g AND w.number = s.o OFFSET 0) AS w;
            ELSE
                EXECUTE $q$
                    SELECT array_agg(w.first), array_agg(s.x) FROM unnest($2, $3) AS s (o, x)
                    CROSS JOIN LATERAL (SELECT w.* FROM {rows} AS w WHERE w.generation = $4 AND w.number = s.o OFFSET 0) AS w
                    CROSS JOIN LATERAL (SELECT FROM $q$ || visible || $q$ AS t WHERE {same_t_w} OFFSET 0) AS t
                    WHERE ($6 IS NULL OR w.vector @@ $6) AND ($7 = 0 OR {share_of}(w.vector, $5) >= $7) $q$
                INTO _first, _score
                USING filters, _numbers[:_size], _scores[:_size], g, words, required, enough;
            END IF;
            SELECT coalesce(array_agg(c.f), '{}'), coalesce(array_agg(c.x), '{}') INTO _best, _best_score FROM (
                SELECT u.f, max(u.x) AS x FROM unnest(_best || _first, _best_score || _score) AS u (f, x) GROUP BY u.f
            ) AS c WHERE c.x > _theta;
            IF cardinality(_best) >= k THEN
                _theta := greatest(_theta, (
                    SELECT x - slack FROM unnest(_best_score) AS u (x) WHERE below IS NULL OR x < below - slack
                    ORDER BY x DESC OFFSET k - 1 LIMIT 1
                ));
            END IF;
            _numbers := _numbers[_size + 1:]; _scores := _scores[_size + 1:];
            _size := 4 * _size;
        END LOOP;
        _from := _until; _until := _until + least(greatest(_until, 1), 32);
    END LOOP;
    RETURN ARRAY(SELECT f FROM unnest(_best, _best_score) AS u (f, x) WHERE x > _theta);
END
$body$

-- complete --
CREATE FUNCTION {complete}(prefix text, g int4, visible text) RETURNS SETOF text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF visible IS NULL THEN
        RETURN QUERY (SELECT w.lexeme FROM unnest({tags}) AS t, LATERAL (SELECT t || prefix COLLATE "C" AS text) AS p
        JOIN {words} AS w ON w.lexeme >= p.text AND w.lexeme < p.text || U&'\+10FFFF' COLLATE "C"
        JOIN {terms} AS d ON d.generation = g AND d.term = w.id
        ORDER BY d.df DESC, w.lexeme LIMIT 30)
        UNION
        (SELECT l.lexeme FROM unnest({tags}) AS t,
        LATERAL (SELECT f.vector FROM {fresh} AS f WHERE f.vector @@ ({quote}(t || prefix) || ':*')::tsquery {by_key_f} OFFSET 0) AS f,
        unnest(f.vector) AS l WHERE starts_with(l.lexeme, t || prefix) LIMIT 30);
    ELSE
        RETURN QUERY EXECUTE $q$
            SELECT l.lexeme FROM $q$ || visible || $q$ AS t
            CROSS JOIN LATERAL (
                SELECT w.vector FROM {rows} AS w WHERE {same_t_w} AND w.generation = $1
                UNION ALL SELECT f.vector FROM {fresh} AS f WHERE {same_t_f}
            ) AS v
            CROSS JOIN unnest(v.vector) AS l
            WHERE v.vector @@ $2 AND EXISTS (SELECT FROM unnest($3) AS p WHERE starts_with(l.lexeme, p))
            GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 30 $q$
        USING g, (SELECT string_agg({quote}(t || prefix) || ':*', ' | ')::tsquery FROM unnest({tags}) AS t),
            ARRAY(SELECT t || prefix FROM unnest({tags}) AS t);
    END IF;
END
$body$

-- known --
CREATE FUNCTION {known}(words text[], firsts int8[], lasts int8[], g int4) RETURNS SETOF jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $body$
#variable_conflict use_column
BEGIN
    -- The row that is named has the word as long as its entry is there: a change of its text takes the entry away.
    RETURN QUERY SELECT r.key FROM unnest(words, firsts, lasts) WITH ORDINALITY AS u (word, first, last, n)
        LEFT JOIN LATERAL (
            SELECT jsonb_build_array({w_keys}) AS key FROM {known_rows}
            CROSS JOIN LATERAL (
                SELECT FROM {place} AS t WHERE {same_t_w} AND {is_seen} OFFSET 0
            ) AS t LIMIT 1
        ) AS r ON true ORDER BY u.n;
END
$body$

-- own --
CREATE FUNCTION {own}(OUT g int4, OUT owners text[]) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    SELECT s.generation INTO STRICT g FROM {state} AS s WHERE s.name = {name} AND s.is_active;
    owners := {owners};
END
$body$

-- begun --
CREATE FUNCTION {begun}(prefix text, k int4) RETURNS TABLE (word text, rows int8, key jsonb) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    _own record; _words text[]; _spellings text[]; _counts int8[]; _firsts int8[]; _lasts int8[];
BEGIN
    SELECT * INTO _own FROM {own}();
    SELECT array_agg(c.word), array_agg(c.spelling), array_agg(c.n), array_agg(c.first), array_agg(c.last)
    INTO _words, _spellings, _counts, _firsts, _lasts FROM (
        SELECT u.word, coalesce(max(u.spelling), u.word) AS spelling, sum(u.n)::int8 AS n, min(u.first) AS first, max(u.last) AS last
        FROM {vocabulary} AS v, unnest(v.words, v.spellings, v.counts, v.firsts, v.lasts) AS u (word, spelling, n, first, last)
        WHERE v.generation = _own.g AND v.owner = ANY (_own.owners)
            AND v.initial >= left(prefix, 1) COLLATE "C" AND v.initial <= left(prefix, 2) || U&'\+10FFFF' COLLATE "C"
            AND starts_with(u.word, prefix)
        GROUP BY u.word ORDER BY 3 DESC, 1 LIMIT k
    ) AS c;
    RETURN QUERY SELECT u.spelling, u.n, k.key
    FROM unnest(_spellings, _counts) WITH ORDINALITY AS u (spelling, n, place)
    JOIN {known}(_words, _firsts, _lasts, _own.g) WITH ORDINALITY AS k (key, place) USING (place)
    WHERE k.key IS NOT NULL ORDER BY u.place;
END
$body$

-- has_words --
CREATE FUNCTION {has_words}(asked text[]) RETURNS text[] LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    _own record; _words text[]; _firsts int8[]; _lasts int8[];
BEGIN
    SELECT * INTO _own FROM {own}();
    SELECT array_agg(c.word), array_agg(c.first), array_agg(c.last) INTO _words, _firsts, _lasts FROM (
        SELECT a AS word, min(v.firsts[u.at]) AS first, max(v.lasts[u.at]) AS last
        FROM unnest(asked) AS a
        JOIN {vocabulary} AS v ON v.generation = _own.g AND v.owner = ANY (_own.owners) AND v.initial IN (left(a, 1), left(a, 2))
        CROSS JOIN LATERAL (SELECT array_position(v.words, a) AS at OFFSET 0) AS u
        WHERE u.at IS NOT NULL GROUP BY a LIMIT 20
    ) AS c;
    RETURN ARRAY(
        SELECT u.word FROM unnest(_words) WITH ORDINALITY AS u (word, place)
        JOIN {known}(_words, _firsts, _lasts, _own.g) WITH ORDINALITY AS k (key, place) USING (place)
        WHERE k.key IS NOT NULL
    );
END
$body$

-- nearest --
CREATE FUNCTION {nearest}(asked text, readings jsonb) RETURNS text[] LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    _own record; _words text[]; _spellings text[]; _firsts int8[]; _lasts int8[]; _errors int4[];
    _begun text[]; _found text[]; _size int4 := length(asked) / 3;
    _pieces text[] := ARRAY[left(asked, _size), substr(asked, _size + 1, _size), substr(asked, 2 * _size + 1)];
BEGIN
    SELECT * INTO _own FROM {own}();
    -- Words that begin as this one or with its second letter; only where none is near, those with another first letter or one more.
    FOREACH _begun SLICE 1 IN ARRAY ARRAY[ARRAY[left(asked, 1), substr(asked, 2, 1)], ARRAY['', NULL]] LOOP
        SELECT array_agg(c.word), array_agg(c.spelling), array_agg(c.first), array_agg(c.last), array_agg(c.errors)
        INTO _words, _spellings, _firsts, _lasts, _errors FROM (
            SELECT u.word, coalesce(max(u.spelling), u.word) AS spelling, min(u.first) AS first, max(u.last) AS last, min(u.errors) AS errors
            FROM (
                SELECT v.words[c.at] AS word, v.spellings[c.at] AS spelling, v.counts[c.at] AS n, v.firsts[c.at] AS first, v.lasts[c.at] AS last, c.errors
                FROM unnest(_begun) AS i
                JOIN {vocabulary} AS v ON v.generation = _own.g AND v.owner = ANY (_own.owners)
                    AND v.initial >= i COLLATE "C" AND v.initial <= i || U&'\+10FFFF' COLLATE "C"
                CROSS JOIN LATERAL (
                    SELECT u.place::int4 AS at, e.errors
                    FROM (
                        -- Of three pieces two errors leave one as it is.
                        SELECT * FROM unnest(CASE WHEN i <> '' THEN v.words END) WITH ORDINALITY AS u (word, place)
                        WHERE length(u.word) BETWEEN length(asked) - 2 AND length(asked) + 2
                            AND (strpos(u.word, _pieces[1]) > 0 OR strpos(u.word, _pieces[2]) > 0 OR strpos(u.word, _pieces[3]) > 0) OFFSET 0
                    ) AS u
                    CROSS JOIN LATERAL (SELECT {distance}(asked, u.word) AS letters OFFSET 0) AS d
                    CROSS JOIN LATERAL (
                        -- Two neighbours in each other's place are one error.
                        SELECT CASE
                            WHEN d.letters = 2 AND length(u.word) = length(asked)
                                AND translate(u.word, asked, '') = '' AND translate(asked, u.word, '') = '' THEN 1
                            ELSE d.letters END AS errors OFFSET 0
                    ) AS e
                    UNION ALL
                    SELECT array_position(v.words, left(v.initial, 1) || w), 1 FROM unnest(ARRAY[substr(asked, 2), asked]) AS w WHERE i = ''
                ) AS c
                WHERE c.errors <= CASE WHEN length(asked) < 8 THEN 1 ELSE 2 END
            ) AS u
            WHERE u.word IS NOT NULL GROUP BY u.word ORDER BY min(u.errors), sum(u.n) DESC, 1 LIMIT 10
        ) AS c;
        _found := ARRAY(
            SELECT CASE WHEN bool_or(tsvector_to_array({schema}.search_vector(u.spelling, {languages}, {languages}))
                && ARRAY(SELECT jsonb_array_elements_text(readings))) OVER () THEN NULL ELSE u.spelling END
            FROM unnest(_words, _spellings, _errors) WITH ORDINALITY AS u (word, spelling, errors, place)
            JOIN {known}(_words, _firsts, _lasts, _own.g) WITH ORDINALITY AS k (key, place) USING (place)
            WHERE k.key IS NOT NULL ORDER BY u.place LIMIT 1
        );
        EXIT WHEN _found <> '{}';
    END LOOP;
    RETURN _found;
END
$body$

-- correct --
CREATE FUNCTION {correct}(asked jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $body$
#variable_conflict use_column
DECLARE
    _group jsonb; _word text; _readings tsquery; _best text; _lexemes jsonb; _unknown int4 := 0;
    _place int4; _found jsonb := '{}';
    _asked text[] := ARRAY(
        SELECT w FROM jsonb_array_elements_text(asked -> 'raw') WITH ORDINALITY AS r (w, n)
        WHERE length(w) BETWEEN 5 AND 40 AND w !~ '[^[:alpha:]]' GROUP BY w ORDER BY min(n) LIMIT 20
    );
    _known text[] := CASE WHEN _asked <> '{}' THEN {has_words}(_asked) END;
BEGIN
    IF _asked <@ _known OR _asked = '{}' THEN
        RETURN asked;
    END IF;
    FOR _group, _word, _place IN
        SELECT w.e, asked -> 'raw' ->> (w.n - 1)::int4, w.n - 1 FROM jsonb_array_elements(asked -> 'words') WITH ORDINALITY AS w (e, n) LIMIT 100
    LOOP
        CONTINUE WHEN _word IS NULL OR _word <> ALL (_asked) OR _word = ANY (_known);
        -- Where the parser has put another word in this place, nothing is corrected.
        CONTINUE WHEN NOT tsvector_to_array({schema}.search_vector(_word, {languages}, {languages}))
            && ARRAY(SELECT jsonb_array_elements_text(_group));
        -- Rows that have no entry in the vocabulary yet may have it.
        SELECT string_agg({quote}(l), ' | ')::tsquery INTO _readings FROM jsonb_array_elements_text(_group) AS l;
        CONTINUE WHEN EXISTS (
            SELECT FROM (SELECT * FROM {fresh} AS f WHERE f.vector @@ _readings {by_key_f} OFFSET 0) AS f
            CROSS JOIN LATERAL (SELECT FROM {place} AS t WHERE {same_t_f} AND {is_seen} OFFSET 0) AS t
        );
        _unknown := _unknown + 1;
        EXIT WHEN _unknown > 10;
        _best := ({nearest}(_word, _group))[1];
        CONTINUE WHEN _best IS NULL;
        _found := _found || jsonb_build_object(_word, _best);
        _lexemes := to_jsonb(tsvector_to_array({schema}.search_vector(_best, {languages}, {languages})));
        asked := jsonb_set(asked, ARRAY['terms'], (
            SELECT jsonb_object_agg(l, 1) FROM jsonb_array_elements_text(_lexemes) AS l
        ) || (asked -> 'terms'));
        asked := jsonb_set(asked, ARRAY['words', _place::text], _group || _lexemes);
        -- In a phrase that is required either word will do.
        FOR _word IN SELECT {quote}(l) FROM jsonb_array_elements_text(_group) AS l LOOP
            asked := jsonb_set(asked, ARRAY['require'], to_jsonb(replace(asked ->> 'require', _word, (
                SELECT format('(%s | %s)', _word, string_agg({quote}(l), ' | ')) FROM jsonb_array_elements_text(_lexemes) AS l
            ))));
        END LOOP;
    END LOOP;
    IF _found <> '{}' THEN
        PERFORM set_config('search.corrected',
            (coalesce(nullif(current_setting('search.corrected', true), ''), '{}')::jsonb || _found)::text, true);
    END IF;
    RETURN asked;
END
$body$

-- count_own --
CREATE FUNCTION {count_own}(lexemes text[], times int4[], g int4, visible text, OUT n float8, OUT average float8, OUT weights float8[]) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    _words jsonb;
    _entries text := format($q$ %s AS t CROSS JOIN LATERAL (
        SELECT w.vector FROM {rows} AS w WHERE {same_t_w} AND w.generation = $1 UNION ALL SELECT f.vector FROM {fresh} AS f WHERE {same_t_f}
    ) AS v $q$, coalesce(visible, {place_text}));
BEGIN
    EXECUTE $q$ SELECT count(*), sum(d.length) / count(d.length) FROM $q$ || _entries || $q$ CROSS JOIN LATERAL {measure_v} AS d $q$
    INTO n, average USING g;
    EXECUTE $q$
        SELECT array_agg((ln(1 + ($4 - coalesce(c.df, 0) + 0.5) / (coalesce(c.df, 0) + 0.5)) * u.times)::float4::float8 ORDER BY u.place),
            jsonb_agg(jsonb_build_array(u.lexeme, coalesce(c.df, 0)))
        FROM unnest($2, $3) WITH ORDINALITY AS u (lexeme, times, place) LEFT JOIN (
            SELECT l.place, count(*) AS df FROM $q$ || _entries || $q$
            JOIN (SELECT place, {quote}(l)::tsquery AS asked FROM unnest($2) WITH ORDINALITY AS l (l, place) OFFSET 0) AS l ON v.vector @@ l.asked
            GROUP BY 1
        ) AS c USING (place) $q$
    INTO weights, _words USING g, lexemes, times, n;
    PERFORM set_config('search.counted', jsonb_build_object('n', n, 'average', average, 'words', _words)::text, true);
END
$body$

-- synonyms --
CREATE TABLE {synonyms} (
    words text[] NOT NULL,               -- lexemes of a query, in order
    terms text[] NOT NULL,               -- what else is asked for
    also text NOT NULL,                  -- the same as a tsquery
    spelled text NOT NULL
);
INSERT INTO {synonyms} (words, terms, also, spelled)
SELECT ARRAY(SELECT jsonb_array_elements_text(p.words)), o.terms, o.also, s.spelled
FROM jsonb_to_recordset({rules}) AS s (language text, typed text, spelled text)
CROSS JOIN LATERAL {schema}._search_phrase(s.typed, {languages}) AS p
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT l) AS terms, string_agg(DISTINCT format('(%s)', a.query), ' | ') AS also
    FROM {schema}._search_phrase(s.spelled, {languages}) AS q
    CROSS JOIN LATERAL jsonb_array_elements_text(q.words) AS l
    CROSS JOIN LATERAL (SELECT string_agg({quote}(e), ' & ') AS query FROM jsonb_array_elements_text(q.words) AS e) AS a
    WHERE s.language IS NULL OR cardinality({languages}) = 1 OR starts_with(l, s.language || ':')
) AS o
WHERE o.terms IS NOT NULL AND (s.language IS NULL OR cardinality({languages}) = 1 OR starts_with(p.words ->> 0, s.language || ':'));
CREATE INDEX ON {synonyms} ((words[1]))

-- also --
CREATE FUNCTION {also}(asked jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    _found record; _place int4; _added jsonb := '{}'; _spelled text[] := '{}';
BEGIN
    FOR _found IN
        SELECT s.*, w.place FROM jsonb_array_elements(asked -> 'words') WITH ORDINALITY AS w (e, place)
        CROSS JOIN LATERAL jsonb_array_elements_text(w.e) AS l JOIN {synonyms} AS s ON s.words[1] = l
        WHERE NOT EXISTS (
            SELECT FROM unnest(s.words) WITH ORDINALITY AS u (l, n) WHERE NOT coalesce(asked -> 'words' -> (w.place + u.n - 2)::int4 ? u.l, false)
        ) ORDER BY w.place, s.spelled LIMIT 100
    LOOP
        asked := jsonb_set(asked, ARRAY['terms'], (SELECT jsonb_object_agg(l, 1) FROM unnest(_found.terms) AS l) || (asked -> 'terms'));
        FOR _place IN _found.place - 1 .. _found.place + cardinality(_found.words) - 2 LOOP
            _added := _added || jsonb_build_object(_place, concat_ws(' | ', _added ->> _place::text, _found.also));
        END LOOP;
        _spelled := _spelled || _found.spelled;
    END LOOP;
    PERFORM set_config('search.synonyms', concat_ws(' ', nullif(current_setting('search.synonyms', true), ''), array_to_string(_spelled, ' ')), true);
    RETURN asked || jsonb_build_object('also', _added);
END
$body$

-- rank --
CREATE FUNCTION {rank}(query jsonb, k int8, filters jsonb, options jsonb, after jsonb)
RETURNS TABLE (key jsonb, score float8, share float8) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    _state {state};
    _lexemes text[]; _ids int4[]; _weights float8[]; _times int4[]; _possible float8;
    _any tsquery; _required tsquery; _words jsonb; _least float8 := 0;
    _visible text; _count int8 := 0; _rule text; _seen text; _is_seen bool; _filter text; _fits text; _plan text;
    _rows int8 := nullif(current_setting('search.max_rows', true), '')::int8; _owners text[];
    _vector {query_type}; _below float8 := (after ->> 'share')::float8; _key jsonb; _found int8[];
    _is_own bool := {is_tenant} AND NOT coalesce({sees_all}, false);
BEGIN
    SELECT * INTO STRICT _state FROM {state} AS s WHERE s.name = {name} AND s.is_active;
    _rule := CASE WHEN {sees_all} THEN {live} ELSE {rule} END;
    _seen := '(SELECT * FROM ' || {place_text} || ' WHERE ' || nullif(_rule, 'true') || ')';
    _owners := {owners_in_blocks};
    -- A row that is scored by itself takes as long as 320 rows of blocks, or one of those in no block yet.
    _rows := coalesce(_rows, CASE WHEN _owners IS NULL OR {most_boost} > 1 THEN 20000
        ELSE least(20000, 1000 + _state.sealed / 320 + _state.weighed - _state.sealed) END);
    query := {with_synonyms};
    SELECT array_agg(x.lexeme), array_agg(x.id), array_agg(x.weight), array_agg(x.times), sum(x.weight) * 2.2,
        string_agg({quote}(x.lexeme), ' | ')::tsquery
    INTO _lexemes, _ids, _weights, _times, _possible, _any
    FROM (
        SELECT u.lexeme, w.id, u.times, (ln(1 + (_state.n - c.df + 0.5) / (c.df + 0.5)) * u.times)::float4::float8 AS weight
        FROM (
            SELECT l.lexeme, least(sum(l.times), 10)::int4 AS times FROM (
                SELECT e.key AS lexeme, e.value::int4 AS times FROM jsonb_each_text(query -> 'terms') AS e
                UNION ALL SELECT e, 1 FROM jsonb_array_elements(query -> 'fields') AS f, jsonb_array_elements_text(f -> 1) AS e
                UNION ALL SELECT e, 1 FROM jsonb_array_elements_text(query -> 'prefixes') AS p,
                    LATERAL {complete}(p, _state.generation, _seen) AS e
            ) AS l GROUP BY l.lexeme
        ) AS u
        CROSS JOIN LATERAL (SELECT (SELECT w.id FROM {words} AS w WHERE w.lexeme = u.lexeme COLLATE "C") AS id OFFSET 0) AS w
        CROSS JOIN LATERAL (
            SELECT coalesce((SELECT d.df FROM {terms} AS d WHERE d.generation = _state.generation AND d.term = w.id AND NOT _is_own), 0) AS df OFFSET 0
        ) AS c
        ORDER BY 4 DESC, 1 LIMIT 100
    ) AS x;
    IF _lexemes IS NULL THEN
        RETURN;
    END IF;
    IF _is_own THEN
        SELECT c.n, c.average, c.weights INTO _state.n, _state.average, _weights
        FROM {count_own}(_lexemes, _times, _state.generation, _seen) AS c;
        _possible := (SELECT sum(weight) * 2.2 FROM unnest(_weights) AS u (weight));
    END IF;
    _possible := _possible * {most_boost};
    IF {has_vector} THEN
        SELECT ('{' || string_agg(u.id || ':' || u.weight::float4, ',' ORDER BY u.id) || '}/1000000000')::{query_type}
        INTO _vector FROM unnest(_ids, _weights) AS u (id, weight) WHERE u.id IS NOT NULL AND u.weight::float4 <> 0;
    END IF;
    IF options ? 'measure' THEN
        FOR _key IN SELECT e FROM jsonb_array_elements(options -> 'measure') AS e LIMIT 5 LOOP
            -- Cursors come from users: what they do not see has no score, as what is not there.
            EXECUTE 'SELECT EXISTS (SELECT FROM (SELECT * FROM ' || {place_text} || ' WHERE ' || _rule || ') AS t WHERE ' || {key_of_t} || ')'
            INTO _is_seen USING _key;
            CONTINUE WHEN NOT _is_seen;
            SELECT max(c.score) INTO score FROM (
                SELECT {row_score_static} AS score FROM {rows} AS w WHERE w.generation = _state.generation AND {key_of_w} AND NOT _is_own
                UNION ALL
                SELECT c.score FROM (
                    SELECT f.vector FROM {fresh} AS f WHERE {key_of_f}
                    UNION ALL SELECT w.vector FROM {rows} AS w WHERE w.generation = _state.generation AND {key_of_w} AND _is_own
                ) AS f CROSS JOIN LATERAL {fresh_score_static} AS c
            ) AS c;
            score := {boosted_static};
            IF score IS NOT NULL THEN
                key := _key; share := {share_static};
                RETURN NEXT;
                RETURN;
            END IF;
        END LOOP;
        RETURN;
    END IF;
    _required := nullif(concat_ws(' & ', '(' || nullif(query ->> 'require', '') || ')', (
        SELECT string_agg(part, ' & ') FROM (
            SELECT '!' || {quote}(l) AS part FROM jsonb_array_elements_text(query -> 'without') AS l
            UNION ALL
            SELECT CASE WHEN f.is_out THEN '!(' ELSE '(' END
                || regexp_replace(f.f ->> 2, '''(?:[^'']|'''')*''', '\&:' || ({labels}::jsonb ->> (f.f ->> 0)), 'g') || ')'
            FROM (
                SELECT f, false AS is_out FROM jsonb_array_elements(query -> 'fields') AS f
                UNION ALL SELECT f, true FROM jsonb_array_elements(query -> 'fields_without') AS f
            ) AS f WHERE f.f ->> 2 <> ''
            UNION ALL
            SELECT '(' || concat_ws(' | ', string_agg({quote}(l), ' | '), query -> 'also' ->> (n - 1)::text) || ')'
            FROM jsonb_array_elements(query -> 'words') WITH ORDINALITY AS w (w, n), jsonb_array_elements_text(w) AS l
            WHERE options ->> 'match' = 'all' GROUP BY n
        ) AS parts
    )), '')::tsquery;
    IF options ->> 'match' = 'most' THEN
        _least := 0.5;
        SELECT jsonb_agg(jsonb_build_object('weight', c.weight, 'any_of', c.any_of)) INTO _words FROM (
            SELECT coalesce(max(u.weight), 0) AS weight, concat_ws(' | ', string_agg({quote}(l), ' | '), query -> 'also' ->> (n - 1)::text) AS any_of
            FROM jsonb_array_elements(query -> 'words') WITH ORDINALITY AS w (w, n), jsonb_array_elements_text(w) AS l
            LEFT JOIN unnest(_lexemes, _weights) AS u (lexeme, weight) ON u.lexeme = l
            GROUP BY n
        ) AS c;
    END IF;
    _filter := {condition}(filters, {place_text}::regclass, {columns});
    _fits := CASE WHEN _required IS NULL THEN 'true' ELSE 'w.vector @@ $10' END
        || CASE WHEN _least > 0 THEN ' AND {share_of}(w.vector, $13) >= $12' ELSE '' END;
    _visible := '(SELECT * FROM ' || {place_text} || ' WHERE ' || _rule || _filter || ')';
    IF options ? 'keys' THEN
        -- Row by row: a planner that takes a user to have few rows would read all of them.
        _visible := format('(SELECT t.* FROM jsonb_array_elements(%L) AS k (key) CROSS JOIN LATERAL (SELECT * FROM %s AS t WHERE %s OFFSET 0) AS t)',
            options -> 'keys', _visible, {key_of_t_k});
    ELSIF _state.sealed > _rows AND NOT _is_own THEN
        IF _rule = 'true' AND _filter = '' THEN
            _count := _state.sealed;
        ELSE
            EXECUTE 'SELECT count(*) FROM (SELECT FROM ' || _visible || ' AS t LIMIT ' || _rows + 1 || ') AS c' INTO _count USING filters;
        END IF;
    END IF;
    IF _count > _rows THEN
        PERFORM set_config('search.plan', 'blocks', true);
        _found := {dense}(_state.generation, ARRAY(
            SELECT u.id FROM unnest(_ids, _times) AS u (id, times), generate_series(1, u.times) WHERE u.id IS NOT NULL ORDER BY 1
        ), {candidates}, {below} * _possible, 1e-4 * greatest(1, _possible / 100), _owners,
            CASE WHEN _rule <> 'true' OR _filter <> '' OR _required IS NOT NULL OR _least > 0 THEN _visible END,
            filters, _required, _words, _least);
        _plan := $q$
            SELECT {w_keys}, $q$ || {row_score} || $q$ AS score FROM {rows} AS f
            CROSS JOIN LATERAL (SELECT w.* FROM {rows} AS w WHERE {same_w_f} AND w.generation = $4 OFFSET 0) AS w
            WHERE f.generation = $4 AND f.number = ANY ($5) AND $q$ || _fits || CASE WHEN _state.weighed > _state.sealed THEN $q$
            UNION ALL
            SELECT {w_keys}, $q$ || {row_score} || $q$ FROM (
                SELECT w.* FROM {rows} AS w WHERE w.generation = $4 AND w.number >= $6 AND $q$ || _fits || $q$ OFFSET 0
            ) AS w
            CROSS JOIN LATERAL (SELECT FROM $q$ || _visible || $q$ AS t WHERE {same_t_w} OFFSET 0) AS t $q$ ELSE '' END;
    ELSE
        PERFORM set_config('search.plan', 'rows', true);
        _plan := $q$
            SELECT {w_keys}, $q$ || {row_score} || $q$ AS score FROM $q$ || _visible || $q$ AS t
            CROSS JOIN LATERAL (SELECT w.* FROM {rows} AS w WHERE {same_t_w} AND w.generation = $4 OFFSET 0) AS w
            WHERE $q$ || _fits;
    END IF;
    IF _is_own THEN
        PERFORM set_config('search.plan', 'own', true);
        _plan := $q$
            SELECT {f_keys}, c.score FROM $q$ || _visible || $q$ AS t
            CROSS JOIN LATERAL (SELECT w.* FROM {rows} AS w WHERE {same_t_w} AND w.generation = $4 AND w.vector @@ $9 AND $q$ || _fits || $q$ OFFSET 0) AS f
            CROSS JOIN LATERAL {fresh_score} AS c $q$;
    END IF;
    IF EXISTS (SELECT FROM {fresh} AS w {by_key_w} LIMIT 1) THEN
        _plan := _plan || $q$
            UNION ALL
            SELECT {f_keys}, c.score FROM $q$ || CASE WHEN options ? 'keys' THEN _visible || $q$ AS t
            CROSS JOIN LATERAL (SELECT w.* FROM {fresh} AS w WHERE {same_t_w} AND w.vector @@ $9 AND $q$ || _fits || $q$ OFFSET 0) AS f
            $q$ ELSE $q$ (SELECT w.* FROM {fresh} AS w WHERE w.vector @@ $9 AND $q$ || _fits || $q$ {by_key_w} OFFSET 0) AS f
            CROSS JOIN LATERAL (SELECT FROM $q$ || _visible || $q$ AS t WHERE {same_t_f} OFFSET 0) AS t
            $q$ END || $q$ CROSS JOIN LATERAL {fresh_score} AS c $q$;
    END IF;
    RETURN QUERY EXECUTE $q$
        SELECT jsonb_build_array({s_keys}), s.score, $q$ || {share} || $q$ FROM (SELECT {s_keys}, s.score FROM (
            SELECT {s_keys}, $q$ || {boosted} || $q$ AS score FROM (
            SELECT {s_keys}, max(s.score) AS score FROM (
            $q$ || _plan || $q$
            OFFSET 0
        ) AS s
        WHERE s.score > 0
        GROUP BY {s_keys}
        ) AS s $q$ || {boost_of_s} || $q$
        ) AS s
        WHERE $14 IS NULL OR $q$ || {share} || $q$ < $14 OR $q$ || {share} || $q$ = $14 AND ($15 ? 'with_equal' OR {after_key})
        ORDER BY s.score DESC, {s_keys} LIMIT $16) AS s ORDER BY s.score DESC, {s_keys}
    $q$ USING filters, _lexemes, _weights, _state.generation, _found, _state.sealed, _vector, _state.average, _any, _required,
        _possible, _least, _words, _below, after, k;
END
$body$

-- one --
CREATE FUNCTION {one}(q text, "limit" int4 DEFAULT 10, filters jsonb DEFAULT '{}', cursor text DEFAULT NULL, options jsonb DEFAULT '{}')
RETURNS TABLE ({out_columns}, score float8, next text) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $body$
    SELECT {typed_keys}, r.score, r.next FROM {many}($1, ARRAY[{name}], $2, $3, $4, $5) AS r ORDER BY r.place
$body$
