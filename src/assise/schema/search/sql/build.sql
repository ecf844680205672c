-- fill --
INSERT INTO {pending} ({keys}) SELECT {t_keys} FROM {place} AS t
WHERE NOT EXISTS (SELECT FROM {fresh} AS f WHERE {same_t_f})
    AND NOT EXISTS (SELECT FROM {rows} AS w WHERE {same_t_w})
ON CONFLICT DO NOTHING

-- index_some --
WITH k AS (
    -- A thousand rows, or fewer with a million bytes of text.
    DELETE FROM {pending} WHERE ({keys}) IN (
        SELECT {keys} FROM (
            SELECT {p_keys}, sum(s.bytes) OVER (ORDER BY {p_keys}) - s.bytes AS before
            FROM (SELECT {keys} FROM {pending} ORDER BY {keys} LIMIT 1000 FOR UPDATE SKIP LOCKED) AS p
            LEFT JOIN {place} AS t ON {same_t_p} CROSS JOIN LATERAL (SELECT {bytes_of_t} AS bytes) AS s
        ) AS p WHERE before < 1000000
    )
    RETURNING {keys}
), made AS (
    INSERT INTO {fresh} ({keys}, part, vector)
    SELECT {t_keys}, v.part, v.vector FROM k JOIN {place} AS t ON {same_t_k} CROSS JOIN LATERAL {vectors} AS v
    ON CONFLICT ({keys}, part) DO UPDATE SET vector = excluded.vector
)
SELECT count(*) FROM k

-- begin_batch --
CREATE TEMP TABLE IF NOT EXISTS {batch} ({key_columns}, part int2, vector tsvector, number int8) ON COMMIT DELETE ROWS

-- take_fresh --
INSERT INTO pg_temp.{batch} ({keys}, part, vector)
SELECT {f_keys}, f.part, f.vector FROM (SELECT DISTINCT {keys} FROM (SELECT {keys} FROM {fresh} ORDER BY {keys}, part LIMIT 1000) AS f) AS k
JOIN {fresh} AS f ON {same_f_k} FOR UPDATE OF f SKIP LOCKED

-- take_rows --
INSERT INTO pg_temp.{batch} ({keys}, part, vector)
SELECT {w_keys}, w.part, w.vector FROM (
    SELECT o.number FROM {rows} AS o
    WHERE o.generation = %(active)s AND o.number = o.first AND NOT EXISTS (
        SELECT FROM {rows} AS w WHERE {same_o_w} AND w.part = o.part AND w.generation = %(generation)s
    ) AND o.number >= %(after)s ORDER BY o.number LIMIT 1000
) AS k JOIN {rows} AS w ON w.generation = %(active)s AND w.first = k.number AND w.number BETWEEN k.number AND k.number + 32000
FOR UPDATE OF w SKIP LOCKED

-- left --
SELECT EXISTS (
    SELECT FROM {rows} AS o WHERE o.generation = %(active)s AND NOT EXISTS (
        SELECT FROM {rows} AS w WHERE {same_o_w} AND w.part = o.part AND w.generation = %(generation)s
    )
)

-- learn_words --
INSERT INTO {words} (lexeme) SELECT DISTINCT l.lexeme COLLATE "C" FROM pg_temp.{batch} AS b, unnest(b.vector) AS l
WHERE NOT EXISTS (SELECT FROM {words} AS w WHERE w.lexeme = l.lexeme COLLATE "C") ORDER BY 1 ON CONFLICT DO NOTHING

-- number_rows --
WITH numbered AS (
    SELECT {b_keys}, b.part, b.vector,
        -- No number is given twice: blocks have the weights of the last rows also when these are gone.
        (SELECT s.weighed FROM {state} AS s WHERE s.name = {name} AND s.generation = %(generation)s)
            + row_number() OVER (ORDER BY {b_keys}, b.part) - 1 AS number
    FROM pg_temp.{batch} AS b
), weighed AS (
    SELECT b.number, max(d.length) AS length,
        ('{' || coalesce(string_agg(x.term || ':' || x.weight, ',' ORDER BY x.term) FILTER (WHERE x.weight <> 0), '')
            || '}/1000000000')::{query_type} AS weights
    FROM numbered AS b CROSS JOIN LATERAL {measure_b} AS d
    LEFT JOIN LATERAL (
        SELECT w.id AS term, x.tf, ({saturated})::float4 AS weight
        FROM (SELECT x.lexeme COLLATE "C" AS lexeme, {frequency} AS tf FROM unnest(b.vector) AS x) AS x JOIN {words} AS w USING (lexeme)
    ) AS x ON true
    GROUP BY b.number
), made AS (
    INSERT INTO {rows} ({keys}, part, generation, number, first, vector, weights)
    SELECT {b_keys}, b.part, %(generation)s, b.number, b.number - b.part, b.vector, w.weights
    FROM numbered AS b JOIN weighed AS w USING (number)
)
UPDATE {state} AS t SET weighed = weighed + s.rows, length = t.length + s.length
FROM (SELECT count(*) AS rows, coalesce(sum(length), 0) AS length FROM weighed) AS s
WHERE name = {name} AND generation = %(generation)s
RETURNING s.rows

