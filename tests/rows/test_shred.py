"""Shredding: rejects with their reasons and words, and where each value is counted."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.equality import differences
from tests.oracle.leaves import count_leaves
from tests.oracle.strategies import documents, manifests
from tests.oracle.values import Element, write_array, write_document, write_text
from tests.oracle.walk import parse
from tests.rows.rebuild import PATHS, read_manifest, read_row, rebuild

from assise.rows.model import Reason, Rejected, Values
from assise.rows.shred import Shredder

NULL: Element = (0x0A, b"")
OID: Element = (0x07, bytes.fromhex("507f1f77bcf86cd799439011"))


def int32(number: int) -> Element:
    return 0x10, struct.pack("<i", number)


def text(content: bytes) -> Element:
    return 0x02, write_text(content)


def doc(**fields: Element) -> bytes:
    return write_document([(key.encode(), value) for key, value in fields.items()])


def shredder(is_native: bool, key: object = None, **columns: object) -> Shredder:
    table = {
        "collection": "t",
        "primary_key": "id",
        "columns": {"id": key or {"type": "uuid", "from": "_id"}, **columns},
    }
    child = {
        "parent": "t",
        "from": "items.*",
        "primary_key": ["t_id", "_position"],
        "columns": {"n": "int4"},
    }
    plain = {"assise": 1, "name": "a", "tables": {"t": table, "items": child}}
    return Shredder(read_manifest(plain).layout, "t", is_native=is_native)


@pytest.mark.parametrize(
    ("raw", "reason", "detail"),
    [
        (b"\6\0\0\0\1\0", Reason.NOT_BSON, "a key without a terminator at byte 4"),
        (doc(_id=OID, a=(0x08, b"\2")), Reason.NOT_BSON, "a boolean that is 2 at byte 24"),
        (
            doc(_id=OID, name=(0x02, struct.pack("<i", 99) + b"a\0")),
            Reason.NOT_BSON,
            "a length points outside the document at byte 0",
        ),
        (doc(_id=OID, a=(0x55, b"")), Reason.NOT_BSON, "unknown BSON type 85 at byte 0"),
        (doc(a=OID), Reason.KEY_MISFIT, "no _id"),
        (write_document([(b"_id", OID), (b"_id", OID)]), Reason.KEY_MISFIT, "2 fields _id"),
        (doc(_id=int32(7)), Reason.KEY_MISFIT, "_id 7 (int32) does not fit uuid, kind objectid"),
        (doc(_id=NULL), Reason.KEY_MISFIT, "_id null (null) does not fit uuid, kind objectid"),
        (
            doc(_id=(0x03, doc(a=text(b"x")))),
            Reason.KEY_MISFIT,
            '_id {"a":"x"} (document) does not fit uuid, kind objectid',
        ),
        (
            doc(_id=text(b"\xff")),
            Reason.KEY_MISFIT,
            '_id {"$bson":"DQAAAAIAAgAAAP8AAA=="} (string) does not fit uuid, kind objectid',
        ),
    ],
)
def test_a_reject_has_its_reason_in_words_its_place_and_its_bytes(
    is_native: bool, raw: bytes, reason: Reason, detail: str
) -> None:
    fine = doc(_id=OID, name=text(b"a"))
    batch = shredder(is_native, name="text").shred([(0, fine), (1000, raw), (2000, fine)])
    assert [*batch.offsets] == [0, 2000]
    assert batch.rejected == [Rejected(1000, reason, detail, raw)]
    assert batch.values == Values(4, 0, 0, 0)


def test_a_long_id_is_cut_in_the_words_of_a_reject(is_native: bool) -> None:
    [rejected] = shredder(is_native).shred([(0, doc(_id=text(b"x" * 9_000)))]).rejected
    assert rejected.detail == '_id "' + "x" * 199 + " (string) does not fit uuid, kind objectid"


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        ({"name": text(b"a")}, Values(2, 0, 0, 0)),
        ({"name": int32(1)}, Values(1, 1, 0, 0)),
        ({"name": (0x01, bytes(8))}, Values(1, 0, 0, 1)),
        ({"name": NULL}, Values(1, 0, 0, 1)),
        ({"tags": (0x04, write_array([text(b"a"), NULL, text(b"b")]))}, Values(4, 0, 0, 0)),
        ({"tags": (0x04, write_array([]))}, Values(2, 0, 0, 0)),
        ({"tags": (0x04, write_array([text(b"a"), int32(1)]))}, Values(1, 2, 0, 0)),
        ({"tags": (0x04, write_array([text(b"a"), (0x01, bytes(8))]))}, Values(1, 0, 0, 2)),
        ({"tags": text(b"a")}, Values(1, 1, 0, 0)),
        ({"any": int32(1)}, Values(1, 0, 1, 0)),
        (
            {
                "any": (
                    0x03,
                    doc(
                        a=int32(1),
                        b=(0x03, doc()),
                        c=(0x04, write_array([NULL, NULL])),
                    ),
                )
            },
            Values(1, 0, 4, 0),
        ),
        ({"any": NULL}, Values(1, 0, 0, 1)),
        ({"city": (0x03, doc(name=text(b"a"), other=NULL))}, Values(2, 0, 0, 1)),
        ({"city": (0x03, doc())}, Values(1, 0, 0, 1)),
        ({"items": (0x04, write_array([]))}, Values(1, 0, 0, 1)),
        (
            {
                "items": (
                    0x04,
                    write_array(
                        [
                            (0x03, doc(n=int32(1))),
                            (0x03, doc(x=NULL)),
                            int32(7),
                            (0x03, doc()),
                        ]
                    ),
                )
            },
            Values(3, 0, 0, 2),
        ),
        ({"other": (0x03, doc())}, Values(1, 0, 0, 1)),
    ],
)
def test_each_value_is_counted_where_its_exact_form_stands(
    is_native: bool, fields: dict[str, Element], values: Values
) -> None:
    raw = doc(_id=OID, **fields)
    city = {"type": "text", "from": "city.name"}
    table = shredder(is_native, name="text", tags="text[]", any="jsonb", city=city)
    batch = table.shred([(0, raw)])
    assert batch.values == values
    assert sum(vars(values).values()) == count_leaves(parse(raw))
    assert table.count_values(batch, {0: raw}) == (values, batch.columns)


def test_a_key_of_kind_any_counts_every_value_of_the_id(is_native: bool) -> None:
    key = {"type": "text", "from": "_id", "kind": "any"}
    pair = doc(_id=(0x03, doc(a=int32(1), b=NULL)))
    long = doc(_id=(0x03, doc(a=text(b"x" * 2_000), b=NULL)))
    table = shredder(is_native, key)
    batches = [table.shred([(0, raw)]) for raw in (pair, long)]
    assert [batch.values for batch in batches] == [Values(2, 0, 0, 0), Values(0, 0, 0, 2)]
    for batch, raw in zip(batches, (pair, long), strict=True):
        assert table.count_values(batch, {0: raw}) == (batch.values, batch.columns)


@st.composite
def migrations(draw: st.DrawFn) -> tuple[object, list[bytes]]:
    raws = draw(st.lists(documents(), min_size=1, max_size=4))
    return draw(manifests(raws)), raws


@given(migrations(), st.sampled_from(PATHS))
def test_the_counts_are_all_values_of_the_document(
    migration: tuple[object, list[bytes]], is_native: bool
) -> None:
    plain, raws = migration
    manifest = read_manifest(plain)
    root = next(name for name, table in manifest.tables.items() if table.collection)
    shredder = Shredder(manifest.layout, root, is_native=is_native)
    batch = shredder.shred(list(enumerate(raws)))
    assert len(batch.offsets) == len(batch.keys) == len(batch.rows[0])
    leaves = sum(count_leaves(parse(raws[offset])) for offset in batch.offsets)
    assert sum(vars(batch.values).values()) == leaves, (plain, raws)
    loaded = {number: raws[offset] for number, offset in enumerate(batch.offsets)}
    assert shredder.count_values(batch, loaded) == (batch.values, batch.columns)
    for number, raw in loaded.items():
        alone = shredder.shred([(number, raw)])
        counts = alone.values, alone.columns
        assert shredder.count_values(batch, {number: raw}) == counts, (plain, raw)


def test_extra_is_null_when_there_is_nothing_to_say_and_mirrors_the_document_otherwise(
    is_native: bool,
) -> None:
    table = shredder(is_native, name="text", city={"type": "text", "from": "city.name"})
    full = doc(
        _id=OID,
        name=text(b"a"),
        city=(0x03, doc(name=text(b"b"))),
        items=(0x04, write_array([(0x03, doc(n=int32(1)))])),
    )
    odd = doc(
        _id=OID,
        name=int32(1),
        city=(0x03, doc(name=NULL, zip=text(b"z"))),
        items=(0x04, write_array([NULL, (0x03, doc(n=text(b"x")))])),
    )
    batch = table.shred([(0, full), (1, odd)])
    first, second = (read_row(row)[-1] for row in batch.rows[0])
    assert first is None
    assert second is not None
    assert json.loads(second[1:]) == {"name": 1, "city": {"name": None, "zip": "z"}}
    pairs = sorted(zip(batch.owners[1], batch.rows[1], strict=True))
    cells = [(read_row(row)[1:3], read_row(row)[-1]) for _, row in pairs]
    assert cells == [
        ([bytes(4), b"\0\0\0\1"], None),
        ([bytes(4), None], b'\x01{"$element":null}'),
        ([b"\0\0\0\1", None], b'\x01{"n":"x"}'),
    ]
    assert ([*batch.owners[0]], sorted(batch.owners[1])) == ([0, 1], [0, 1, 1])


@pytest.mark.parametrize(
    "column",
    [
        {},
        {"money": {"type": "int4", "from": "$bson"}},
        {"money": {"type": "text", "from": "$bson"}},
    ],
)
def test_a_field_called_bson_stays_beside_fields_that_json_cannot_name(
    is_native: bool,
    column: dict[str, object],
) -> None:
    fields = [
        (b"$bson", int32(5)),
        (b"x", int32(1)),
        (b"x", int32(2)),
        (b"\xff", NULL),
    ]
    inner = write_document(fields)
    raw = write_document([(b"_id", OID), *fields, (b"city", (0x03, inner))])
    table = {
        "collection": "t",
        "primary_key": "id",
        "columns": {
            "id": {"type": "uuid", "from": "_id"},
            "n": {"type": "int4", "from": "city.n"},
            **column,
        },
    }
    manifest = read_manifest({"assise": 1, "name": "a", "tables": {"t": table}})
    found, _ = rebuild(manifest, "t", [(0, raw)], is_native=is_native)
    assert differences(raw, found[0]) == []
