-- put --
INSERT INTO {place} AS t (path, title, content) VALUES (%(path)s, %(title)s, %(content)s)
ON CONFLICT (path) DO UPDATE SET title = excluded.title, content = excluded.content
WHERE (t.title, t.content) IS DISTINCT FROM (excluded.title, excluded.content) RETURNING t.path

-- forget --
DELETE FROM {place} WHERE path <> ALL (%(paths)s::text[]) RETURNING path

-- is_there --
SELECT to_regclass({place_text}) IS NOT NULL