-- learn_vocabulary --
WITH read AS (
    SELECT w.number, t.owners, t.text FROM {learned} CROSS JOIN LATERAL (
        SELECT {owner_keys} AS owners, {schema}._search_space({schema}._search_clean({vocabulary_text})) AS text
        FROM {place} AS t WHERE {same_t_w} OFFSET 0
    ) AS t
), occurring AS MATERIALIZED (
    SELECT o.owner, s.lexeme, count(*) AS n, min(r.number) AS first, max(r.number) AS last
    FROM read AS r, unnest(to_tsvector('pg_catalog.simple', r.text)) AS s, unnest(r.owners) AS o (owner)
    WHERE o.owner IS NOT NULL GROUP BY 1, 2
), spelled AS MATERIALIZED (
    SELECT s.spelling, s.word FROM (
        SELECT s.lexeme AS spelling, CASE WHEN s.lexeme ~ '^[a-z0-9]+$' THEN s.lexeme ELSE coalesce((ts_lexize({fold}, s.lexeme))[1], s.lexeme) END AS word
        FROM (SELECT DISTINCT lexeme FROM occurring) AS s
        WHERE length(s.lexeme) BETWEEN 3 AND 40 AND s.lexeme ~ '^[[:alpha:]][[:alnum:]]*$'
    ) AS s WHERE {no_stop_word}
), counted AS (
    SELECT o.owner, left(s.word, 1) AS initial, s.word, s.spelling, o.n, o.first, o.last
    FROM occurring AS o JOIN spelled AS s ON s.spelling = o.lexeme WHERE {has_owners}
    UNION ALL
    SELECT '', left(s.word, 2), s.word, s.spelling, sum(o.n), min(o.first), max(o.last)
    FROM occurring AS o JOIN spelled AS s ON s.spelling = o.lexeme WHERE starts_with(o.owner, '0=') GROUP BY 2, 3, 4
), old AS (
    -- Words of all rows stand together; of many rows those of each owner are added beside what is there.
    DELETE FROM {vocabulary} AS v USING (SELECT DISTINCT owner, initial FROM counted WHERE owner = '' OR %(merges)s) AS k
    WHERE v.generation = %(generation)s AND v.owner = k.owner AND v.initial = k.initial
    RETURNING v.*
), merged AS (
    SELECT owner, initial, word, max(spelling COLLATE "C") AS spelling, sum(n)::int4 AS n, min(first) AS first, max(last) AS last
    FROM (
        SELECT * FROM counted
        UNION ALL
        SELECT v.owner, v.initial, u.word, coalesce(u.spelling, u.word), u.n, u.first, u.last
        FROM old AS v, unnest(v.words, v.spellings, v.counts, v.firsts, v.lasts) AS u (word, spelling, n, first, last)
    ) AS x GROUP BY 1, 2, 3
)
INSERT INTO {vocabulary} (generation, owner, initial, part, words, spellings, counts, firsts, lasts)
SELECT %(generation)s, owner, initial, %(high)s, array_agg(word), array_agg(nullif(spelling, word)), array_agg(n), array_agg(first), array_agg(last)
FROM merged GROUP BY owner, initial

-- list_letters --
SELECT DISTINCT left(initial, 1) FROM {vocabulary} WHERE generation = %(generation)s

-- merge_vocabulary --
WITH many AS (
    SELECT owner, initial, max(part) AS last_part FROM {vocabulary}
    WHERE generation = %(generation)s AND left(initial, 1) = %(letter)s GROUP BY owner, initial HAVING count(*) > 7
), old AS (
    DELETE FROM {vocabulary} AS v USING many AS k
    WHERE v.generation = %(generation)s AND v.owner = k.owner AND v.initial = k.initial
    RETURNING v.*, k.last_part
), merged AS (
    SELECT v.owner, v.initial, v.last_part, u.word, max(u.spelling COLLATE "C") AS spelling, sum(u.n)::int4 AS n, min(u.first) AS first, max(u.last) AS last
    FROM old AS v, unnest(v.words, v.spellings, v.counts, v.firsts, v.lasts) AS u (word, spelling, n, first, last) GROUP BY 1, 2, 3, 4
)
INSERT INTO {vocabulary} (generation, owner, initial, part, words, spellings, counts, firsts, lasts)
SELECT %(generation)s, owner, initial, last_part, array_agg(word), array_agg(spelling), array_agg(n), array_agg(first), array_agg(last)
FROM merged GROUP BY owner, initial, last_part

