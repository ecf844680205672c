SELECT (created_at AT TIME ZONE 'UTC')::date AS day, kind, count(*) AS transactions, sum(abs(amount)) AS moved
FROM core.transactions GROUP BY 1, 2
