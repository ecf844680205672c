"""Where the values of each column stand, counted by the tests' own reading of the rules."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import strategies as st
from tests.oracle.expected import Rows, Table, add_rows, read_tables
from tests.oracle.jsonform import find_unnamed
from tests.oracle.slices import check_slice
from tests.oracle.strategies import documents, manifests
from tests.oracle.walk import Value, parse
from tests.rows.rebuild import PATHS, read_manifest

from assise.documents.kinds import BINARY, KINDS
from assise.rows.columns import ColumnCounts
from assise.rows.shred import Shredder

Places = dict[tuple[str, str], Counter[str]]


@st.composite
def migrations(draw: st.DrawFn) -> tuple[dict[str, object], list[bytes]]:
    raws = draw(st.lists(documents(), min_size=1, max_size=6))
    return draw(manifests(raws)), raws


@pytest.mark.parametrize("number", range(2))
def test_every_value_at_the_path_of_a_column_is_counted(number: int) -> None:
    path = st.just(PATHS[number])
    check_slice(check_counts, migrations(), path, number=number, share=50)


def check_counts(migration: tuple[dict[str, object], list[bytes]], min_group: int) -> None:
    plain, raws = migration
    manifest, tables = read_manifest(plain), read_tables(plain)
    root = next(name for name, table in manifest.tables.items() if table.collection)
    batch = Shredder(manifest.layout, root, min_group=min_group).shred(list(enumerate(raws)))
    values: Places = {}
    rows: Rows = {table.name: [] for table in tables}
    for offset in batch.offsets:
        add_rows(rows, tables[0], parse(raws[offset]), offset)
        add_values(values, tables[0], parse(raws[offset]))
    for table in tables:
        for column in table.columns:
            if column.kind == "offset":
                continue
            count = batch.columns.get(table.name, {}).get(column.name)
            held = sum(row[column.name] is not None for row in rows[table.name])
            kinds = values.get((table.name, column.name), Counter())
            if count is None:
                assert not kinds
                continue
            assert count.held == held, (column, migration)
            assert count.held + sum(count.extra.values()) == kinds.total(), (column, migration)
            for kind in count.extra:
                assert kinds[kind] >= count.extra[kind], (column, migration)
    assert ColumnCounts.from_json(batch.columns.as_json()) == batch.columns


def add_values(values: Places, table: Table, document: Value) -> None:
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
                kinds = values.setdefault((table.name, below.column.name), Counter())
                kinds[_name(value)] += 1
            elif below.child and value.kind == "array":
                for _, element in value.fields:
                    if element.kind == "document":
                        add_values(values, below.child, element)
            elif value.kind == "document":
                nodes.append((below, value))


def _name(value: Value) -> str:
    if value.code != BINARY:
        return KINDS[value.code]
    return {0: "binary", 4: "uuid"}.get(value.number, f"binary_{value.number}")
