-- models --
CREATE TABLE {models} (
    name text PRIMARY KEY,               -- of the model and its build
    place text NOT NULL,                 -- the table of its passages
    dimensions int4 NOT NULL,
    is_active bool NOT NULL,             -- queries read this one
    embedder jsonb NOT NULL,             -- as the manifest has it, without keys
    query_middle float8 NOT NULL,        -- the cosine of a query and a text that have nothing in common
    query_top float8 NOT NULL,           -- the cosine of a query and the same text
    passage_middle float8 NOT NULL,      -- the cosine of two texts that have nothing in common
    weight float8 NOT NULL               -- of the vectors in a hybrid search, from 0 to 1
);
CREATE UNIQUE INDEX ON {models} (is_active) WHERE is_active

-- sources --
CREATE TABLE {sources} (
    model text NOT NULL REFERENCES {models} ON DELETE CASCADE,
    source text NOT NULL,                -- an embedded table
    made_from text NOT NULL,             -- what its passages are made from, as a hash
    PRIMARY KEY (model, source)
)

-- changed --
CREATE TABLE {changed} (
    source text NOT NULL,
    key jsonb NOT NULL,                  -- of a row that has no passages, or stale ones
    version int8 GENERATED ALWAYS AS IDENTITY,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, key)
)

-- spent --
CREATE TABLE {spent} (
    model text NOT NULL,
    day date NOT NULL,                   -- in UTC
    tokens int8 NOT NULL,                -- of the texts that were sent, or tried to be
    PRIMARY KEY (model, day)
)

-- passages --
CREATE TABLE {passages} (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    key jsonb NOT NULL,
    number int4 NOT NULL,
    first int4 NOT NULL,                 -- where it begins in the text of the row, in characters
    last int4 NOT NULL,                  -- where it ends
    heading text,
    hash bytea NOT NULL,                 -- of what was embedded
    scope text COLLATE "C",              -- whose rows it is found among; NULL: nobody finds it
    is_stale bool NOT NULL DEFAULT false,
    v {v}.halfvec({dimensions}) NOT NULL,
    UNIQUE (source, key, number)
);
CREATE INDEX ON {passages} (hash);
CREATE INDEX {visible_index} ON {passages} (scope) INCLUDE ({included}) WHERE scope IS NOT NULL

-- withdraw --
CREATE FUNCTION {withdraw}(of_source text, keys jsonb[], is_gone bool) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    _place text;
BEGIN
    FOR _place IN SELECT m.place FROM {models} AS m LOOP
        IF is_gone THEN
            EXECUTE format('DELETE FROM %s WHERE source = $1 AND ($2 IS NULL OR key = ANY ($2))', _place) USING of_source, keys;
        ELSE
            EXECUTE format('UPDATE %s SET scope = NULL, is_stale = true WHERE source = $1 AND key = ANY ($2)', _place) USING of_source, keys;
        END IF;
    END LOOP;
END
$body$

