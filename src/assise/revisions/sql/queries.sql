-- revisions --
-- The revisions of a manifest that a database has.
SELECT number, title, sha256, text, state, applied_at FROM assise.revision WHERE name = %(name)s ORDER BY number

-- begin --
-- Note that a revision begins; of one that was begun nothing changes.
INSERT INTO assise.revision (name, number, title, sha256, text, state) VALUES (%(name)s, %(number)s, %(title)s, %(sha256)s, %(text)s, 'begun')
ON CONFLICT DO NOTHING

-- mark --
-- Note a revision as one that the database has, without its steps.
INSERT INTO assise.revision (name, number, title, sha256, text, state, applied_at)
VALUES (%(name)s, %(number)s, %(title)s, %(sha256)s, %(text)s, 'marked', now())
ON CONFLICT (name, number) DO UPDATE SET state = 'marked', applied_at = now(), sha256 = excluded.sha256, text = excluded.text

-- set_state --
-- Note how far a revision is.
UPDATE assise.revision SET state = %(state)s, applied_at = CASE %(state)s WHEN 'applied' THEN now() ELSE applied_at END
WHERE name = %(name)s AND number = %(number)s

-- delete_revision --
-- Forget a revision that was taken back, and its steps.
DELETE FROM assise.revision WHERE name = %(name)s AND number = %(number)s

-- steps --
-- The steps of a revision that were done or begun.
SELECT step, is_done, last_key FROM assise.step WHERE name = %(name)s AND number = %(number)s

-- set_step --
-- Note a step as done, begun, or done up to a key.
INSERT INTO assise.step (name, number, step, is_done, last_key, schemas) VALUES (%(name)s, %(number)s, %(step)s, %(is_done)s, %(last_key)s, %(schemas)s)
ON CONFLICT (name, number, step) DO UPDATE SET is_done = excluded.is_done, last_key = excluded.last_key, noted_at = now()

-- missing_schemas --
-- Which of these schemas are not there.
SELECT name FROM unnest(%(schemas)s::text[]) AS wanted (name) WHERE NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = name)

-- made_schemas --
-- The schemas that steps of the revisions of a manifest have made.
SELECT DISTINCT unnest(schemas) FROM assise.step WHERE name = %(name)s ORDER BY 1

-- forget --
-- Forget the revisions of a manifest, and when its views were refreshed.
WITH views AS (DELETE FROM assise.refresh WHERE name = %(name)s)
DELETE FROM assise.revision WHERE name = %(name)s

-- has_revisions --
-- Whether there is a revision of any manifest, or a view that was refreshed.
SELECT EXISTS (SELECT FROM assise.revision) OR EXISTS (SELECT FROM assise.refresh)

-- drop_revisions --
-- Drop the tables of revisions, when none is left.
DROP TABLE assise.step, assise.revision, assise.refresh

-- has_column --
-- Whether a table has a column whose values the server does not compute.
SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(%(table)s) AND attname = %(column)s AND NOT attisdropped AND attgenerated = '')

-- free --
-- What drops our triggers that read a column: of these names, and on the way up those of schema assise. Parts make them again.
SELECT concat('DROP TRIGGER ', quote_ident(tgname), ' ON ', tgrelid::regclass) FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = tgfoid
WHERE tgrelid = to_regclass(%(table)s) AND (
    %(is_up)s AND pronamespace = to_regnamespace('assise') AND EXISTS (
        SELECT FROM pg_depend AS d JOIN pg_attribute AS a ON attrelid = refobjid AND attnum = refobjsubid
        WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND refobjid = tgrelid AND attname = %(column)s
    ) OR tgname = ANY (%(names)s) AND strpos(prosrc, concat('"', replace(%(column)s, '"', '""'), '"')) > 0
)

-- view --
-- Whether a materialized view has rows, and whether it is due; no row where there is none.
SELECT relispopulated, NOT EXISTS (
    SELECT FROM assise.refresh WHERE (name, view) = (%(name)s, %(view)s) AND refreshed_at > now() - %(every)s::interval
) FROM pg_class WHERE oid = to_regclass(%(called)s) AND relkind = 'm'

-- refreshed --
-- Note that a view was refreshed.
INSERT INTO assise.refresh VALUES (%(name)s, %(view)s, now(), %(seconds)s)
ON CONFLICT (name, view) DO UPDATE SET refreshed_at = excluded.refreshed_at, seconds = excluded.seconds

-- ages --
-- How old the rows of materialized views are, of those that are there.
SELECT v.view, relispopulated AS is_filled, date_trunc('second', now() - refreshed_at)::text AS age, seconds
FROM unnest(%(views)s::text[], %(called)s::text[]) AS v (view, called) JOIN pg_class ON pg_class.oid = to_regclass(v.called) AND relkind = 'm'
LEFT JOIN assise.refresh AS r ON (r.name, r.view) = (%(name)s, v.view) ORDER BY 1
