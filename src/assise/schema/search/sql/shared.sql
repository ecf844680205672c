-- state --
CREATE TABLE {state} (
    name text NOT NULL,                  -- the searched table
    generation int4 NOT NULL,
    is_active bool NOT NULL,             -- queries read this one
    n float8 NOT NULL,                   -- rows when the generation was counted
    average float8,                      -- their average length; NULL without rows
    sealed int8 NOT NULL DEFAULT 0,      -- rows with lower numbers are in blocks
    weighed int8 NOT NULL DEFAULT 0,     -- rows that have got weights, and the sum of their lengths
    length float8 NOT NULL DEFAULT 0,
    learned int8 NOT NULL DEFAULT 0,     -- the words of rows with lower numbers are in the vocabulary
    is_filled bool NOT NULL DEFAULT false, -- the keys of rows older than the index are noted
    PRIMARY KEY (name, generation)
)

-- words --
CREATE TABLE {words} (
    id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lexeme text COLLATE "C" NOT NULL UNIQUE
)

-- parts --
CREATE FUNCTION {parts}(texts text[], labels "char"[], languages text[], own text[])
RETURNS TABLE (part int2, vector tsvector) LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    _size int4 := 64000;
    _overlap int4 := 1000;
    _head text := CASE WHEN labels[1] = 'A' AND length(texts[1]) <= 2000 THEN texts[1] END;
    _first tsvector := setweight({schema}.search_vector(coalesce(_head, ''), languages, own), 'A');
    _vectors tsvector[];
    _vector tsvector; _long bool;
    _body bytea; _label "char"; _field int8; _from int4; _to int4; _end int4;
BEGIN
    LOOP
        _vectors := '{}'; _long := false;
        -- In bytes: to find its n-th character a text is read from its beginning.
        FOR _body, _label, _field IN
            SELECT convert_to(body, 'UTF8'), label, field FROM unnest(texts, labels) WITH ORDINALITY AS t (body, label, field)
            WHERE body IS NOT NULL ORDER BY field
        LOOP
            CONTINUE WHEN _field = 1 AND _head IS NOT NULL OR _long;
            _from := 0; _end := octet_length(_body);
            LOOP
                _to := least(_from + _size, _end);
                WHILE _to < _end AND get_byte(_body, _to) BETWEEN 128 AND 191 LOOP
                    _to := _to + 1;
                END LOOP;
                _vector := _first || setweight({schema}.search_vector(
                    convert_from(substring(_body FROM _from + 1 FOR _to - _from), 'UTF8'), languages, own), _label);
                _vectors := _vectors || _vector;
                _long := _size >= 4000 AND (length(_vector) > 16000
                    OR (SELECT coalesce(max(positions[cardinality(positions)]) >= 16383, false) FROM unnest(_vector)));
                EXIT WHEN _to = _end OR _long;
                _from := _to - _overlap;
                WHILE get_byte(_body, _from) BETWEEN 128 AND 191 LOOP
                    _from := _from + 1;
                END LOOP;
            END LOOP;
        END LOOP;
        EXIT WHEN NOT _long OR _size < 4000;
        _size := _size / 2;
    END LOOP;
    RETURN QUERY SELECT (n - 1)::int2, v FROM unnest(CASE WHEN _vectors = '{}' THEN ARRAY[_first] ELSE _vectors END) WITH ORDINALITY AS u (v, n)
    WHERE n <= 32000;
END
$body$

-- condition --
CREATE FUNCTION {condition}(filters jsonb, place regclass, columns text[])
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    _signs jsonb := '{"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}';
    _found text := '';
    _name text; _value jsonb; _kind text; _element text; _sign text; _operand jsonb; _at text;