-- note --
CREATE FUNCTION {note}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $body$
DECLARE
    _keys jsonb[]; _scopes text[]; _place text;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM {changed} WHERE source = {name};
        PERFORM {withdraw}({name}, NULL, true);
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO {changed} (source, key) SELECT {name}, {key_of_t} FROM added AS t ORDER BY 2
        ON CONFLICT (source, key) DO UPDATE SET version = DEFAULT, noted_at = DEFAULT;
        RETURN NULL;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg({key_of_t} ORDER BY {key_of_t}) INTO _keys FROM gone AS t;
        -- No keys would be all of them.
        IF _keys IS NULL THEN
            RETURN NULL;
        END IF;
        DELETE FROM {changed} WHERE source = {name} AND key = ANY (_keys);
        PERFORM {withdraw}({name}, _keys, true);
        RETURN NULL;
    END IF;
    SELECT array_agg(k ORDER BY k) INTO _keys FROM (
        SELECT {key_of_t} AS k FROM gone AS t WHERE NOT EXISTS (SELECT FROM added AS a WHERE {same_a_t} AND {unchanged_a_t})
        UNION
        SELECT {key_of_t} FROM added AS t WHERE NOT EXISTS (SELECT FROM gone AS a WHERE {same_a_t} AND {unchanged_a_t})
    ) AS k;
    IF _keys IS NOT NULL THEN
        -- First the note: it waits for whoever writes passages of these rows, which are then seen.
        INSERT INTO {changed} (source, key) SELECT {name}, k FROM unnest(_keys) AS k
        ON CONFLICT (source, key) DO UPDATE SET version = DEFAULT, noted_at = DEFAULT;
        PERFORM {withdraw}({name}, _keys, false);
    END IF;
    SELECT array_agg({key_of_t} ORDER BY {key_of_t}), array_agg({scope_of_t} ORDER BY {key_of_t}) INTO _keys, _scopes FROM added AS t
    WHERE NOT EXISTS (SELECT FROM gone AS a WHERE {same_a_t} AND {scope_of_a} IS NOT DISTINCT FROM {scope_of_t});
    IF _keys IS NOT NULL THEN
        -- The same for a row that only moved: a writer may have its old place.
        PERFORM FROM {changed} WHERE source = {name} AND key = ANY (_keys) FOR UPDATE;
        FOR _place IN SELECT m.place FROM {models} AS m LOOP
            EXECUTE format('UPDATE %s AS p SET scope = u.scope FROM unnest($2, $3) AS u (key, scope)'
                ' WHERE p.source = $1 AND p.key = u.key AND NOT p.is_stale', _place) USING {name}, _keys, _scopes;
        END LOOP;
    END IF;
    RETURN NULL;
END
$body$

