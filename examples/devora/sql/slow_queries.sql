-- Statements that take over 100 ms on average; pg_stat_statements must be in shared_preload_libraries.
SELECT query, calls, round(mean_exec_time::numeric, 1) AS mean_ms, round(total_exec_time::numeric) AS total_ms, rows
FROM pg_stat_statements WHERE mean_exec_time > 100
