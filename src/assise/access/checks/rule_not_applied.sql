-- A table whose rule is in the manifest, and does not hold in the database.
SELECT c.oid::regclass::text AS object, CASE WHEN NOT relrowsecurity THEN 'has row level security off'
    WHEN %(is_forced)s AND NOT relforcerowsecurity THEN 'has row level security, and does not force it on its owner'
    ELSE 'has no policy for reading' END AS says, '`assise load` makes the rules again.' AS remedy
FROM pg_class AS c
WHERE c.oid IN (SELECT to_regclass(name) FROM unnest(%(ruled)s::text[]) AS name) AND (
    NOT relrowsecurity OR %(is_forced)s AND NOT relforcerowsecurity
    OR NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid AND polname = 'app_read')
)
ORDER BY object
