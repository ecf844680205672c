"""PostgreSQL: connections, COPY, the catalog and the embedded server."""
