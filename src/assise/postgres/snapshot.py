"""What stands in a database, read from its catalog by one query."""

from __future__ import annotations

import json

from assise.postgres.connection import Connection
from assise.postgres.queries import QUERIES
from assise.schema.catalog import CatalogItem, Snapshot, collect
from assise.schema.settled import MARK, settle


def read_snapshot(connection: Connection) -> Snapshot:
    """All objects outside of schema `assise`, their names with schemas."""
    with connection.transaction():
        # Without a search path the catalog's functions give every name with its schema.
        connection.execute("SET LOCAL search_path = pg_catalog")
        found = connection.fetch(CatalogItem, QUERIES["snapshot"])
    return collect(_settle(item) if MARK in item.definition else item for item in found)


def _settle(item: CatalogItem) -> CatalogItem:
    """An item whose expressions do not depend on whether they were printed before."""
    if item.kind == "comment":
        return item
    if item.kind == "column":
        facts = json.loads(item.definition)
        settled = {**facts, "default": settle(facts["default"] or "")}
        return item._replace(definition=json.dumps(settled))
    return item._replace(definition=settle(item.definition), create=settle(item.create))
