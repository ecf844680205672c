"""What the rules of a manifest have in the database, one statement each."""

from __future__ import annotations

from typing import Literal, NamedTuple

from assise.schema.sql import quote

ManagedKind = Literal[
    "column",
    "owner",
    "function",
    "trigger",
    "index",
    "security",
    "policy",
    "grant",
    "table",
    "extension",
]


class Managed(NamedTuple):
    """Something that the rules need in the database, and how it is made and taken away.

    `table` is empty where it belongs to no table. What a statement makes has this kind and name in
    the catalog.
    """

    kind: ManagedKind
    table: str
    name: str
    create: str
    drop: str


def drop_of(kind: str, name: str, table: str) -> str:
    """The DROP of a trigger or a policy."""
    return f"DROP {kind} IF EXISTS {quote(name)} ON {table}"