-- note_child --
CREATE FUNCTION {note_child}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $body$
DECLARE
    _keys jsonb[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        SELECT array_agg({key_of_t}) INTO _keys FROM {place} AS t;
    ELSIF TG_OP = 'INSERT' THEN
        SELECT array_agg(DISTINCT jsonb_build_array(c.{link})) INTO _keys FROM added AS c;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(DISTINCT jsonb_build_array(c.{link})) INTO _keys FROM gone AS c;
    ELSE
        SELECT array_agg(DISTINCT k) INTO _keys FROM (
            SELECT jsonb_build_array(c.{link}) AS k FROM added AS c UNION SELECT jsonb_build_array(c.{link}) FROM gone AS c
        ) AS k;
    END IF;
    IF _keys IS NOT NULL THEN
        INSERT INTO {changed} (source, key) SELECT {name}, k FROM unnest(_keys) AS k ORDER BY 2
        ON CONFLICT (source, key) DO UPDATE SET version = DEFAULT, noted_at = DEFAULT;
        PERFORM {withdraw}({name}, _keys, false);
    END IF;
    RETURN NULL;
END
$body$

-- near --
CREATE FUNCTION {near}(of_source text, q text, k int4, filters jsonb, keys jsonb DEFAULT NULL)
RETURNS TABLE (key jsonb, cosine float8, passages jsonb) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET max_parallel_workers_per_gather = 0 AS $body$
#variable_conflict use_column
DECLARE
    _known jsonb := {known}::jsonb -> of_source;
    _exact int8 := coalesce(nullif(current_setting('search.exact_rows', true), '')::int8, 120000);
    _take int8 := greatest(2 * k, 100);
    _model {models}; _all bool; _rule text; _filter text; _visible text; _within text;
    _scopes text[]; _low text := to_json(of_source)::text; _high text := to_json(of_source)::text || U&'\+10FFFF';
    _plan json; _near text; _distance text; _is_exact bool := true; _ids int8[]; _distances float8[]; _found jsonb;
BEGIN
    SELECT * INTO _model FROM {models} AS m WHERE m.is_active;
    IF NOT FOUND OR k < 1 THEN
        RETURN;
    END IF;
    _all := {sees_all};
    _rule := CASE WHEN _all THEN _known ->> 'live' ELSE _known ->> 'rule' END;
    _filter := {condition}(filters, (_known ->> 'place')::regclass, ARRAY(SELECT jsonb_object_keys(_known -> 'columns')));
    _visible := '(SELECT * FROM ' || (_known ->> 'place') || ' WHERE ' || _rule || _filter || ')';
    IF keys IS NOT NULL THEN
        _within := 'p.source = $2 AND p.scope IS NOT NULL AND p.key IN (SELECT jsonb_array_elements($6))';
    ELSIF _filter = '' AND (_all OR _known ->> 'scopes' = 'true') THEN
        _within := 'p.scope >= $3 AND p.scope < $4';
    ELSIF _filter = '' AND _known ->> 'scopes' <> '' THEN
        EXECUTE 'SELECT ' || (_known ->> 'scopes') INTO _scopes;
        _within := 'p.scope = ANY ($5)';
    ELSE
        _within := 'p.source = $2 AND p.scope IS NOT NULL AND p.key IN (SELECT ' || (_known ->> 'key_of_t') || ' FROM ' || _visible || ' AS t)';
    END IF;
    IF keys IS NULL AND EXISTS (
        SELECT FROM pg_index WHERE indexrelid = to_regclass(regexp_replace(_model.place, '"$', '_near"')) AND indisvalid
    ) THEN
        EXECUTE 'EXPLAIN (FORMAT JSON) SELECT FROM ' || _model.place || ' AS p WHERE ' || _within
        INTO _plan USING filters, of_source, _low, _high, _scopes, keys;
        _is_exact := (_plan -> 0 -> 'Plan' ->> 'Plan Rows')::float8 <= _exact;
    END IF;
    _distance := format('(p.v OPERATOR({v}.<#>) $7::{v}.halfvec(%s))', _model.dimensions);
    LOOP
        PERFORM set_config('search.plan', CASE WHEN _is_exact THEN 'exact' ELSE 'graph' END, true);
        IF NOT _is_exact THEN
            PERFORM set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.max_scan_tuples', '100000', true),
                set_config('hnsw.ef_search', least(_take, 1000)::text, true);
        END IF;
        -- With + 0 no index gives the order: the rows are read, and compared one by one.
        _near := 'SELECT p.id, ' || _distance || CASE WHEN _is_exact THEN ' + 0.0' ELSE '' END || ' AS distance FROM '
            || _model.place || ' AS p WHERE ' || _within || ' ORDER BY distance' || CASE WHEN _is_exact THEN ', id' ELSE '' END
            || CASE WHEN keys IS NULL THEN ' LIMIT ' || _take ELSE '' END;
        EXECUTE 'SELECT coalesce(array_agg(n.id), ''{}''), array_agg(n.distance) FROM (' || _near || ') AS n'
        INTO _ids, _distances USING filters, of_source, _low, _high, _scopes, keys, q;
        IF NOT _is_exact AND cardinality(_ids) < _take THEN
            -- Dead entries stand in the way, or few rows are visible.
            _is_exact := true;
            CONTINUE;
        END IF;
        EXECUTE $q$
            SELECT coalesce(jsonb_agg(jsonb_build_array(c.key, c.cosine, c.passages)), '[]') FROM (
                SELECT b.* FROM (
                    SELECT p.key, -min(n.distance) AS cosine, jsonb_agg(
                        jsonb_build_array(p.first, p.last, p.heading, encode(p.hash, 'hex'), round((-n.distance)::numeric, 4)) ORDER BY n.distance
                    ) AS passages
                    FROM unnest($2, $3) AS n (id, distance) JOIN $q$ || _model.place || $q$ AS p ON p.id = n.id GROUP BY p.key
                ) AS b
                -- Row by row: a planner that takes a user to have few rows would read all of them.
                CROSS JOIN LATERAL (SELECT FROM $q$ || _visible || ' AS t WHERE ' || (_known ->> 'is_key') || $q$ OFFSET 0) AS t
                ORDER BY b.cosine DESC, b.key LIMIT $4
            ) AS c
        $q$ INTO _found USING filters, _ids, _distances, CASE WHEN keys IS NULL THEN k END;
        -- Rows may have many passages, or be hidden by more than their scope: then more are taken.
        EXIT WHEN keys IS NOT NULL OR jsonb_array_length(_found) >= k OR cardinality(_ids) < _take;
        _take := _take * 4;
    END LOOP;
    RETURN QUERY SELECT e -> 0, (e ->> 1)::float8, e -> 2 FROM jsonb_array_elements(_found) AS e;
END
$body$

-- by_meaning --
CREATE FUNCTION {by_meaning}(q text, vector text, tables text[] DEFAULT NULL, "limit" int4 DEFAULT 10, filters jsonb DEFAULT '{}', cursor text DEFAULT NULL, options jsonb DEFAULT '{}')
RETURNS TABLE (place int4, "table" text, key jsonb, score float8, next text, similarity float8, cosine float8, keyword float8, passages jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $body$
#variable_conflict use_variable
DECLARE
    _known jsonb := {known};
    _searched jsonb := {searched};
    _method text := coalesce(options ->> 'method', 'hybrid');
    _tables text[] := coalesce(tables, ARRAY(SELECT jsonb_object_keys(CASE _method WHEN 'semantic' THEN _known ELSE _known || _searched END)));
    _limit int4 := least(greatest(coalesce("limit", 10), 0), 10001);
    _filters jsonb := coalesce(filters, '{}');
    _options jsonb := coalesce(options, '{}') - 'method' - 'threshold' - 'model';
    _model {models}; _name text; _table jsonb; _query jsonb; _keys jsonb; _legs jsonb := '[]'; _own jsonb; _other jsonb;
    _cursor jsonb; _is_used bool := false; _depth int4 := 100; _place int4;
BEGIN
    SELECT e INTO _name FROM unnest(_tables) AS e WHERE NOT _known ? e AND NOT (_method = 'hybrid' AND _searched ? e);
    IF FOUND THEN
        RAISE invalid_parameter_value USING MESSAGE = format('the table %L is not searched by meaning', _name);
    END IF;
    IF _method NOT IN ('semantic', 'hybrid') THEN
        RAISE invalid_parameter_value USING MESSAGE = 'method is semantic or hybrid';
    END IF;
    SELECT e INTO _name FROM jsonb_object_keys(_options) AS e WHERE e NOT IN ('match', 'as_you_type');
    IF FOUND THEN
        RAISE invalid_parameter_value USING MESSAGE = format('there is no option %L', _name);
    END IF;
    SELECT * INTO _model FROM {models} AS m WHERE m.is_active;
    IF _model.name IS DISTINCT FROM coalesce(options ->> 'model', _model.name) THEN
        RAISE invalid_parameter_value USING MESSAGE = format('the vector is of another model than %s', _model.name);
    END IF;
    IF vector IS NOT NULL AND {v}.vector_dims(vector::{v}.vector) <> _model.dimensions THEN
        RAISE invalid_parameter_value USING MESSAGE = format('the vector has not %s dimensions', _model.dimensions);
    END IF;
    IF cursor IS NOT NULL THEN
        BEGIN
            _cursor := cursor::jsonb;
        EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN
            _cursor := 'null';
        END;
        IF NOT coalesce(_cursor ->> 0 = ANY (_tables), false) OR jsonb_typeof(_cursor -> 1) IS DISTINCT FROM 'array' THEN
            RAISE invalid_parameter_value USING MESSAGE = 'the cursor is none of this search';
        END IF;
    END IF;
    PERFORM set_config('search.corrected', '', true);
    _tables := ARRAY(SELECT DISTINCT e FROM unnest(_tables) AS e ORDER BY 1);
    FOREACH _name IN ARRAY _tables LOOP
        CONTINUE WHEN cardinality(_tables) > 1 AND EXISTS (
            SELECT FROM jsonb_object_keys(_filters) AS e WHERE NOT coalesce(_known -> _name -> 'columns', _searched -> _name -> 'columns') ? e
        );
        _is_used := true; _own := '[]'; _table := _searched -> _name; _query := NULL;
        IF _method = 'hybrid' AND _table IS NOT NULL THEN
            _query := {schema}.search_query({words_of_q}, ARRAY(SELECT jsonb_array_elements_text(_table -> 'languages')),
                ARRAY(SELECT jsonb_array_elements_text(_table -> 'fields')));
            EXECUTE format('SELECT coalesce(jsonb_agg(jsonb_build_object(''key'', key, ''share'', share)), ''[]'') FROM %s($1, $2, $3, $4, NULL)', _table ->> 'rank')
            INTO _own USING _query, _depth::int8, _filters, _options;
        END IF;
        IF _known ? _name AND vector IS NOT NULL THEN
            SELECT coalesce(jsonb_agg(e -> 'key'), '[]') INTO _keys FROM jsonb_array_elements(_own) AS e;
            -- A row found by a word is also measured by meaning.
            SELECT _own || coalesce(jsonb_agg(jsonb_build_object('key', n.key, 'cosine', n.cosine, 'passages', n.passages)), '[]') INTO _own
            FROM {near}(_name, vector, _depth, '{}', _keys) AS n WHERE _keys <> '[]';
            IF _query IS NULL OR NOT {is_strict} THEN
                SELECT coalesce(jsonb_agg(jsonb_build_object('key', n.key, 'cosine', n.cosine, 'passages', n.passages)), '[]') INTO _other
                FROM {near}(_name, vector, _depth, _filters) AS n WHERE NOT _keys @> jsonb_build_array(n.key);
                _own := _own || _other;
                IF _query IS NOT NULL AND _other <> '[]' THEN
                    -- A row found by meaning is also measured by its words.
                    EXECUTE format('SELECT coalesce(jsonb_agg(jsonb_build_object(''key'', key, ''share'', share)), ''[]'') FROM %s($1, $2, $3, $4, NULL)', _table ->> 'rank')
                    INTO _keys USING _query, _depth::int8, '{}'::jsonb, _options || jsonb_build_object('keys', (
                        SELECT jsonb_agg(e -> 'key') FROM jsonb_array_elements(_other) AS e
                    ));
                    _own := _own || _keys;
                END IF;
            END IF;
        END IF;
        _legs := _legs || (
            SELECT coalesce(jsonb_agg(jsonb_build_object('name', _name, 'key', g.key, 'share', g.share, 'cosine', g.cosine, 'passages', g.passages,
                'by_word', _query IS NOT NULL, 'by_vector', _known ? _name AND vector IS NOT NULL)), '[]')
            FROM (
                SELECT e -> 'key' AS key, max((e ->> 'share')::float8) AS share, max((e ->> 'cosine')::float8) AS cosine,
                    (jsonb_agg(e -> 'passages') FILTER (WHERE e ? 'passages')) -> 0 AS passages
                FROM jsonb_array_elements(_own) AS e GROUP BY 1
            ) AS g
        );
    END LOOP;
    IF NOT _is_used THEN
        RAISE invalid_parameter_value USING MESSAGE = format('no table has all of the columns %s',
            (SELECT string_agg(quote_literal(e), ', ') FROM jsonb_object_keys(_filters) AS e));
    END IF;
    RETURN QUERY
        WITH measured AS MATERIALIZED (
            SELECT l.*, least(greatest((l.cosine - _model.query_middle) / nullif(_model.query_top - _model.query_middle, 0), 0), 1) AS alike
            FROM jsonb_to_recordset(_legs) AS l (name text, key jsonb, share float8, cosine float8, passages jsonb, by_word bool, by_vector bool)
        ), bounds AS (
            SELECT max(m.share) AS best, max(m.cosine) AS high,
                (SELECT min(n.cosine) FROM (SELECT n.cosine FROM measured AS n ORDER BY n.cosine DESC NULLS LAST LIMIT _depth) AS n) AS low
            FROM measured AS m
        ), fused AS MATERIALIZED (
            SELECT m.*, CASE _method WHEN 'semantic' THEN m.alike ELSE {fused} END AS value FROM measured AS m, bounds AS b
        ), ordered AS MATERIALIZED (
            SELECT f.*, row_number() OVER (ORDER BY f.value DESC, f.cosine DESC NULLS LAST, f.name, f.key) AS at, max(f.value) OVER () AS top FROM fused AS f
            WHERE _method = 'hybrid' OR f.alike >= coalesce((options ->> 'threshold')::float8, 0)
        ), begun AS (
            SELECT coalesce(max(o.at), 0) AS at FROM ordered AS o WHERE o.name = _cursor ->> 0 AND o.key IN (SELECT jsonb_array_elements(_cursor -> 1))
        )
        SELECT (o.at - b.at)::int4, o.name, o.key,
            CASE _method WHEN 'semantic' THEN round(o.value::numeric, 4) ELSE round((o.value / nullif(o.top, 0))::numeric, 4) END::float8,
            jsonb_build_array(o.name, jsonb_agg(o.key) OVER (PARTITION BY o.name ORDER BY o.at DESC ROWS BETWEEN CURRENT ROW AND 4 FOLLOWING))::text,
            round(o.alike::numeric, 4)::float8, round(o.cosine::numeric, 4)::float8, o.share, o.passages
        FROM ordered AS o, begun AS b WHERE o.at > b.at AND o.at <= b.at + _limit
        ORDER BY o.at;
END
$body$

-- similar --
CREATE FUNCTION {similar}(of_table text, id jsonb, tables text[] DEFAULT NULL, "limit" int4 DEFAULT 10, filters jsonb DEFAULT '{}', threshold float8 DEFAULT 0)
RETURNS TABLE (place int4, "table" text, key jsonb, score float8, next text, similarity float8, cosine float8, keyword float8, passages jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $body$
#variable_conflict use_variable
DECLARE
    _known jsonb := {known};
    _source text := of_table;
    _tables text[] := coalesce(tables, ARRAY[_source]);
    _limit int4 := least(greatest(coalesce("limit", 10), 0), 100);
    _model {models}; _name text; _vector text; _found jsonb := '[]';
BEGIN
    SELECT e INTO _name FROM unnest(_tables || _source) AS e WHERE NOT _known ? e;
    IF FOUND THEN
        RAISE invalid_parameter_value USING MESSAGE = format('the table %L is not searched by meaning', _name);
    END IF;
    SELECT * INTO _model FROM {models} AS m WHERE m.is_active;
    IF NOT FOUND OR jsonb_typeof(id) IS DISTINCT FROM 'array' THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT {v}.l2_normalize({v}.avg(v))::text FROM %s WHERE source = $1 AND key = $2 AND scope IS NOT NULL', _model.place)
    INTO _vector USING _source, id;
    -- What its user does not see is as what is not there.
    IF _vector IS NULL OR NOT EXISTS (SELECT FROM {near}(_source, _vector, 1, '{}', jsonb_build_array(id))) THEN
        RETURN;
    END IF;
    FOREACH _name IN ARRAY _tables LOOP
        _found := _found || (
            SELECT coalesce(jsonb_agg(jsonb_build_object('name', _name, 'key', n.key, 'cosine', n.cosine, 'passages', n.passages)), '[]')
            FROM {near}(_name, _vector, _limit + 1, coalesce(filters, '{}')) AS n WHERE NOT (_name = _source AND n.key = id)
        );
    END LOOP;
    RETURN QUERY
        SELECT (row_number() OVER (ORDER BY f.cosine DESC, f.name, f.key))::int4, f.name, f.key, round(a.alike::numeric, 4)::float8, NULL::text,
            round(a.alike::numeric, 4)::float8, round(f.cosine::numeric, 4)::float8, NULL::float8, f.passages
        FROM jsonb_to_recordset(_found) AS f (name text, key jsonb, cosine float8, passages jsonb),
            LATERAL (SELECT least(greatest((f.cosine - _model.passage_middle) / nullif(1 - _model.passage_middle, 0), 0), 1) AS alike) AS a
        WHERE a.alike >= coalesce(threshold, 0) ORDER BY 1 LIMIT _limit;
END
$body$

-- model --
CREATE FUNCTION {model}() RETURNS TABLE (name text, embedder jsonb, passage_middle float8) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $body$
    SELECT m.name, m.embedder, m.passage_middle FROM {models} AS m WHERE m.is_active
$body$

-- spend --
CREATE FUNCTION {spend}(of_model text, tokens int8, most int8) RETURNS bool LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $body$
    WITH kept AS (
        INSERT INTO {spent} AS s (model, day, tokens)
        SELECT m.name, (now() AT TIME ZONE 'UTC')::date, greatest($2, 0) FROM {models} AS m WHERE m.name = $1 AND $2 <= $3
        ON CONFLICT (model, day) DO UPDATE SET tokens = s.tokens + excluded.tokens WHERE s.tokens + excluded.tokens <= $3
        RETURNING true
    )
    SELECT EXISTS (SELECT FROM kept)
$body$
