"""What stands in a database, read from its catalog by one query."""

from __future__ import annotations

from assise.postgres.connection import Connection
from assise.postgres.queries import QUERIES
from assise.schema.catalog import CatalogItem, Snapshot, collect


def read_snapshot(connection: Connection) -> Snapshot:
    """All objects outside of schema `assise`, their names with schemas."""
    with connection.transaction():
        # Without a search path the catalog's functions give every name with its schema.
        connection.execute("SET LOCAL search_path = pg_catalog")
        return collect(connection.fetch(CatalogItem, QUERIES["snapshot"]))