BEGIN
    IF jsonb_typeof(filters) <> 'object' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'filters are no object';
    END IF;
    FOR _name, _value IN SELECT * FROM jsonb_each(filters) LOOP
        SELECT format_type(atttypid, atttypmod), CASE WHEN typcategory = 'A' THEN format_type(typelem, NULL) END
        INTO _kind, _element
        FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
        WHERE attrelid = place AND attname = _name AND attnum > 0 AND NOT attisdropped AND _name = ANY (columns);
        IF _kind IS NULL THEN
            RAISE invalid_parameter_value USING MESSAGE = format('there is no column %L to filter by', _name);
        END IF;
        IF jsonb_typeof(_value) <> 'object' THEN
            _value := jsonb_build_object(CASE jsonb_typeof(_value) WHEN 'array' THEN 'in' ELSE 'eq' END, _value);
        END IF;
        FOR _sign, _operand IN SELECT * FROM jsonb_each(_value) LOOP
            _at := CASE WHEN _value = filters -> _name THEN format('($1 -> %L -> %L)', _name, _sign) ELSE format('($1 -> %L)', _name) END;
            _found := _found || ' AND ' || CASE
                WHEN _sign IN ('eq', 'ne') AND _operand = 'null' THEN
                    format('%I IS %s NULL', _name, CASE _sign WHEN 'ne' THEN 'NOT' ELSE '' END)
                WHEN _sign = 'in' AND jsonb_typeof(_operand) = 'array' THEN
                    format('%I = ANY (ARRAY(SELECT jsonb_array_elements_text(%s))::%s[])', _name, _at, _kind)
                WHEN _sign = 'has' AND _element IS NOT NULL THEN
                    format('(%s #>> ''{}'')::%s = ANY (%I)', _at, _element, _name)
                WHEN _signs ? _sign AND jsonb_typeof(_operand) NOT IN ('array', 'object') THEN
                    format('%I %s (%s #>> ''{}'')::%s', _name, _signs ->> _sign, _at, _kind)
            END;
            IF _found IS NULL THEN
                RAISE invalid_parameter_value USING MESSAGE = format('the filter %s of %L cannot be used', _sign, _name);
            END IF;
        END LOOP;
    END LOOP;
    RETURN _found;
END
$body$

