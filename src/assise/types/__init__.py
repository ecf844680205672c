"""The types of columns: one table, one module a family, and PostgreSQL's binary format."""
