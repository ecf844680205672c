-- Which of its languages a text is in, by the stop words in its beginning: one, or all where that does not tell.
-- Code, and languages without a list of stop words, are always among them.
CREATE OR REPLACE FUNCTION {schema}.search_language(body text, languages text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head text;
    size int;
    letters text[] := '{a,c,d,i,j,l,m,n,o,s,t,y}';
    words int;
    stops int;
    best int;
    second int;
    winner text;
    others text[];
    each text;
BEGIN
    IF cardinality(languages) < 2 OR body IS NULL THEN
        RETURN languages;
    END IF;
    FOREACH size IN ARRAY ARRAY[400, 4000] LOOP
        head := replace(left(body, size), '-', ' ');
        best := 0;
        second := 0;
        others := '{}';
        words := length(ts_delete(to_tsvector('simple', head), letters));
        FOREACH each IN ARRAY languages LOOP
            stops := words - length(ts_delete(CASE each
            {counts}
            END, letters));
            IF stops IS NULL THEN
                others := others || each;
            ELSIF stops > best THEN
                second := best;
                best := stops;
                winner := each;
            ELSIF stops > second THEN
                second := stops;
            END IF;
        END LOOP;
        IF best >= 2 AND best >= least(2 * second, second + 3) THEN
            RETURN winner || others;
        END IF;
        EXIT WHEN length(body) <= size;
    END LOOP;
    RETURN languages;
END
$$
