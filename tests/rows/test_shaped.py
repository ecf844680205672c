"""Documents that look alike are shredded column by column: with the same cells, child rows, rejects and counts as field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.oracle.strategies import documents, in_order, manifests
from tests.rows.rebuild import read_manifest, read_row

from assise.documents import shape
from assise.rows import shaped, shred
from assise.rows.shaped import ShapedShredder
from assise.rows.shred import Batch, Shredder
from assise.rows.tally import Tally
from assise.rows.tree import build_tree

TAKEN = {"documents": 0, "of them": 0, "child rows": 0}


@pytest.fixture(autouse=True, scope="module")
def every_document_counts() -> Iterator[None]:
    """Shapes are learnt from single documents, and nothing in them is too rare."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shaped, "FEWEST", 1)
        patch.setattr(shape, "RARE", 1_000_000)
        yield
    assert 3 * TAKEN["of them"] > TAKEN["documents"] > 0, TAKEN
    assert TAKEN["child rows"], TAKEN


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
    return batch.offsets, batch.keys, tables, batch.misfits, batch.values


@st.composite
def migrations(draw: st.DrawFn) -> tuple[object, list[bytes]]:
    raws = draw(st.lists(documents().map(in_order), min_size=1, max_size=6))
    order = draw(st.lists(st.sampled_from(raws), max_size=4))
    return draw(manifests(raws)), raws + order


@settings(max_examples=100, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(migrations(), st.data())
def test_both_ways_give_the_same(
    migration: tuple[object, list[bytes]], data: st.DataObject
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
    fast, slow = Shredder(manifest.layout, root), Shredder(manifest.layout, root)
    first = ShapedShredder(build_tree(manifest.layout, root), Tally()).shred(
        [raw for _, raw in given], [offset for offset, _ in given]
    )
    TAKEN["of them"] += len(first.taken)
    TAKEN["child rows"] += sum(map(len, first.rows[1:]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shred, "LARGEST_BYTES", 0)
        loaded = slow.shred(given)
    expected = contents(loaded)
    TAKEN["documents"] += len(loaded.offsets)
    assert contents(fast.shred(given)) == expected
    assert contents(fast.shred(given)) == expected
