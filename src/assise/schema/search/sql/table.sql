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
    PRIMARY KEY ({keys}, part, generation)
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
        SELECT {t_aggregates} INTO {key_variables} FROM gone AS t
        WHERE NOT EXISTS (SELECT FROM added AS a WHERE {same_a_t} AND {unchanged_a_t});
    END IF;
    IF {first_variable} IS NOT NULL THEN
        DELETE FROM {pending} AS p USING unnest({key_variables}) AS k ({keys}) WHERE {same_p_k};
        DELETE FROM {fresh} AS f USING unnest({key_variables}) AS k ({keys}) WHERE {same_f_k};
        PERFORM FROM {rows} AS w JOIN unnest({key_variables}) AS k ({keys}) ON {same_w_k} FOR UPDATE OF w;
        DELETE FROM {rows} AS w USING unnest({key_variables}) AS k ({keys}) WHERE {same_w_k};
    END IF;
    IF TG_OP = 'UPDATE' THEN
        SELECT {t_aggregates} INTO {key_variables} FROM added AS t
        WHERE NOT EXISTS (SELECT FROM gone AS a WHERE {same_a_t} AND {unchanged_a_t});
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
CREATE FUNCTION {dense}(g int4, terms int4[], k int8, below float8, slack float8, visible text, filters jsonb, required tsquery, words jsonb, enough float8)
RETURNS int8[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET work_mem = '64MB'
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_hashagg = off
SET plan_cache_mode = force_custom_plan AS $body$
DECLARE
    _theta float8 := 0; _limits {v}.vector; _above {v}.vector;
    _block record; _bits bit varying; _place int4; _number int8; _count int8;
    _numbers int8[]; _scores float4[];
    _first int8[]; _score float4[];
    _best int8[] := '{}'; _best_score float4[] := '{}';
    _try int4;
BEGIN
    IF below IS NOT NULL THEN
        _above := array_fill((below + slack)::float4, ARRAY[{size}])::{v}.vector;
    END IF;
    FOR _block IN
        SELECT b.block, {v}.sum(b.weights::{v}.vector) AS scores
        FROM unnest(terms) AS u (term) JOIN {blocks} AS b ON b.generation = g AND b.term = u.term GROUP BY b.block
    LOOP
        -- At first a few of the best, so that they set the bound for the others.
        _try := CASE WHEN _theta > 0 THEN 2 ELSE 0 END;
        LOOP
            IF _theta > 0 THEN
                _bits := {v}.binary_quantize(_block.scores OPERATOR({v}.-) _limits);
            ELSE
                _bits := {v}.binary_quantize(_block.scores);
            END IF;
            IF below IS NOT NULL THEN
                _bits := _bits & ~{v}.binary_quantize(_block.scores OPERATOR({v}.-) _above);
            END IF;
            _count := bit_count(_bits);
            EXIT WHEN _count = 0;
            _number := _block.block::int8 * {size};
            IF _count > 200 THEN
                SELECT array_agg(_number + u.o - 1), array_agg(u.x) INTO _numbers, _scores FROM (
                    SELECT x, o FROM unnest(_block.scores::float4[]) WITH ORDINALITY AS u (x, o)
                    WHERE x > _theta AND (below IS NULL OR x <= below + slack)
                    ORDER BY x DESC LIMIT CASE _try WHEN 0 THEN 4 * k + 100 END
                ) AS u;
            ELSE
                _numbers := '{}'; _scores := '{}';
                LOOP
                    _place := position(B'1' IN _bits);
                    EXIT WHEN _place = 0;
                    _bits := set_bit(_bits, _place - 1, 0);
                    _numbers := _numbers || (_number + _place - 1);
                    _scores := _scores
                        || (-({v}.subvector(_block.scores, _place, 1) OPERATOR({v}.<#>) '[1]'::{v}.vector))::float4;
                END LOOP;
            END IF;
            IF visible IS NULL THEN
                SELECT array_agg(c.first), array_agg(c.x) INTO _first, _score FROM (
                    SELECT w.first, s.x
                    FROM (SELECT * FROM unnest(_numbers, _scores) AS s (o, x) ORDER BY x DESC) AS s
                    CROSS JOIN LATERAL (SELECT w.first FROM {rows} AS w WHERE w.generation = g AND w.number = s.o OFFSET 0) AS w
                    ORDER BY s.x DESC LIMIT CASE WHEN _try < 2 THEN 2 * k END
                ) AS c;
            ELSE
                EXECUTE $q$
                    SELECT array_agg(c.first), array_agg(c.x) FROM (
                        SELECT w.first, s.x
                        FROM (SELECT * FROM unnest($2, $3) AS s (o, x) ORDER BY x DESC) AS s
                        CROSS JOIN LATERAL (SELECT w.* FROM {rows} AS w WHERE w.generation = $4 AND w.number = s.o OFFSET 0) AS w
                        CROSS JOIN LATERAL (SELECT FROM $q$ || visible || $q$ AS t WHERE {same_t_w} OFFSET 0) AS t
                        WHERE ($7 IS NULL OR w.vector @@ $7) AND ($8 = 0 OR {share_of}(w.vector, $6) >= $8)
                        ORDER BY s.x DESC LIMIT $5
                    ) AS c $q$
                INTO _first, _score
                USING filters, _numbers, _scores, g, CASE WHEN _try < 2 THEN 2 * k END, words, required, enough;
            END IF;
            SELECT coalesce(array_agg(c.f ORDER BY c.x DESC), '{}'), coalesce(array_agg(c.x ORDER BY c.x DESC), '{}')
            INTO _best, _best_score FROM (
                SELECT u.f, max(u.x) AS x FROM unnest(_best || _first, _best_score || _score) AS u (f, x) GROUP BY u.f
            ) AS c WHERE c.x > _theta;
            IF cardinality(_best) >= k THEN
                _theta := greatest(_theta, (
                    SELECT x - slack FROM unnest(_best_score) AS u (x) WHERE below IS NULL OR x < below - slack
                    ORDER BY x DESC OFFSET k - 1 LIMIT 1
                ));
            END IF;
            IF _theta > 0 THEN
                _limits := array_fill(_theta::float4, ARRAY[{size}])::{v}.vector;
            END IF;
            EXIT WHEN _try = 2 OR coalesce(cardinality(_first), 0) < 2 * k AND cardinality(_numbers) = _count;
            _try := CASE WHEN _theta > 0 THEN 2 ELSE _try + 1 END;
        END LOOP;
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
        (SELECT l.lexeme FROM unnest({tags}) AS t, {fresh} AS f, unnest(f.vector) AS l
        WHERE starts_with(l.lexeme, t || prefix) AND f.vector @@ ({quote}(t || prefix) || ':*')::tsquery LIMIT 30);
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

-- correct --
CREATE FUNCTION {correct}(asked jsonb, g int4, visible text) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    _group jsonb; _lexeme text; _tag text; _bare text; _best text; _is_known bool; _unknown int4 := 0;
    _lexemes text[]; _counts int8[];
BEGIN
    -- Under a rule only the words of rows that the user sees count: of 2,000 rows at most, for they are all read.
    IF visible IS NOT NULL THEN
        EXECUTE 'SELECT count(*) > 2000 FROM (SELECT FROM ' || visible || ' AS t LIMIT 2001) AS c' INTO _is_known;
        IF _is_known THEN
            RETURN asked;
        END IF;
    END IF;
    -- A word is corrected only if no reading of it is known: those in other languages often are not.
    FOR _group IN SELECT jsonb_array_elements(asked -> 'words') LIMIT 100 LOOP
        IF visible IS NULL THEN
            _is_known := EXISTS (
                SELECT FROM jsonb_array_elements_text(_group) AS l JOIN {words} AS w ON w.lexeme = l COLLATE "C"
                JOIN {terms} AS d ON d.generation = g AND d.term = w.id
            );
        ELSE
            EXECUTE $q$ SELECT EXISTS (SELECT FROM $q$ || visible || $q$ AS t
            CROSS JOIN LATERAL (
                SELECT w.vector FROM {rows} AS w WHERE {same_t_w} AND w.generation = $1
                UNION ALL SELECT f.vector FROM {fresh} AS f WHERE {same_t_f}
            ) AS v WHERE v.vector @@ $2) $q$
            INTO _is_known
            USING g, (SELECT string_agg({quote}(l), ' | ')::tsquery FROM jsonb_array_elements_text(_group) AS l);
        END IF;
        CONTINUE WHEN _is_known;
        _unknown := _unknown + 1;
        EXIT WHEN _unknown > 10;
        IF visible IS NOT NULL AND _lexemes IS NULL THEN
            EXECUTE $q$ SELECT coalesce(array_agg(l), '{}'), coalesce(array_agg(n), '{}') FROM (
                SELECT l.lexeme AS l, count(*) AS n FROM $q$ || visible || $q$ AS t
            CROSS JOIN LATERAL (
                SELECT w.vector FROM {rows} AS w WHERE {same_t_w} AND w.generation = $1
                UNION ALL SELECT f.vector FROM {fresh} AS f WHERE {same_t_f}
            ) AS v CROSS JOIN unnest(v.vector) AS l GROUP BY 1) AS l $q$
            INTO _lexemes, _counts USING g;
        END IF;
        FOR _lexeme IN SELECT jsonb_array_elements_text(_group) LOOP
            SELECT t INTO _tag FROM unnest({tags}) AS t WHERE starts_with(_lexeme, t) ORDER BY length(t) DESC LIMIT 1;
            _bare := substr(_lexeme, length(_tag) + 1);
            CONTINUE WHEN _bare IS NULL OR length(_bare) NOT BETWEEN 5 AND 40 OR _bare ~ '[^[:alpha:]]';
            SELECT c.lexeme INTO _best
            FROM (
                SELECT w.lexeme, d.df::int8 AS n FROM {words} AS w JOIN {terms} AS d ON d.generation = g AND d.term = w.id
                WHERE visible IS NULL AND w.lexeme >= (_tag || left(_bare, 1)) COLLATE "C"
                    AND w.lexeme < (_tag || left(_bare, 1) || U&'\+10FFFF') COLLATE "C"
                UNION ALL
                SELECT u.l, u.n FROM unnest(_lexemes, _counts) AS u (l, n) WHERE starts_with(u.l, _tag || left(_bare, 1))
            ) AS c, LATERAL (SELECT substr(c.lexeme, length(_tag) + 1) AS bare) AS b
            WHERE CASE WHEN length(bare) BETWEEN length(_bare) - 2 AND length(_bare) + 2
                THEN {distance}(_bare, bare) <= CASE WHEN length(_bare) < 8 THEN 1 ELSE 2 END END
            ORDER BY {distance}(_bare, bare), c.n DESC, c.lexeme LIMIT 1;
            CONTINUE WHEN _best IS NULL;
            asked := jsonb_set(asked, ARRAY['terms', _best], coalesce(asked #> ARRAY['terms', _best], '1'));
            asked := jsonb_set(asked, ARRAY['words'], (
                SELECT jsonb_agg(CASE WHEN e ? _lexeme THEN e || to_jsonb(_best) ELSE e END ORDER BY n)
                FROM jsonb_array_elements(asked -> 'words') WITH ORDINALITY AS u (e, n)
            ));
        END LOOP;
    END LOOP;
    RETURN asked;
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
    _rows int8 := coalesce(nullif(current_setting('search.max_rows', true), '')::int8, 20000);
    _vector {query_type}; _below float8 := (after ->> 'share')::float8; _key jsonb; _found int8[];
BEGIN
    SELECT * INTO STRICT _state FROM {state} AS s WHERE s.name = {name} AND s.is_active;
    _rule := CASE WHEN {sees_all} THEN {live} ELSE {rule} END;
    _seen := '(SELECT * FROM ' || {place_text} || ' WHERE ' || nullif(_rule, 'true') || ')';
    query := {correct}(query, _state.generation, _seen);
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
            SELECT coalesce((SELECT d.df FROM {terms} AS d WHERE d.generation = _state.generation AND d.term = w.id), 0) AS df OFFSET 0
        ) AS c
        ORDER BY 4 DESC, 1 LIMIT 100
    ) AS x;
    IF _lexemes IS NULL THEN
        RETURN;
    END IF;
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
                SELECT {row_score_static} AS score FROM {rows} AS w WHERE w.generation = _state.generation AND {key_of_w}
                UNION ALL
                SELECT c.score FROM {fresh} AS f CROSS JOIN LATERAL {fresh_score_static} AS c WHERE {key_of_f}
            ) AS c;
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
            SELECT '(' || string_agg({quote}(l), ' | ') || ')'
            FROM jsonb_array_elements(query -> 'words') WITH ORDINALITY AS w (w, n), jsonb_array_elements_text(w) AS l
            WHERE options ->> 'match' = 'all' GROUP BY n
        ) AS parts
    )), '')::tsquery;
    IF options ->> 'match' = 'most' THEN
        _least := 0.5;
        SELECT jsonb_agg(jsonb_build_object('weight', c.weight, 'any_of', c.any_of)) INTO _words FROM (
            SELECT coalesce(max(u.weight), 0) AS weight, string_agg({quote}(l), ' | ') AS any_of
            FROM jsonb_array_elements(query -> 'words') WITH ORDINALITY AS w (w, n), jsonb_array_elements_text(w) AS l
            LEFT JOIN unnest(_lexemes, _weights) AS u (lexeme, weight) ON u.lexeme = l
            GROUP BY n
        ) AS c;
    END IF;
    _filter := {condition}(filters, {place_text}::regclass, {columns});
    _fits := CASE WHEN _required IS NULL THEN 'true' ELSE 'w.vector @@ $10' END
        || CASE WHEN _least > 0 THEN ' AND {share_of}(w.vector, $13) >= $12' ELSE '' END;
    _visible := '(SELECT * FROM ' || {place_text} || ' WHERE ' || _rule || _filter || ')';
    IF _state.sealed > _rows THEN
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
        ), k, _below * _possible, 1e-4 * greatest(1, _possible / 100),
            CASE WHEN _rule <> 'true' OR _filter <> '' OR _required IS NOT NULL OR _least > 0 THEN _visible END,
            filters, _required, _words, _least);
        _plan := $q$
            SELECT {w_keys}, $q$ || {row_score} || $q$ AS score FROM {rows} AS f
            CROSS JOIN LATERAL (SELECT w.* FROM {rows} AS w WHERE {same_w_f} AND w.generation = $4 OFFSET 0) AS w
            WHERE f.generation = $4 AND f.number = ANY ($5) AND $q$ || _fits || $q$
            UNION ALL
            SELECT {w_keys}, $q$ || {row_score} || $q$ FROM (
                SELECT w.* FROM {rows} AS w WHERE w.generation = $4 AND w.number >= $6 AND $q$ || _fits || $q$ OFFSET 0
            ) AS w
            CROSS JOIN LATERAL (SELECT FROM $q$ || _visible || $q$ AS t WHERE {same_t_w} OFFSET 0) AS t $q$;
    ELSE
        PERFORM set_config('search.plan', 'rows', true);
        _plan := $q$
            SELECT {w_keys}, $q$ || {row_score} || $q$ AS score FROM $q$ || _visible || $q$ AS t
            CROSS JOIN LATERAL (SELECT w.* FROM {rows} AS w WHERE {same_t_w} AND w.generation = $4 OFFSET 0) AS w
            WHERE $q$ || _fits;
    END IF;
    RETURN QUERY EXECUTE $q$
        SELECT jsonb_build_array({s_keys}), max(s.score), $q$ || {share} || $q$ FROM (
            $q$ || _plan || $q$
            UNION ALL
            SELECT {f_keys}, c.score FROM (SELECT w.* FROM {fresh} AS w WHERE w.vector @@ $9 AND $q$ || _fits || $q$ OFFSET 0) AS f
            CROSS JOIN LATERAL (SELECT FROM $q$ || _visible || $q$ AS t WHERE {same_t_f} OFFSET 0) AS t
            CROSS JOIN LATERAL {fresh_score} AS c
            OFFSET 0
        ) AS s
        WHERE s.score > 0
        GROUP BY {s_keys}
        HAVING $14 IS NULL OR $q$ || {share} || $q$ < $14 OR $q$ || {share} || $q$ = $14 AND ($15 ? 'with_equal' OR {after_key})
        ORDER BY max(s.score) DESC, {s_keys} LIMIT $16
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
