"""Search: indexes beside searched tables, and queries that find only what a user may see."""
