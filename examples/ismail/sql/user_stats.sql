SELECT status, count(*) AS users, max(created_at) AS newest FROM core.users GROUP BY status