-- forget_vocabulary --
DELETE FROM {vocabulary} WHERE generation = %(generation)s

-- set_learned --
UPDATE {state} SET learned = %(high)s WHERE name = {name} AND generation = %(generation)s

-- forget_fresh --
DELETE FROM {fresh} AS f USING pg_temp.{batch} AS k WHERE {same_f_k} AND f.part = k.part

-- forget_block --
WITH gone AS (DELETE FROM {owned} WHERE generation = %(generation)s AND block = %(block)s)
DELETE FROM {blocks} WHERE generation = %(generation)s AND block = %(block)s

-- seal_block --
INSERT INTO {blocks} (generation, term, block, weights)
SELECT %(generation)s, x.term, %(block)s,
    ('{' || string_agg(x.place || ':' || x.weight, ',' ORDER BY x.place) || '}/{size}')::{query_type}
FROM (
    SELECT x.id AS term, r.number - %(block)s::int8 * {size} + 1 AS place,
        (ln(1 + (s.n - coalesce(t.df, 0) + 0.5) / (coalesce(t.df, 0) + 0.5)) * {saturated_of_state})::float4 AS weight
    FROM {state} AS s
    JOIN {rows} AS r ON r.generation = s.generation AND r.number BETWEEN %(block)s::int8 * {size} AND %(block)s::int8 * {size} + {size} - 1
    CROSS JOIN LATERAL {measure_r} AS d
    CROSS JOIN LATERAL (
        SELECT w.id, w.lexeme, {frequency} AS tf FROM unnest(r.vector) AS x JOIN {words} AS w ON w.lexeme = x.lexeme COLLATE "C"
    ) AS x
    LEFT JOIN {terms} AS t ON t.generation = s.generation AND t.term = x.id
    WHERE s.name = {name} AND s.generation = %(generation)s
) AS x
WHERE x.weight <> 0 GROUP BY x.term

-- seal_owners --
INSERT INTO {owned} (generation, owner, block, places)
SELECT %(generation)s, o.owner, %(block)s, ('{' || string_agg(o.place || ':1', ',' ORDER BY o.place) || '}/{size}')::{query_type}
FROM (
    SELECT DISTINCT o.owner, w.number - %(block)s::int8 * {size} + 1 AS place
    FROM {rows} AS w JOIN {place} AS t ON {same_t_w} CROSS JOIN LATERAL unnest({owner_keys}) AS o (owner)
    WHERE w.generation = %(generation)s AND o.owner IS NOT NULL
        AND w.number BETWEEN %(block)s::int8 * {size} AND %(block)s::int8 * {size} + {size} - 1
) AS o
GROUP BY o.owner

-- set_sealed --
UPDATE {state} SET sealed = %(sealed)s WHERE name = {name} AND generation = %(generation)s

-- count_words --
CREATE TEMP TABLE {counted} ON COMMIT DROP AS
SELECT word COLLATE "C" AS lexeme, ndoc, nentry FROM ts_stat({vectors_text})

-- count_lengths --
SELECT coalesce(sum(d.length), 0)::float8 FROM ({all_vectors}) AS v CROSS JOIN LATERAL {measure_v} AS d

-- count_entries --
SELECT coalesce(sum(nentry), 0)::float8 FROM pg_temp.{counted}

-- count_rows --
SELECT (SELECT count(*) FROM {fresh}) + (SELECT count(*) FROM {rows} WHERE generation = %(active)s)

-- learn_counted --
INSERT INTO {words} (lexeme) SELECT c.lexeme FROM pg_temp.{counted} AS c
WHERE NOT EXISTS (SELECT FROM {words} AS w WHERE w.lexeme = c.lexeme) ORDER BY 1 ON CONFLICT DO NOTHING

-- keep_counted --
INSERT INTO {terms} (generation, term, df) SELECT %(generation)s, w.id, c.ndoc FROM pg_temp.{counted} AS c JOIN {words} AS w USING (lexeme)

-- begin_generation --
INSERT INTO {state} (name, generation, is_active, n, average, is_filled)
VALUES ({name}, %(generation)s, false, %(n)s, %(average)s, true)

-- switch --
UPDATE {state} SET is_active = generation = %(generation)s WHERE name = {name}

-- forget_generations --
WITH gone_terms AS (DELETE FROM {terms} WHERE generation <> %(generation)s),
    gone_words AS (DELETE FROM {vocabulary} WHERE generation <> %(generation)s),
    gone_rows AS (DELETE FROM {rows} WHERE generation <> %(generation)s)
DELETE FROM {state} WHERE name = {name} AND generation <> %(generation)s

-- forget_old_blocks --
WITH gone AS (DELETE FROM {owned} WHERE generation <> %(generation)s)
DELETE FROM {blocks} WHERE generation <> %(generation)s

