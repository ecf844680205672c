-- A policy that Assise did not make, and that gives rows beside the rules.
SELECT polrelid::regclass::text AS object, 'has a policy ' || quote_ident(polname) || ' of others, which adds rows' AS says,
    'DROP POLICY ' || quote_ident(polname) || ' ON ' || polrelid::regclass AS remedy
FROM pg_policy
WHERE polrelid IN (SELECT to_regclass(name) FROM unnest(%(ruled)s::text[]) AS name) AND polpermissive
    AND NOT EXISTS (SELECT FROM json_array_elements(%(policies)s::json) AS ours WHERE to_regclass(ours ->> 0) = polrelid AND ours ->> 1 = polname)
ORDER BY 1, 2