-- quote --
CREATE FUNCTION {quote}(lexeme text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $body$
    SELECT '''' || replace(replace(lexeme, E'\\', E'\\\\'), '''', '''''') || ''''
$body$

-- share_of --
CREATE FUNCTION {share_of}(vector tsvector, words jsonb) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $body$
    SELECT coalesce(sum(weight) FILTER (WHERE vector @@ any_of) / nullif(sum(weight), 0), 0)
    FROM jsonb_to_recordset(words) AS w (weight float8, any_of tsquery)
$body$

-- many --
CREATE FUNCTION {many}(q text, tables text[] DEFAULT NULL, "limit" int4 DEFAULT 10, filters jsonb DEFAULT '{}', cursor text DEFAULT NULL, options jsonb DEFAULT '{}')
RETURNS TABLE (place int4, "table" text, key jsonb, score float8, next text) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $body$
#variable_conflict use_variable
DECLARE
    _known jsonb := {known};
    _tables text[] := coalesce(tables, ARRAY(SELECT jsonb_object_keys(_known)));
    _limit int4 := least(greatest(coalesce("limit", 10), 0), 10001);
    _filters jsonb := coalesce(filters, '{}');
    _options jsonb := coalesce(options, '{}');
    _name text; _table jsonb; _query jsonb; _rank text; _after jsonb; _cursor jsonb; _share float8; _top float8;
    _best float8 := 0; _is_used bool := false; _at int4 := 0; _cursor_at int4;
    _names text[] := '{}'; _places int4[] := '{}'; _keys jsonb := '[]'; _found jsonb; _found_scores float8[]; _found_shares float8[]; _scores float8[] := '{}'; _shares float8[] := '{}';
BEGIN
    SELECT e INTO _name FROM unnest(_tables) AS e WHERE NOT _known ? e;
    IF FOUND THEN
        RAISE invalid_parameter_value USING MESSAGE = format('the table %L is not searched', _name),
            HINT = 'Write search: at the table; `assise load` makes its index.';
    END IF;
    SELECT e INTO _name FROM jsonb_object_keys(_options) AS e WHERE e NOT IN ('match', 'as_you_type', 'raw');
    IF FOUND THEN
        RAISE invalid_parameter_value USING MESSAGE = format('there is no option %L', _name);
    END IF;
    IF coalesce(_options ->> 'match', 'any') NOT IN ('any', 'most', 'all') THEN
        RAISE invalid_parameter_value USING MESSAGE = 'match is any, most or all';
    END IF;
    IF _options ? 'raw' AND NOT {sees_all} THEN
        RAISE insufficient_privilege USING MESSAGE = 'raw scores are for roles that see all rows';
    END IF;
    PERFORM set_config('search.corrected', '', true), set_config('search.synonyms', '', true);
    _tables := ARRAY(SELECT DISTINCT e FROM unnest(_tables) AS e ORDER BY 1);
    IF cursor IS NOT NULL THEN
        BEGIN
            _cursor := cursor::jsonb;
        EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN
            _cursor := 'null';
        END;
        _cursor_at := array_position(_tables, _cursor ->> 0);
        IF _cursor_at IS NULL OR jsonb_typeof(_cursor -> 1) IS DISTINCT FROM 'array' THEN
            RAISE invalid_parameter_value USING MESSAGE = 'the cursor is none of this search';
        END IF;
        _table := _known -> (_cursor ->> 0);
        EXECUTE format('SELECT share, jsonb_build_object(''share'', share, ''key'', key) FROM %s($1, 1, $2, $3, NULL)', _table ->> 'rank')
        INTO _share, _after
        USING {schema}.search_query({words_of_q}, ARRAY(SELECT jsonb_array_elements_text(_table -> 'languages')),
            ARRAY(SELECT jsonb_array_elements_text(_table -> 'fields'))), '{}'::jsonb, jsonb_build_object('measure', _cursor -> 1);
        IF _share IS NULL THEN
            RAISE invalid_parameter_value USING MESSAGE = 'the rows that the cursor names are gone: begin at the first page';
        END IF;
    END IF;
    FOREACH _name IN ARRAY _tables LOOP
        _at := _at + 1;
        _table := _known -> _name;
        CONTINUE WHEN cardinality(_tables) > 1 AND EXISTS (
            SELECT FROM jsonb_object_keys(_filters) AS e WHERE NOT _table -> 'columns' ? e
        );
        _is_used := true;
        _query := {schema}.search_query({words_of_q}, ARRAY(SELECT jsonb_array_elements_text(_table -> 'languages')),
            ARRAY(SELECT jsonb_array_elements_text(_table -> 'fields')));
        IF _cursor IS NOT NULL THEN
            EXECUTE format('SELECT share FROM %s($1, 1, $2, $3, NULL)', _table ->> 'rank') INTO _top USING _query, _filters, _options;
            _best := greatest(_best, coalesce(_top, 0));
        END IF;
        EXECUTE format('SELECT coalesce(array_agg(score ORDER BY n), ''{}''), coalesce(array_agg(share ORDER BY n), ''{}''),'
            ' coalesce(jsonb_agg(key ORDER BY n), ''[]'') FROM (SELECT *, row_number() OVER () AS n FROM %s($1, $2, $3, $4, $5)) AS r',
            _table ->> 'rank')
        INTO _found_scores, _found_shares, _found
        USING _query, _limit::int8, _filters, _options, CASE
            WHEN _cursor IS NULL THEN NULL
            WHEN _at = _cursor_at THEN _after
            WHEN _at > _cursor_at THEN jsonb_build_object('share', _share, 'with_equal', true)
            ELSE jsonb_build_object('share', _share)
        END;
        _names := _names || array_fill(_name, ARRAY[cardinality(_found_scores)]);
        _places := _places || array_fill(_at, ARRAY[cardinality(_found_scores)]);
        _scores := _scores || _found_scores; _shares := _shares || _found_shares; _keys := _keys || _found;
    END LOOP;
    IF NOT _is_used THEN
        RAISE invalid_parameter_value USING MESSAGE = format('no table has all of the columns %s',
            (SELECT string_agg(quote_literal(e), ', ') FROM jsonb_object_keys(_filters) AS e));
    END IF;
    IF _cursor IS NULL THEN
        _best := (SELECT max(x) FROM unnest(_shares) AS u (x));
    END IF;
    RETURN QUERY
        SELECT h.place::int4, h.name, h.key,
            CASE WHEN _options ? 'raw' THEN h.score ELSE greatest(round((h.share / _best)::numeric, 2), 0.01)::float8 END,
            jsonb_build_array(h.name, jsonb_agg(h.key) OVER (
                PARTITION BY h.name ORDER BY h.place DESC ROWS BETWEEN CURRENT ROW AND 4 FOLLOWING
            ))::text
        FROM (
            SELECT row_number() OVER (ORDER BY u.share DESC, u.at, u.n) AS place, u.*, _keys -> (u.n - 1)::int4 AS key
            FROM unnest(_names, _places, _scores, _shares) WITH ORDINALITY AS u (name, at, score, share, n)
        ) AS h
        WHERE h.place <= _limit ORDER BY h.place;
END
$body$

-- suggest --
CREATE FUNCTION {suggest}(q text, tables text[] DEFAULT NULL, "limit" int4 DEFAULT 10)
RETURNS TABLE (kind text, text text, "table" text, key jsonb) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $body$
#variable_conflict use_column
DECLARE
    _known jsonb := {known};
    _tables text[] := ARRAY(SELECT DISTINCT e FROM unnest(coalesce(tables, ARRAY(SELECT jsonb_object_keys(_known)))) AS e ORDER BY 1);
    _limit int4 := least(greatest(coalesce("limit", 10), 0), 20);
    _typed text := regexp_replace(ltrim(left({schema}._search_clean(q), 1000)), '\s+', ' ', 'g');
    _begun text := substring(_typed FROM '\w+$');
    _name text; _statement text; _queries text[]; _words text[]; _found text[]; _has text[] := '{}';
BEGIN
    SELECT e INTO _name FROM unnest(_tables) AS e WHERE NOT _known ? e;
    IF FOUND THEN
        RAISE invalid_parameter_value USING MESSAGE = format('the table %L is not searched', _name),
            HINT = 'Write search: at the table; `assise load` makes its index.';
    END IF;
    IF _typed = '' OR cardinality(_tables) = 0 THEN
        RETURN;
    END IF;
    _queries := {popular};
    IF cardinality(_queries) > 0 THEN
        _words := ARRAY(
            SELECT DISTINCT w FROM unnest(_queries) AS asked, unnest({query_words}) AS w LIMIT 10
        );
        FOREACH _name IN ARRAY _tables LOOP
            EXECUTE format('SELECT %s($1)', _known -> _name ->> 'has_words') INTO _found USING _words;
            _has := _has || _found;
        END LOOP;
        RETURN QUERY SELECT 'query', asked, NULL::text, NULL::jsonb FROM unnest(_queries) WITH ORDINALITY AS u (asked, n)
        WHERE {query_words} <@ _has ORDER BY n LIMIT 3;
    END IF;
    IF _begun IS NOT NULL THEN
        SELECT string_agg(format('SELECT %L::text AS place, * FROM %s($1, $2)', e, _known -> e ->> 'begun'), ' UNION ALL ') INTO _statement
        FROM unnest(_tables) AS e;
        RETURN QUERY EXECUTE 'SELECT ''word''::text, $3 || word, place, key FROM (
                SELECT DISTINCT ON (word) * FROM (' || _statement || ') AS a ORDER BY word, rows DESC
            ) AS b ORDER BY rows DESC, word LIMIT $4'
        USING {schema}._search_prefix(_begun || '*'), greatest(1, least(_limit, 10) / cardinality(_tables)),
            left(_typed, length(_typed) - length(_begun)), _limit;
    END IF;
END
$body$
