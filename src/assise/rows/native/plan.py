"""The plan of a collection for the native way: its trees of levels as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from assise.documents.extjson import JsonWriter
from assise.manifest.layout import IS_DOCUMENT, MISSING, ColumnLayout
from assise.rows.tree import Level, Tree
from assise.types.codec import Codec


@dataclass(frozen=True)
class ColumnPlan:
    """A column: its position in the layout, and the index of its field behind the key columns.

    Args:
        takes: type bytes of the values that are at home or read.
    """

    position: int
    index: int
    type: str
    kind: str
    takes: list[int]
    is_key: bool = False


@dataclass(frozen=True)
class KeyPlan:
    """A key of a level: a column, a child table, a level below, or a null without a column.

    Args:
        name: the key in `_extra`, in quotes.
        absent: what goes without a note where it is missing.
    """

    key: bytes
    name: bytes
    column: ColumnPlan | None = None
    child: int | None = None
    level: int | None = None
    absent: str = MISSING


@dataclass(frozen=True)
class LevelPlan:
    """A level of documents, in the table whose fields it fills.

    Args:
        absent: the keys, by their number, that are told where they are missing.
        indexes: the fields of the level and of those below it.
        children: the child tables of the level and of those below it.
    """

    table: int
    keys: list[KeyPlan]
    absent: list[int]
    is_told: bool
    is_silent: bool
    indexes: list[int]
    children: list[int]


@dataclass(frozen=True)
class TablePlan:
    """A table: all its columns, those that are its key as a child table, and its root level."""

    width: int
    key_width: int
    root: int
    element: ColumnPlan | None


@dataclass(frozen=True)
class NativePlan:
    """A collection; `offset_bytes` is the size of a key that is the document's offset, or 0."""

    tables: list[TablePlan] = field(default_factory=list)
    levels: list[LevelPlan] = field(default_factory=list)
    key_position: int = 0
    offset_bytes: int = 0


def make_plan(tree: Tree) -> NativePlan | None:
    """The plan of a collection; None by rules 1, which the native way does not know."""
    if tree.rules == 1:
        return None
    size = {"int4": 4, "int8": 8}[tree.key.type] if tree.key.kind == "offset" else 0
    plan = NativePlan(key_position=tree.key_position, offset_bytes=size)
    for table, layout in enumerate(tree.layouts):
        column, key_width = tree.elements[table], layout.key_width
        element = None
        if column is not None:
            element = _plan_column(tree.codec(column), column, key_width, key_width)
        root = _add_level(plan, tree, tree.roots[table], table)
        plan.tables.append(TablePlan(len(layout.names), key_width, root, element))
    return plan


def _add_level(
    plan: NativePlan, tree: Tree, level: Level, table: int, *, is_silent: bool = False
) -> int:
    """Add a level and those below it to the plan; the number of the level."""
    keys = [*_plan_keys(plan, tree, level, table)]
    numbers = {key.key: number for number, key in enumerate(keys)}
    key_width = tree.layouts[table].key_width
    found = LevelPlan(
        table,
        keys,
        [numbers[key] for key in level.absent],
        level.is_told,
        is_silent,
        [position - key_width for position in level.positions()],
        [*level.children()],
    )
    plan.levels.append(found)
    return len(plan.levels) - 1


def _plan_keys(plan: NativePlan, tree: Tree, level: Level, table: int) -> Iterator[KeyPlan]:
    writer = JsonWriter(tree.form.dialect)
    key_width = tree.layouts[table].key_width

    def plan_key(
        key: bytes,
        *,
        column: ColumnPlan | None = None,
        child: int | None = None,
        inner: int | None = None,
    ) -> KeyPlan:
        name = (writer.key(key) or "").encode()
        return KeyPlan(key, name, column, child, inner, level.absent.get(key, MISSING))

    for key, position, column, codec in tree.codecs(level):
        is_key = level is tree.roots[0] and position == tree.key_position
        planned = _plan_column(codec, column, position, key_width, is_key=is_key)
        yield plan_key(key, column=planned)
    for key, child in level.arrays.items():
        yield plan_key(key, child=child)
    for key, inner in level.levels.items():
        is_silent = level.absent.get(key) == IS_DOCUMENT
        yield plan_key(key, inner=_add_level(plan, tree, inner, table, is_silent=is_silent))
    for key in level.nulls:
        yield plan_key(key)


def _plan_column(
    codec: Codec, column: ColumnLayout, position: int, key_width: int, *, is_key: bool = False
) -> ColumnPlan:
    return ColumnPlan(
        position,
        position - key_width,
        column.type,
        column.kind,
        sorted({*codec.encode, *codec.read}),
        is_key,
    )
