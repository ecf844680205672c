-- A policy that Assise did not make, and that gives rows beside the rules.
SELECT polrelid::regclass::text AS object, 'has a policy ' || quote_ident(polname) || ' of others, which adds rows' AS says,
    'DROP POLICY ' || quote_ident(polname) || ' ON ' || polrelid::regclass AS remedy
FROM pg_policy JOIN pg_class AS c ON c.oid = polrelid
WHERE relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND relname = ANY (%(ruled)s) AND polpermissive
    AND NOT EXISTS (SELECT FROM json_array_elements(%(policies)s::json) AS ours WHERE ours ->> 0 = relname AND ours ->> 1 = polname)
ORDER BY 1, 2
