"""The tables, and the collections whose documents they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from assise.manifest.keys import Key, Tables
from assise.manifest.problems import Place, Problem
from assise.wording import show


def _check_collection(place: Place, collection: str, tables: Tables) -> Iterator[Problem]:
    if not collection or "\0" in collection:
        remedy = "Give the collection's name."
        yield Problem(place, "is not the name of a collection", show(collection), remedy)
    users = (name for name, table in tables.items() if table.collection == collection)
    first = next(users)
    if first != place[1]:
        message = f"is the collection of table {show(first)} already"
        yield Problem(place, message, show(collection), "Keep one table for each collection.")


TABLES: Key[Mapping[str, object]] = Key(
    "tables",
    "manifest",
    help="the tables by name",
    affects="rows",
    missing="List the tables, or write tables: {}.",
)
COLLECTION = Key(
    "collection",
    "table",
    help="the collection whose documents are the rows",
    affects="rows",
    check=_check_collection,
    default="this or `parent`",
)
KEYS = (TABLES, COLLECTION)
