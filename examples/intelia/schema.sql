-- What Intelia adds to its tables: the questions with what their users thought of the answers.
CREATE OR REPLACE VIEW user_questions_complete WITH (security_invoker) AS
SELECT c.id, c.user_id, c.conversation_id, c.question, c.response, c.timestamp, c.source,
    f.rating, f.comment
FROM conversations AS c LEFT JOIN feedback AS f ON f.question_id = c.id
WHERE c.status = 'active';

GRANT SELECT ON user_questions_complete TO intelia_app, intelia_admin;
