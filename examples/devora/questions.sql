-- Questions to the migrated tables: assise pg shell < questions.sql
\set ON_ERROR_STOP on
\set ECHO queries
\pset footer off

\echo
\echo What did each month bring in? An amount that is no number, such as the text
\echo 37,10 €, stands in _extra and is taken from there.
\echo
SELECT to_char(created_at, 'YYYY-MM') AS month,
       count(*) AS invoices,
       count(*) FILTER (WHERE amount IS NULL) AS odd,
       round(sum(coalesce(exchange_rate, 1)::numeric * coalesce(
         amount,
         replace(split_part(_extra ->> 'amount', ' ', 1), ',', '.')::numeric
       )), 2) AS euros
  FROM invoices
 WHERE status = 'paid'
 GROUP BY month
 ORDER BY month DESC
 LIMIT 6;

\echo Who has the most projects? Where the user was written as text, not as an
\echo ObjectId, the column has the new key all the same.
\echo
SELECT full_name, plan, count(*) AS projects
  FROM users
  JOIN projects ON users.id = user_id
 GROUP BY users.id
 ORDER BY projects DESC, users.id
 LIMIT 5;

\echo What is asked in French about queries, forms and texts? Text search knows
\echo that requête, requêtes and REQUÊTE are one word.
\echo
SELECT content, count(*), max(messages.created_at)::date AS latest
  FROM conversation_messages AS messages
  JOIN conversations ON conversations.id = conversation_id
  JOIN users ON users.id = conversations.user_id
 WHERE role = 'user' AND locale = 'fr'
   AND to_tsvector('french', content)
       @@ to_tsquery('french', 'requêtes | formulaires | textes')
 GROUP BY content
 ORDER BY count DESC, content
 LIMIT 3;
