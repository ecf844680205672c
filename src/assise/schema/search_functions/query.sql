-- What a query asks for, whatever it is; it never fails. Only the first 10,000 characters are read, and behind the first
-- 100 words nothing but words.
--   terms     lexeme -> how often the query has it; words: the readings of each word, for match=all
--   phrases   "a b", of two words or more: for each the readings by language, lexemes in order
--   require   a tsquery that rows must match: no -"a b", and each phrase unless most words stand outside them, as in a question
--   without   -word; prefixes: word*
--   fields    field:value of the given fields: field, lexemes, and a tsquery of the value; fields_without: -field:value
CREATE OR REPLACE FUNCTION {schema}.search_query(q text, languages text[], fields text[] DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    clean text := left({schema}._search_clean(q), 10000);
    part text;
    place int;
    field text;
    is_excluded bool;
    plain text[] := '{}';
    prefixes text[] := '{}';
    required text[] := '{}';
    quoted text[] := '{}';
    wanted text[] := '{}';
    size int;
    sizes int := 0;
    without text[] := '{}';
    phrases jsonb := '[]';
    asked jsonb := '[]';
    refused jsonb := '[]';
    phrase text;
    lexemes jsonb;
BEGIN
    FOR part, place IN SELECT words[1], number
        FROM regexp_matches(clean, '-?(?:[[:alpha:]_]\w*:)?"[^"]*"|[^\s"]+', 'g') WITH ORDINALITY AS cut (words, number)
    LOOP
        IF place > 100 THEN
            plain := plain || part;
            CONTINUE;
        END IF;
        is_excluded := part ~ '^-["\w]';
        part := CASE WHEN is_excluded THEN substr(part, 2) ELSE part END;
        field := substring(part FROM '^([[:alpha:]_]\w*):.');
        IF field = ANY (fields) THEN
            part := substr(part, length(field) + 2);
            SELECT string_agg(format('(%s)', query), ' | ') INTO phrase FROM {schema}._search_phrase(part, languages);
            lexemes := jsonb_build_array(jsonb_build_array(
                field, tsvector_to_array({schema}.search_vector(part, languages, languages)), phrase));
            IF is_excluded THEN
                refused := refused || lexemes;
            ELSE
                asked := asked || lexemes;
            END IF;
        ELSIF part ~ '^"|:"' THEN
            SELECT string_agg(format('(%s)', query), ' | '), jsonb_agg(words), max(jsonb_array_length(words)) INTO phrase, lexemes, size
            FROM {schema}._search_phrase(part, languages);
            IF is_excluded THEN
                required := CASE WHEN phrase IS NULL THEN required ELSE required || format('!(%s)', phrase) END;
                CONTINUE;
            END IF;
            quoted := quoted || part;
            IF size > 1 THEN
                phrases := phrases || jsonb_build_array(lexemes);
                wanted := wanted || format('(%s)', phrase);
                sizes := sizes + size;
            END IF;
        ELSIF is_excluded THEN
            without := without || tsvector_to_array(CASE WHEN part ~ {compound} THEN {schema}._search_typed(part)
                ELSE {schema}.search_vector(part, languages, languages) END);
        ELSIF part ~ '\w\*$' THEN
            prefixes := prefixes || {schema}._search_prefix(part);
        ELSE
            plain := plain || part;
        END IF;
    END LOOP;
    IF sizes > 0 AND sizes >= jsonb_array_length({schema}._search_terms(array_to_string(plain, ' '), languages) -> 'words') THEN
        required := required || wanted;
    END IF;
    RETURN {schema}._search_terms(array_to_string(plain || quoted, ' '), languages) || jsonb_build_object(
        'phrases', phrases, 'require', array_to_string(required, ' & '), 'without', to_jsonb(without),
        'fields', asked, 'fields_without', refused, 'prefixes', to_jsonb(prefixes));
END
$$
