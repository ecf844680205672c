"""What a manifest asks for beside its tables: keys, constraints, indexes, defaults, as SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from assise.manifest.names import MAX_NAME_BYTES, cut_name, shorten
from assise.manifest.problems import Place
from assise.schema.catalog import CatalogItem
from assise.schema.sql import quote

ObjectKind = Literal[
    "generated", "default", "identity", "not null", "unique", "index", "check", "foreign key"
]

Lesser = Literal["kept", "long", "left"]
"""What stands in the place of a key: what rows that break it allow, what values that are too long
for an index allow, or nothing."""

ORDER: tuple[ObjectKind, ...] = (
    "generated",
    "default",
    "identity",
    "unique",
    "index",
    "not null",
    "check",
    "foreign key",
)
"""The order in which they are created: a foreign key refers to what is unique."""


@dataclass(frozen=True)
class Broken:
    """What rows break an object: how they are counted and found, and what they do."""

    count: str = ""
    keys: str = ""
    says: str = ""


@dataclass(frozen=True)
class Amendment:
    """What becomes of rows that break a key, where the manifest says so.

    Their `columns` are set to NULL, or their documents are rejected.

    Args:
        condition: that a row c breaks it; of duplicates, that it has values to compare.
        values: of duplicates the expressions of c that are the same.
    """

    action: Literal["null", "reject"]
    columns: tuple[str, ...]
    condition: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Object:
    """One thing that a table has because the manifest says so.

    Args:
        name: of the constraint or index; of a column's default and the like, the column.
        place: of the key in the manifest that asks for it.
        create: the statement that makes it; a foreign key without the check of old rows.
        drop: the statement that takes it away.
        instead: the statement for what can be had where rows break it.
        if_long: the statement for what can be had where values are too long for an index.
        after: the statement that follows once it is there: it checks old rows, or reads them.
        refers_to: the table that a foreign key refers to.
        forget: of a foreign key by which rows copy what rules compare, the UPDATE after which those
            that refer to no row have nothing of it, by their trigger; it ends in WHERE.
        broken: the rows that break it.
        amendment: what becomes of them, unless they are kept.
        needs: the statement that adds the columns of parts that it reads, for a trial before them.
        is_cut: whether its table is cut into partitions.
    """

    kind: ObjectKind
    table: str
    name: str
    place: Place
    create: str
    drop: str
    instead: str = ""
    if_long: str = ""
    after: str = ""
    refers_to: str = ""
    forget: str = ""
    broken: Broken = Broken()
    amendment: Amendment | None = None
    needs: str = ""
    is_cut: bool = False

    @property
    def sql(self) -> str:
        """What creates it at once, where no row breaks it."""
        return self.create.removesuffix(" NOT VALID") if self.after else self.create

    def as_item(self, on: str, *, create: str = "") -> CatalogItem:
        """What a plan sees of it on the table `on`, or of what is made in its place."""
        create = create or self.sql
        name = quote(self.name)
        definition = create.partition(f" ADD CONSTRAINT {name} ")[2]
        kind = "constraint" if definition else "not null" if self.kind == "not null" else "index"
        return CatalogItem(kind, on, name, definition, create, self.drop)

    @property
    def id(self) -> str:
        """Kind, table and name, such as `unique users.users_email_key`."""
        return f"{self.kind} {self.table}.{self.name}"

    def make_lesser(self, form: Lesser) -> str:
        """What creates that which stands in its place; empty where nothing does."""
        if form == "kept":
            return self.create if self.kind == "foreign key" else self.instead
        return self.if_long if form == "long" else ""


def lessen(objects: Iterable[Object], lesser: Mapping[str, Lesser]) -> Iterator[Object]:
    """The objects, where something lesser stands in the place of some, by their ids."""
    for each in objects:
        form = lesser.get(each.id)
        if form is None:
            yield each
        elif create := each.make_lesser(form):
            yield Object(each.kind, each.table, each.name, each.place, create, each.drop)


@dataclass
class ObjectNames:
    """Gives out names of constraints and indexes in the way of PostgreSQL, each once."""

    taken: set[str] = field(default_factory=set)

    def take(self, table: str, columns: Iterable[str], ending: str) -> str:
        """A name such as `users_email_key`."""
        size = MAX_NAME_BYTES - len(ending) - 1
        first = shorten("_".join([table, *columns]), size)
        name, number = f"{first}_{ending}", 1
        while name in self.taken:
            number += 1
            tail = f"_{ending}{number}"
            name = cut_name(first, MAX_NAME_BYTES - len(tail)) + tail
        self.taken.add(name)
        return name


def list_indexes(objects: Iterable[Object]) -> list[tuple[str, str]]:
    """The indexes among objects, with their tables: no table or other index may have their names."""
    return [(each.table, each.name) for each in objects if each.kind in {"unique", "index"}]