-- drop_changed --
DELETE FROM {rows} AS w WHERE w.generation = %(generation)s AND NOT EXISTS (
    SELECT FROM {rows} AS o WHERE {same_o_w} AND o.part = w.part AND o.generation = %(active)s
)

-- tidy_fresh --
VACUUM (ANALYZE, INDEX_CLEANUP ON) {fresh}, {pending}

-- set_filled --
UPDATE {state} SET is_filled = true WHERE name = {name}

-- state --
SELECT generation, is_active, n, average, sealed, learned, weighed, length, is_filled,
    (SELECT coalesce(max(number) + 1, 0) FROM {rows} AS r WHERE r.generation = s.generation) AS numbered,
    (SELECT count(*) FROM {fresh}) AS waiting
FROM {state} AS s WHERE name = {name} ORDER BY generation

-- status --
SELECT s.rows, CASE WHEN is_filled THEN (SELECT count(*) FROM {pending}) ELSE s.rows - (SELECT count(*) FROM {fresh} WHERE part = 0) END AS pending,
    (SELECT count(*) FROM {fresh}) AS fresh,
    (SELECT count(*) FROM {rows} WHERE generation = %(active)s) AS numbered
FROM {state}, (SELECT count(*) AS rows FROM {place}) AS s WHERE name = {name} AND generation = %(active)s

-- missing --
SELECT count(*) FROM {place} AS t
WHERE NOT EXISTS (SELECT FROM {pending} AS p WHERE {same_t_p}) AND NOT EXISTS (SELECT FROM {fresh} AS f WHERE {same_t_f})
    AND NOT EXISTS (SELECT FROM {rows} AS w WHERE {same_t_w} AND w.generation = %(active)s)

-- extra --
SELECT count(*) FROM (
    SELECT {keys} FROM {pending} UNION SELECT {keys} FROM {fresh} UNION SELECT {keys} FROM {rows}
) AS k WHERE NOT EXISTS (SELECT FROM {place} AS t WHERE {same_t_k})

-- differing --
SELECT count(*) FROM {place} AS t CROSS JOIN LATERAL {vectors} AS v
JOIN (
    SELECT {keys}, part, vector, NULL AS number FROM {fresh}
    UNION ALL SELECT {keys}, part, vector, number FROM {rows} WHERE generation = %(active)s
) AS k ON {same_t_k} AND k.part = v.part WHERE k.vector <> v.vector OR {is_misplaced}

-- repair_missing --
INSERT INTO {pending} ({keys}) SELECT {t_keys} FROM {place} AS t
WHERE NOT EXISTS (SELECT FROM {fresh} AS f WHERE {same_t_f})
    AND NOT EXISTS (SELECT FROM {rows} AS w WHERE {same_t_w} AND w.generation = %(active)s)
ON CONFLICT DO NOTHING

-- repair_extra --
WITH k AS (
    SELECT {keys} FROM (SELECT {keys} FROM {pending} UNION SELECT {keys} FROM {fresh} UNION SELECT {keys} FROM {rows}) AS k
    WHERE NOT EXISTS (SELECT FROM {place} AS t WHERE {same_t_k})
), one AS (DELETE FROM {pending} AS p USING k WHERE {same_p_k}), two AS (DELETE FROM {fresh} AS f USING k WHERE {same_f_k})
DELETE FROM {rows} AS w USING k WHERE {same_w_k}

-- repair_differing --
WITH k AS (
    SELECT DISTINCT {t_keys} FROM {place} AS t CROSS JOIN LATERAL {vectors} AS v
    JOIN (
        SELECT {keys}, part, vector, NULL AS number FROM {fresh}
        UNION ALL SELECT {keys}, part, vector, number FROM {rows} WHERE generation = %(active)s
    ) AS k ON {same_t_k} AND k.part = v.part WHERE k.vector <> v.vector OR {is_misplaced}
), noted AS (INSERT INTO {pending} ({keys}) SELECT {keys} FROM k ON CONFLICT DO NOTHING),
    two AS (DELETE FROM {fresh} AS f USING k WHERE {same_f_k})
DELETE FROM {rows} AS w USING k WHERE {same_w_k}

-- explain --
SELECT e.key, coalesce(d.df, 0), round(ln(1 + (s.n - coalesce(d.df, 0) + 0.5) / (coalesce(d.df, 0) + 0.5))::numeric, 3)
FROM {state} AS s,
    jsonb_each({schema}.search_query(%(q)s, {languages}) -> 'terms') AS e
    LEFT JOIN {words} AS w ON w.lexeme = e.key COLLATE "C"
    LEFT JOIN {terms} AS d ON d.generation = %(generation)s AND d.term = w.id
WHERE s.name = {name} AND s.generation = %(generation)s ORDER BY 3 DESC, 1
