"""Where the values of each column stand, counted by the tests' own reading of the rules."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from tests.oracle.expected import Column, Rows, Table, add_rows, read_tables
from tests.oracle.fits import find_fit, find_key_fit
from tests.oracle.jsonform import find_unnamed
from tests.oracle.slices import check_slice
from tests.oracle.strategies import documents, manifests
from tests.oracle.walk import Value, parse
from tests.rows.rebuild import PATHS, read_manifest

from assise.documents.kinds import BINARY, KINDS
from assise.rows.columns import ColumnCounts
from assise.rows.shred import Shredder

Place = tuple[str, str]


@dataclass
class Found:
    """The values at the paths of columns by their kinds, and how many are read."""

    kinds: dict[Place, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    read: Counter[Place] = field(default_factory=Counter)

    def add(self, table: Table, column: Column, value: Value) -> None:
        """Add one value."""
        if table.key is column:
            fit = find_key_fit(value, column.type, column.kind)
        else:
            fit = find_fit(value, column.type, column.kind, column.reads)
        self.kinds[table.name, column.name][_name(value)] += 1
        self.read[table.name, column.name] += fit.fits and not fit.home


@st.composite
def migrations(draw: st.DrawFn) -> tuple[dict[str, object], list[bytes]]:
    raws = draw(st.lists(documents(), min_size=1, max_size=6))
    return draw(manifests(raws)), raws


@pytest.mark.parametrize("number", range(2))
def test_every_value_at_the_path_of_a_column_is_counted(number: int) -> None:
    path = st.just(PATHS[number])
    check_slice(check_counts, migrations(), path, number=number, share=50)


def check_counts(migration: tuple[dict[str, object], list[bytes]], is_native: bool) -> None:
    plain, raws = migration
    manifest, tables = read_manifest(plain), read_tables(plain)
    root = next(name for name, table in manifest.tables.items() if table.collection)
    batch = Shredder(manifest.layout, root, is_native=is_native).shred(list(enumerate(raws)))
    found = Found()
    rows: Rows = {table.name: [] for table in tables}
    for offset in batch.offsets:
        add_rows(rows, tables[0], parse(raws[offset]), offset)
        add_values(found, tables[0], parse(raws[offset]))
    for table in tables:
        for column in table.columns:
            if column.kind == "offset":
                continue
            count = batch.columns.get(table.name, {}).get(column.name)
            held = sum(row[column.name] is not None for row in rows[table.name])
            kinds = found.kinds[table.name, column.name]
            if count is None:
                assert not kinds
                continue
            assert count.held == held, (column, migration)
            assert count.read == found.read[table.name, column.name], (column, migration)
            assert count.held + sum(count.extra.values()) == kinds.total(), (column, migration)
            for kind in count.extra:
                assert kinds[kind] >= count.extra[kind], (column, migration)
    assert ColumnCounts.from_json(batch.columns.as_json()) == batch.columns


def add_values(found: Found, table: Table, document: Value) -> None:
    """Add the values at the paths of a table's columns, and of those below it."""
    nodes = [(table.root, document)]
    while nodes:
        node, level = nodes.pop()
        unnamed = {key for key, _ in find_unnamed(level.fields)}
        for key, value in level.fields:
            below = node.level.get(key.decode(errors="replace")) if key not in unnamed else None
            if below is None:
                continue
            if below.column:
                found.add(table, below.column, value)
            elif below.child and value.kind in {"array", "document"}:
                is_array = value.kind == "array"
                elements = [element for _, element in value.fields] if is_array else [value]
                add_elements(found, below.child, elements, is_array=is_array)
            elif value.kind == "document":
                nodes.append((below, value))


def add_elements(found: Found, table: Table, elements: list[Value], *, is_array: bool) -> None:
    """Add the values of the rows of a child table; one document may stand in place of an array."""
    for element in elements:
        if table.element and is_array:
            found.add(table, table.element, element)
        elif table.element is None and element.kind == "document":
            add_values(found, table, element)


def _name(value: Value) -> str:
    if value.code != BINARY:
        return KINDS[value.code]
    return {0: "binary", 4: "uuid"}.get(value.number, f"binary_{value.number}")
