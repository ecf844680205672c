-- same --
-- Whether a row n of the table is as it was when h was noted.
(n.customer, n.amount, n.currency, n.interval, n.quantity, n.started, n.ended, n.status)
    IS NOT DISTINCT FROM (h.customer, h.amount, h.currency, h.interval, h.quantity, h.started, h.ended, h.status)

-- note --
-- Note the rows that have changed since the last time, and those that are gone; how many.
WITH n AS MATERIALIZED ({rows}),
h AS MATERIALIZED (SELECT * FROM assise.analytics_subscription WHERE load = %(load)s AND gone IS NULL),
closed AS (
    UPDATE assise.analytics_subscription AS s SET gone = now() FROM h
    WHERE s.load = h.load AND s.key = h.key AND s.seen = h.seen
        AND NOT EXISTS (SELECT FROM n WHERE n.key = h.key AND {same})
    RETURNING 1
), added AS (
    INSERT INTO assise.analytics_subscription
        (load, key, customer, amount, currency, interval, quantity, started, ended, status, seen)
    SELECT %(load)s, n.key, n.customer, n.amount, n.currency, n.interval, n.quantity, n.started, n.ended,
        n.status, now()
    FROM n LEFT JOIN h USING (key) WHERE h.key IS NULL OR NOT {same}
    RETURNING 1
)
SELECT (SELECT count(*) FROM closed) + (SELECT count(*) FROM added)

-- history --
-- Each state of each row: since when it was so, NULL for the first one, and until when.
WITH n AS MATERIALIZED ({rows}),
h AS MATERIALIZED (SELECT * FROM assise.analytics_subscription WHERE load = %(load)s)
SELECT h.key, h.customer, h.amount, h.currency, h.interval, h.quantity, h.started, h.ended, h.status,
    CASE WHEN h.seen > min(h.seen) OVER (PARTITION BY h.key) THEN h.seen END AS since,
    coalesce(h.gone, CASE WHEN n.key IS NULL OR NOT {same} THEN now() END) AS until
FROM h LEFT JOIN n USING (key)
UNION ALL
SELECT n.key, n.customer, n.amount, n.currency, n.interval, n.quantity, n.started, n.ended, n.status,
    CASE WHEN EXISTS (SELECT FROM h WHERE h.key = n.key) THEN now() END, NULL
FROM n WHERE NOT EXISTS (SELECT FROM h WHERE h.key = n.key AND h.gone IS NULL AND {same})

-- first --
-- When the rows were noted for the first time.
SELECT min(seen) FROM assise.analytics_subscription WHERE load = %(load)s

-- plain --
-- Each row as it is now.
SELECT n.*, NULL::timestamptz AS since, NULL::timestamptz AS until FROM ({rows}) AS n

-- groups --
-- What is paid now for each currency, interval and status, before it is known which of them count.
SELECT currency, interval, status,
    sum(amount * quantity) FILTER (WHERE started <= now() AND (ended IS NULL OR ended > now())) AS paid
FROM ({rows}) AS n WHERE amount * quantity <> 0 GROUP BY currency, interval, status

-- payers --
-- Customers who pay now, who paid 30 days ago, and of these who pay no more.
SELECT count(*) FILTER (WHERE pays) AS now, count(*) FILTER (WHERE paid) AS before,
    count(*) FILTER (WHERE paid AND NOT pays) AS churned
FROM (
    SELECT customer,
        bool_or(lower(trim(status)) = ANY (%(paying)s) AND started <= now()
            AND (ended IS NULL OR ended > now())) AS pays,
        bool_or(started <= now() - interval '30 days' AND (ended IS NULL OR ended > now() - interval '30 days')
            AND (ended IS NOT NULL OR lower(trim(status)) = ANY (%(paying)s))) AS paid
    FROM ({rows}) AS n
    WHERE amount * quantity > 0 AND lower(trim(status)) <> ALL (%(never)s) AND (ended IS NULL OR ended >= started)
    GROUP BY customer
) AS c

-- recent --
-- Each invoice of the last years as it is now.
SELECT n.*, NULL::timestamptz AS since, NULL::timestamptz AS until FROM ({rows}) AS n
WHERE started > now() - interval '3 years'
