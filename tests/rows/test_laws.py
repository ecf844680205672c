"""The first law without a server, for hostile documents and manifests drawn from their paths."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from tests.oracle.equality import differences
from tests.oracle.slices import check_slice
from tests.oracle.strategies import documents, manifests
from tests.oracle.walk import NotBson, parse
from tests.rows.rebuild import PATHS, read_manifest, rebuild

from assise.rows.model import Reason


@st.composite
def migrations(draw: st.DrawFn) -> tuple[object, list[bytes]]:
    """Some documents and a manifest from their paths."""
    raws = draw(st.lists(documents(), min_size=1, max_size=6))
    return draw(manifests(raws)), raws


@pytest.mark.parametrize("number", range(4))
def test_every_document_comes_back(number: int) -> None:
    """Slices 0 and 2 on the document path, 1 and 3 on the native way."""
    path = st.just(PATHS[number % 2])
    check_slice(check_documents, migrations(), path, number=number, share=50)


def check_documents(migration: tuple[object, list[bytes]], is_native: bool) -> None:
    plain, raws = migration
    manifest = read_manifest(plain)
    root = next(name for name, table in manifest.tables.items() if table.collection)
    offsets = [sum(map(len, raws[:i])) for i in range(len(raws))]
    placed = list(zip(offsets, raws, strict=True))
    found, batch = rebuild(manifest, root, placed, is_native=is_native)
    assert len(found) + len(batch.rejected) == len(raws)
    assert {rejected.reason for rejected in batch.rejected} <= {Reason.KEY_MISFIT}
    for offset, raw in zip(offsets, raws, strict=True):
        if offset in found:
            assert differences(raw, found[offset]) == []


@pytest.mark.parametrize("number", range(2))
def test_broken_bytes_are_rejects_exactly_when_they_are_not_bson(number: int) -> None:
    path = st.just(PATHS[number])
    check_slice(check_broken_bytes, documents(), path, st.data(), number=number, share=50)


def check_broken_bytes(raw: bytes, is_native: bool, data: st.DataObject) -> None:
    manifest = read_manifest(data.draw(manifests([raw])))
    root = next(name for name, table in manifest.tables.items() if table.collection)
    broken = bytearray(raw)
    for at in data.draw(st.lists(st.integers(4, len(raw) - 1), max_size=3)):
        broken[at] = data.draw(st.sampled_from([0, 1, 5, 0x7F, 0xFF]))
    _, batch = rebuild(manifest, root, [(0, bytes(broken))], is_native=is_native)
    try:
        parse(bytes(broken))
    except NotBson:
        assert [rejected.reason for rejected in batch.rejected] == [Reason.NOT_BSON]
    else:
        assert [rejected.reason for rejected in batch.rejected] in ([], [Reason.KEY_MISFIT])
