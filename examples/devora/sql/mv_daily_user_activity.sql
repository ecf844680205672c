-- One row for each day on which somebody did something.
SELECT day, count(DISTINCT user_id) AS active_users, sum(projects)::int8 AS projects, sum(messages)::int8 AS messages,
    sum(deployments)::int8 AS deployments
FROM (
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day, user_id, 1 AS projects, 0 AS messages, 0 AS deployments FROM projects
    UNION ALL SELECT (m.created_at AT TIME ZONE 'UTC')::date, c.user_id, 0, 1, 0
    FROM conversation_messages AS m JOIN conversations AS c ON c.id = m.conversation_id WHERE m.role = 'user'
    UNION ALL SELECT (created_at AT TIME ZONE 'UTC')::date, user_id, 0, 0, 1 FROM deployments
) AS done WHERE day IS NOT NULL GROUP BY day
