"""The native way gives the rows, rejects and counts of the document path, byte for byte."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import bson
import pytest
from bson.datetime_ms import DatetimeMS
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.oracle.strategies import documents, in_order, manifests
from tests.rows.rebuild import contents, read_manifest

from assise.manifest.layout import Layout
from assise.native import find_native
from assise.rows.model import Batch, Document
from assise.rows.native.plan import make_plan
from assise.rows.shred import Shredder
from assise.rows.tree import build_tree
from assise.types.table import TYPES, find_type

pytestmark = pytest.mark.skipif(find_native() is None, reason="assise-native is not installed")


@pytest.fixture
def taken() -> Iterator[Counter[str]]:
    """Counts the documents, and those of them that the crate declines: some, and not all."""
    counts = Counter[str]()
    yield counts
    assert 0 < counts["declined"] < counts["documents"] * 0.95, counts


def compare_ways(layout: Layout, root: str, given: list[Document]) -> Batch:
    """Shred on both ways; what the native one gives."""
    native = Shredder(layout, root)
    exact = Shredder(layout, root, is_native=False).shred(given)
    found = native.shred(given)
    if contents(found) != contents(exact):
        alone = [Shredder(layout, root, is_native=is_native) for is_native in (True, False)]
        for document in given:
            first, second = [contents(shredder.shred([document])) for shredder in alone]
            assert first == second, document
    assert contents(found) == contents(exact)
    return found


MOMENT = datetime(2024, 2, 29, 23, 59, 59, 123_000, tzinfo=UTC)
ID = bson.ObjectId("507f1f77bcf86cd799439011")
UUID_TEXT = "507f1f77-bcf8-46cd-8799-439011000001"
VALUES: list[object] = [
    *(0, 1, -1, 7, 32_767, 32_768, -32_769, 2**31 - 1, 10_000, 99_990_000),
    *map(bson.Int64, (0, 5, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, -(2**63))),
    *(0.0, -0.0, 1.0, 10.0, 9.99, -2.5, 0.1, 1e16, 1e22, 1.5e-7, 5e-324, 1.7976931348623157e308),
    *(2.0**53, 2.0**63, -(2.0**63), 2.0**64, 123456789012345680.0, 1 / 3, 100.005, 1e5, 1e-5),
    *(float("nan"), float("inf"), float("-inf")),
    *("", "a", "é😀", "true", "12", "-0", "007", "-7", "9" * 19, "9" * 20, "x" * 30, "a\0b"),
    *(
        str(ID),
        str(ID).upper(),
        UUID_TEXT,
        UUID_TEXT.upper(),
        "507f1f77-bcf8-86cd-8799-439011000000",
    ),
    *("2024-02-29", "2023-02-29", "0001-01-01", "9999-12-31", "2024-2-29", "0000-01-01"),
    *("2024-02-29T23:59:59Z", "2024-02-29T23:59:59.123Z", "2024-02-29T23:59:59.1234567Z"),
    *("2024-02-29T23:59:59.1230009Z", "2024-02-29T23:59:59.0000001Z"),
    *("2024-02-29T23:59:59.120Z", "2024-02-29T23:59:59+02:00", "2024-02-29T24:00:00Z"),
    *("2024-02-29T23:59:59.000Z", "2024-02-29T23:59:60Z", "0001-01-01T00:00:00+05:30"),
    *("2024-02-29T23:59:59-15:59", "2024-02-29T23:59:59+16:00", "9999-12-31T23:59:59.999999999Z"),
    *(MOMENT, datetime(2024, 1, 2, tzinfo=UTC), datetime(1960, 1, 1, 1, tzinfo=UTC)),
    *map(DatetimeMS, (-62_135_596_800_000, 253_402_300_800_000, 2**62, -210_866_803_200_001)),
    *(True, False, None, ID, bson.Timestamp(1_700_000_000, 3), bson.Decimal128("1.50")),
    *(bson.Binary(b"ab"), bson.Binary(bytes(16), 4), bson.Binary(bytes(16), 3)),
    *(bson.Binary(bytes.fromhex("507f1f77bcf886cd8799439011000000"), 4), bson.Binary(b"abc", 2)),
    *(
        bson.Binary(b"", 128),
        bson.Regex('a"b', "i"),
        bson.MinKey(),
        bson.MaxKey(),
        bson.Code("f()"),
    ),
    *([], [1], [1, None, 2], ["a", "b"], [ID], [1.5, 2], [MOMENT], [[1]], [1, "a"], [{"a": 1}]),
    *({}, {"a": {"b": [1, "x", {"$oid": 1}]}}, {"$ref": "c", "$id": ID}, {"tab\t": "\x01\n\\"}),
]
"""Values of every kind, with those at the edges of types."""

MODIFIED = (
    *("varchar(3)", "numeric(6,2)", "numeric(3,0)", "numeric(38,10)"),
    *("timestamptz(3)", "timestamptz(0)"),
)
EXACT_ONLY = re.compile(r"decimal|uuid_(java|csharp|python)|numeric.*text")
"""Types and kinds that the crate leaves to the document path."""


@pytest.mark.parametrize("column_type", [*TYPES, *MODIFIED, "varchar(3)[]", "numeric(6,2)[]"])
def test_every_type_holds_what_the_document_path_holds(column_type: str) -> None:
    """Alone, as an element of a child table, and where null goes without a note, of both."""
    documents = [bson.encode({"_id": i, "v": value, "w": 1}) for i, value in enumerate(VALUES)]
    lists = [bson.encode({"_id": i, "list": [value] * 2}) for i, value in enumerate(VALUES)]
    lists += [bson.encode({"_id": len(VALUES), "list": None}), bson.encode({"_id": -1})]
    for kind in find_type(column_type).codecs:
        if kind == "any":
            continue
        column = {"type": column_type, "kind": kind, "from": "v"}
        tables: dict[str, object] = {
            "t": {
                "collection": "t",
                "primary_key": "id",
                "columns": {
                    "id": {"type": "int4", "from": "_id"},
                    "v": {**column, "absent": "null"},
                },
            },
            "plain": {
                "collection": "plain",
                "primary_key": "id",
                "columns": {"id": {"type": "int4", "from": "_id"}, "v": column},
            },
        }
        if column_type != "jsonb" and not column_type.endswith("[]"):
            tables["list"] = {
                "parent": "t",
                "from": "list.*",
                "primary_key": ["t_id", "position"],
                "absent": "null",
                "columns": {"item": {**column, "from": "*"}},
            }
        layout = read_manifest({"assise": 1, "name": "a", "tables": tables}).layout
        compare_ways(layout, "t", list(enumerate(lists)))
        for root in ("t", "plain"):
            found = compare_ways(layout, root, list(enumerate(documents)))
            if not EXACT_ONLY.search(f"{column_type} {kind}"):
                assert found.declined < len(documents) / 4


@st.composite
def migrations(draw: st.DrawFn) -> tuple[object, list[bytes]]:
    raws = draw(st.lists(documents().map(in_order), min_size=1, max_size=6))
    order = draw(st.lists(st.sampled_from(raws), max_size=4))
    has_readings = draw(st.integers(0, 1)) == 0
    return draw(manifests(raws, has_readings=has_readings)), raws + order


@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(migrations(), st.data())
def test_both_ways_give_the_same(
    taken: Counter[str], migration: tuple[object, list[bytes]], data: st.DataObject
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
    found = compare_ways(manifest.layout, root, given)
    taken["documents"] += len(given)
    taken["declined"] += found.declined


def test_what_panics_is_left_to_the_document_path(capfd: pytest.CaptureFixture[str]) -> None:
    columns = {"id": {"type": "int4", "from": "_id"}, "v": "text"}
    tables = {"t": {"collection": "t", "primary_key": "id", "columns": columns}}
    tree = build_tree(read_manifest({"assise": 1, "name": "a", "tables": tables}).layout, "t")
    module, plan = find_native(), make_plan(tree)
    assert module is not None
    assert plan is not None
    [level] = plan.levels
    keys = [replace(key, column=None, child=7) if key.key == b"v" else key for key in level.keys]
    broken = replace(plan, levels=[replace(level, keys=keys)])
    raws = [bson.encode({"_id": n, "v": ["a"]}) for n in range(2)]
    left_out, _, found, *_ = module.Shredder.compile(broken).shred([*enumerate(raws)])
    assert (left_out, found) == ([0, 1], [])
    assert "panicked" in capfd.readouterr().err
    assembler = module.Assembler.compile(broken)
    assert assembler.assemble(raws, [[bytes(4), b"a", None]] * 2, [[{}], [{}]]) == [None, None]
    assert "panicked" in capfd.readouterr().err
