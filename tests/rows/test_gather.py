"""Documents gathered column by column: what the strict assembler gives, or nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.equality import differences
from tests.oracle.strategies import documents, in_order, manifests
from tests.rows.rebuild import read_manifest, rows_of

from assise.errors import AssiseError
from assise.rows.assemble import Assembler, Kids, Row
from assise.rows.gather import Gatherer
from assise.rows.shred import Shredder


@st.composite
def migrations(draw: st.DrawFn) -> tuple[object, list[bytes]]:
    raws = draw(st.lists(documents().map(in_order), min_size=1, max_size=6))
    return draw(manifests(raws)), raws


VALUES: list[object] = [None, 1, "x", {}, [], {"$oid": "x"}]
NOTES = st.dictionaries(st.sampled_from(["name", "price", "a", "$oid", "place"]), st.sampled_from(VALUES))


def change(row: Row, rows: Sequence[Row], data: st.DataObject) -> Row:
    """A row in which SQL has changed a cell or two, to NULL or to what another row has."""
    changed = list(row)
    for place in data.draw(st.lists(st.integers(0, len(changed) - 1), max_size=2)):
        changed[place] = data.draw(st.sampled_from([None, *(other[place] for other in rows)]))
    if data.draw(st.integers(0, 3)) == 0:
        changed[-1] = b"\1" + json.dumps(data.draw(NOTES)).encode()
    return changed


def assemble(assembler: Assembler, row: Row, kids: Kids) -> bytes | None:
    try:
        document = assembler.assemble(row, kids)
    except (AssiseError, ValueError, TypeError, LookupError):
        return None
    return None if any(kids) else document


def gather(assembler: Assembler, like: Sequence[bytes], rows: list[Row], kids: list[Kids]) -> list[bytes | None]:
    return Gatherer(assembler, like).gather(rows, kids)


GATHERED = [0, 0]


@pytest.fixture(autouse=True, scope="module")
def some_are_gathered() -> Iterator[None]:
    yield
    assert 5 * GATHERED[1] > GATHERED[0] > 0, GATHERED


@given(migrations(), st.data())
def test_gathered_documents_are_those_of_the_strict_assembler(migration: tuple[object, list[bytes]], data: st.DataObject) -> None:
    plain, raws = migration
    manifest = read_manifest(plain)
    root = next(name for name, table in manifest.tables.items() if table.collection)
    shredder, assembler = Shredder(manifest, root), Assembler(manifest, root, is_strict=True)
    batch = shredder.shred(list(enumerate(raws)))
    pairs = [rows_of(batch, shredder, number) for number in range(len(batch.offsets))]
    loaded = [raws[offset] for offset in batch.offsets]
    found = gather(assembler, loaded, [row for row, _ in pairs], [kids for _, kids in pairs])
    for raw, document in zip(loaded, found, strict=True):
        GATHERED[0] += 1
        GATHERED[1] += document is not None
        assert document is None or differences(raw, document) == []
    changed = [(change(row, [other for other, _ in pairs], data), kids) for row, kids in pairs]
    found = gather(assembler, loaded, [row for row, _ in changed], copy.deepcopy([kids for _, kids in changed]))
    for (row, kids), document in zip(changed, found, strict=True):
        if document is not None:
            expected = assemble(assembler, row, kids)
            assert expected is not None
            assert differences(expected, document) == []
