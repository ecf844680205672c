"""The crate weaves rows as Python does, byte for byte."""

from __future__ import annotations

from collections import Counter

import bson
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.rows.rebuild import read_manifest
from tests.rows.woven import TABLES, draw_woven, merge, migrations

from assise.native import find_native
from assise.rows.shred import Shredder
from assise.rows.weave import LONGEST, Weave, Weaver

pytestmark = pytest.mark.skipif(find_native() is None, reason="assise-native is not installed")


@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(migrations(), st.data())
def test_both_ways_weave_the_same(
    migration: tuple[object, list[bytes]], data: st.DataObject
) -> None:
    plain, raws = migration
    layout = read_manifest(plain).layout
    shredder = Shredder(layout, next(iter(layout.roots)))
    batch = shredder.shred(enumerate(raws))
    woven = draw_woven(data, shredder.layouts)
    ways = [Weaver(shredder.layouts, woven, is_native=way).weave(batch) for way in (True, False)]
    native, exact = ([[*rows] for rows in merge(batch, found)] for found in ways)
    assert native == exact


def test_rows_of_the_crate_are_woven_by_the_crate() -> None:
    layout = read_manifest({"assise": 1, "name": "a", "tables": TABLES}).layout
    shredder = Shredder(layout, "t")
    children = [{"inner": [1]}] * 2
    raws = [bson.encode({"_id": n, "children": children, "v": "v"}) for n in range(3)]
    batch = shredder.shred(enumerate(raws))
    woven = {"child": {"v": "v"}, "grandchild": {"v": "v"}}
    found = Weaver(shredder.layouts, woven).weave(batch)
    pieces = Counter({i: len(rows.joined()) for i, rows in found.items()})
    assert pieces == {1: 1, 2: 1}
    assert [len(rows) for rows in found.values()] == [6, 6]


@pytest.mark.parametrize(
    ("parents", "children"),
    [
        ((b"", b"", b""), (b"\0\1" + bytes(4), b"\6\0\0\0", bytes(4))),
        ((b"\0\1\0\0\0\x09a", b"\7\0\0\0", bytes(4)), (b"\0\1" + bytes(4), b"\6\0\0\0", bytes(4))),
        ((b"\0\1" + bytes(4), b"\6\0\0\0", bytes(4)), (b"\0\1", b"\x09\0\0\0", bytes(4))),
        ((b"\0\1" + bytes(4), b"\6\0\0\0", bytes(4)), (b"\0", b"\1\0\0\0", bytes(4))),
        (
            (b"\0\1" + bytes(4), b"\6\0\0\0", bytes(4)),
            (b"\0\1" + bytes(4), b"\6\0\0\0", b"\1\0\0\0"),
        ),
    ],
    ids=["no parents", "a field cut off", "a row cut off", "no head", "no parent"],
)
def test_rows_that_are_none_are_left_to_python(
    parents: tuple[bytes, ...], children: tuple[bytes, ...]
) -> None:
    module = find_native()
    assert module is not None
    assert module.weave_rows(parents, children, Weave(1, 0, 0, (0,), 2), LONGEST) is None
