-- Questions to the migrated tables: assise pg shell < questions.sql
\set ON_ERROR_STOP on
\set ECHO queries
\pset footer off

\echo
\echo What did each month bring in? An amount that is no plain number, such as
\echo Decimal128 or the text 37,10 €, stands in _extra and is taken from there.
\echo
SELECT to_char(coalesce(created_at, (_extra ->> 'created_at')::timestamptz),
               'YYYY-MM') AS month,
       count(*) AS invoices,
       count(*) FILTER (WHERE amount IS NULL) AS odd,
       sum(coalesce(
         amount,
         (_extra -> 'amount' ->> '$numberDecimal')::numeric,
         replace(split_part(_extra ->> 'amount', ' ', 1), ',', '.')::numeric
       )) AS euros
  FROM invoices
 WHERE status = 'paid'
 GROUP BY month
 ORDER BY month DESC
 LIMIT 6;

\echo Who has the most projects? Where the user was written as text, not as an
\echo ObjectId, the old id is turned into the new key.
\echo
SELECT full_name, plan, count(*) AS projects
  FROM users
  JOIN projects ON users.id = coalesce(
         user_id, objectid_to_uuid(projects._extra ->> 'user_id'))
 GROUP BY users.id
 ORDER BY projects DESC, users.id
 LIMIT 5;

\echo What is asked in French about queries, forms and texts? Text search knows
\echo that requête, requêtes and REQUÊTE are one word.
\echo
SELECT content, count(*), max(messages.created_at)::date AS latest
  FROM conversation_messages AS messages
  JOIN conversations ON conversations.id = conversation_id
  JOIN users ON users.id = user_id
 WHERE role = 'user' AND locale = 'fr'
   AND to_tsvector('french', content)
       @@ to_tsquery('french', 'requêtes | formulaires | textes')
 GROUP BY content
 ORDER BY count DESC, content
 LIMIT 3;
