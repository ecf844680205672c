"""The columnar path gives the cells, child rows, rejects and counts of the document path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby

import bson
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.oracle.strategies import documents, in_order, manifests
from tests.rows.rebuild import read_manifest, read_row

from assise.documents.shape import Shape
from assise.rows.columnar.shred import ColumnarShredder
from assise.rows.counts import CountingWriters
from assise.rows.model import Batch
from assise.rows.shred import Shredder
from assise.rows.tree import build_tree


@pytest.fixture(scope="module")
def every_document_counts() -> Iterator[None]:
    """Shapes are learnt from single documents, and nothing in them is too rare."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shape, "RARE", 1_000_000)
        yield


@pytest.fixture
def taken() -> Iterator[dict[str, int]]:
    """Counts the documents, and those of them that are taken: more than a third."""
    counts = {"documents": 0, "of them": 0}
    yield counts
    assert 3 * counts["of them"] > counts["documents"] > 0, counts


def read_cells(row: bytes) -> list[object]:
    """The cells of a row; jsonb as its value, numbers as their texts."""
    return [
        cell if cell is None or cell[:1] != b"\1" or cell[1:2] != b"{" else read_jsonb(cell)
        for cell in read_row(row)
    ]


def read_jsonb(cell: bytes) -> object:
    return json.dumps(json.loads(cell[1:], parse_float=str, parse_int=str), sort_keys=True)


def contents(batch: Batch) -> object:
    """All of a batch, child rows in the order of their documents."""
    tables = []
    for rows, owners in zip(batch.rows, batch.owners, strict=True):
        pairs = sorted(
            zip(owners, rows, strict=True),
            key=lambda pair: (pair[0], read_row(pair[1])[:3] and pair[1][2:80]),
        )
        tables.append(
            [
                (owner, sorted(map(str, map(read_cells, (row for _, row in group)))))
                for owner, group in groupby(pairs, key=lambda p: p[0])
            ]
        )
    return batch.offsets, batch.keys, tables, batch.rejected, batch.values


@st.composite
def migrations(draw: st.DrawFn) -> tuple[object, list[bytes]]:
    raws = draw(st.lists(documents().map(in_order), min_size=1, max_size=6))
    order = draw(st.lists(st.sampled_from(raws), max_size=4))
    has_readings = draw(st.integers(0, 7)) == 0
    return draw(manifests(raws, has_readings=has_readings)), raws + order


@pytest.mark.usefixtures("every_document_counts")
@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(migrations(), st.data())
def test_both_ways_give_the_same(
    taken: dict[str, int], migration: tuple[object, list[bytes]], data: st.DataObject
) -> None:
    plain, raws = migration
    manifest = read_manifest(plain)
    root = next(name for name, table in manifest.tables.items() if table.collection)
    broken = [bytearray(raw) for raw in raws if data.draw(st.integers(0, 9)) == 0]
    for raw in broken:
        raw[data.draw(st.integers(4, len(raw) - 1))] = data.draw(
            st.sampled_from([0, 1, 2, 5, 0x7F, 0xFF])
        )
    given = list(enumerate([*raws, *map(bytes, broken)]))
    fast = Shredder(manifest.layout, root, min_group=1)
    tree = build_tree(manifest.layout, root)
    first = ColumnarShredder(tree, CountingWriters(tree), min_group=1).shred(given)
    taken["of them"] += len(first.taken)
    loaded = Shredder(manifest.layout, root, min_group=0).shred(given)
    expected = contents(loaded)
    taken["documents"] += len(loaded.offsets)
    for _ in range(2):
        found = fast.shred(given)
        assert contents(found) == expected
        assert found.columns == loaded.columns


CHILD_TABLES = {
    "t": {
        "collection": "t",
        "primary_key": "id",
        "columns": {"id": {"type": "int4", "from": "_id"}, "city": "text"},
    },
    "items": {
        "parent": "t",
        "from": "items.*",
        "primary_key": ["t_id", "_position"],
        "columns": {"n": "int4", "at": "timestamptz"},
    },
    "parts": {
        "parent": "items",
        "from": "box.parts.*",
        "primary_key": ["t_id", "_position", "_position_2"],
        "columns": {"n": "int8"},
    },
}


def test_child_rows_of_documents_that_look_alike_are_taken() -> None:
    """A value of a kind that is not read is noted; an element that is not a document, or an empty one, leaves
    its whole document to the document path.
    """
    layout = read_manifest({"assise": 1, "name": "a", "tables": CHILD_TABLES}).layout
    item = {"n": 1, "box": {"parts": [{"n": 1, "odd": "x"}, {"n": 2, "odd": "y"}]}}
    fine = [{"_id": n, "city": "Lyon", "items": [item] * n} for n in range(1, 4)]
    odd = [
        {"_id": 4, "city": "Lyon", "items": [item, 7]},
        {"_id": 5, "city": "Lyon", "items": [{**item, "n": True}]},
        {"_id": 6, "city": 6, "items": [{"n": 1, "box": {"parts": [{}]}}]},
    ]
    given = [(n, bson.encode(document)) for n, document in enumerate([*fine, *odd])]
    tree = build_tree(layout, "t")
    columnar = ColumnarShredder(tree, CountingWriters(tree), min_group=1)
    found = columnar.shred(given)
    assert found.taken == [0, 1, 2, 4]
    assert [len(rows) for rows in found.rows] == [4, 7, 14]
    fast, slow = (Shredder(layout, "t", min_group=min_group) for min_group in (1, 0))
    assert contents(fast.shred(given)) == contents(slow.shred(given))


def test_empty_arrays_and_documents_are_noted_as_the_document_path_does() -> None:
    """Some of a group are empty, at the root, in an element and in a flattened document."""
    tables: dict[str, object] = {**CHILD_TABLES}
    columns = {
        "id": {"type": "int4", "from": "_id"},
        "street": {"type": "text", "from": "at.street"},
    }
    tables["t"] = {**CHILD_TABLES["t"], "columns": columns}
    layout = read_manifest({"assise": 1, "name": "a", "tables": tables}).layout
    items: list[list[dict[str, object]]] = [
        [{"n": 1, "box": {"parts": [{"n": 1}]}}],
        [],
        [{"n": 2, "box": {"parts": []}}],
        [],
    ]
    given = [
        (n, bson.encode({"_id": n, "at": {"street": "rue"} if n % 2 else {}, "items": each}))
        for n, each in enumerate(items * 3)
    ]
    tree = build_tree(layout, "t")
    columnar = ColumnarShredder(tree, CountingWriters(tree), min_group=1)
    assert len(columnar.shred(given).taken) > 3
    fast, slow = (Shredder(layout, "t", min_group=min_group) for min_group in (1, 0))
    assert contents(fast.shred(given)) == contents(slow.shred(given))
