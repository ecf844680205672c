-- A policy, trigger, index or function of the rules that was altered or dropped since it was made.
SELECT concat_ws(' of ', rule.name, nullif(rule."table", '')) AS object,
    'is a ' || rule.kind || ' of the rules, and was ' || CASE WHEN now.name IS NULL THEN 'dropped' ELSE 'altered' END AS says,
    '`assise load` makes the rules again.' AS remedy
FROM assise.rule
LEFT JOIN assise.rule_definition(to_regnamespace(quote_ident(%(schema)s))) AS now USING (kind, "table", name)
WHERE load = %(load)s AND kind IN ('policy', 'trigger', 'index', 'function') AND rule.definition IS DISTINCT FROM now.definition
ORDER BY position
