"""What stands in a database, as its catalog tells it, and how two such snapshots differ."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

UNNAMED = frozenset({"constraint", "index"})
"""Kinds that are the same where their definitions are, whatever the server has called them."""


class CatalogItem(NamedTuple):
    """One object of a database: its kind, what it belongs to, and its name, quoted as SQL needs it.

    `definition` is what is compared; `create` and `drop` are statements, where one each does it.
    """

    kind: str
    on: str
    name: str
    definition: str
    create: str
    drop: str

    @property
    def id(self) -> tuple[str, str, str]:
        """What tells it from the others of a database."""
        return self.kind, self.on, self.name

    @property
    def shown(self) -> str:
        """The object in words, for people."""
        place = "" if self.name == self.on or self.kind == "comment" else f" on {self.on}"
        return f"{self.kind} {self.name}{place}"


@dataclass(frozen=True)
class Facts:
    """What the catalog says of a column; its place counts for nothing."""

    type: str
    collation: str | None
    not_null: bool
    default: str | None
    generated: str
    identity: str
    place: int = field(default=0, compare=False)

    @classmethod
    def of(cls, column: CatalogItem) -> Facts:
        """The facts of an item of kind column."""
        return cls(**json.loads(column.definition))


Snapshot = Mapping[tuple[str, str, str], CatalogItem]


def collect(items: Iterable[CatalogItem]) -> Snapshot:
    """A snapshot of these objects."""
    return {item.id: item for item in items}


@dataclass(frozen=True)
class Difference:
    """What the second of two snapshots has more, has less, and has otherwise: before and after."""

    added: list[CatalogItem]
    dropped: list[CatalogItem]
    changed: list[tuple[CatalogItem, CatalogItem]]

    @property
    def is_empty(self) -> bool:
        """Whether the two are the same."""
        return not (self.added or self.dropped or self.changed)

    def describe(self) -> list[str]:
        """The differences, a line each."""
        return [
            *(f"+ {item.shown}" for item in self.added),
            *(f"- {item.shown}" for item in self.dropped),
            *(f"~ {item.shown}" for _, item in self.changed),
        ]


def compare(before: Snapshot, after: Snapshot) -> Difference:
    """What must be done to the first snapshot to get the second.

    The order of columns counts for nothing, nor do the names of constraints and indexes.
    """
    same = {key for key in before.keys() & after.keys() if _is_same(before[key], after[key])}
    old = {key: item for key, item in before.items() if key not in same}
    new = {key: item for key, item in after.items() if key not in same}
    by_definition = defaultdict[tuple[str, str, str], list[CatalogItem]](list)
    for item in old.values():
        if item.kind in UNNAMED:
            by_definition[item.kind, item.on, item.definition].append(item)
    for item in list(new.values()):
        found = by_definition[item.kind, item.on, item.definition]
        if found:
            del old[found.pop().id], new[item.id]
    changed = [(old[key], new[key]) for key in old if key in new]
    return Difference(
        [item for key, item in new.items() if key not in old],
        [item for key, item in old.items() if key not in new],
        changed,
    )


def _is_same(one: CatalogItem, other: CatalogItem) -> bool:
    if one.kind == "column":
        return Facts.of(one) == Facts.of(other)
    return one.definition == other.definition
