"""Access: which rows a user may see, enforced by PostgreSQL."""
