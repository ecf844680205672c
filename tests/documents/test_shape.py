"""Shapes read what looks alike, and nothing whose lengths are not what was matched."""

from __future__ import annotations

import struct

import bson
import pytest
from tests.oracle.values import write_document, write_text

from assise.documents.kinds import (
    ARRAY,
    BINARY,
    BOOL,
    DATE,
    DOCUMENT,
    DOUBLE,
    INT32,
    INT64,
    NULL,
    STRING,
)
from assise.documents.shape import RARE, Parsed, Path, Shape, Slot, Value


def everything(_path: Path) -> bool:
    return True


def nothing(_path: Path) -> bool:
    return False


def values_of(shape: Shape, parsed: Parsed) -> list[dict[tuple[str, int], Value]]:
    """The values of each document that was read, by path and kind."""
    found: list[dict[tuple[str, int], Value]] = [{} for _ in parsed.hits]
    for slot, column in zip(shape.slots, parsed.columns, strict=True):
        name = b".".join(slot.path).decode(), slot.kind
        for values, value in zip(found, column, strict=True):
            if value is not None:
                values[name] = value
    return found


def text(content: bytes) -> bytes:
    return write_text(content)


def test_values_are_read_by_path_and_kind_and_missing_ones_are_none() -> None:
    inner, other = {"d": None, "e": 2.5}, {"e": True}
    documents: list[dict[str, object]] = [
        {"a": 1, "b": "x", "c": inner},
        {"a": "y", "c": other},
        {"b": "z"},
        {},
    ]
    raws = [bson.encode(each) for each in documents]
    shape = Shape(raws, everything)
    found = values_of(shape, parsed := shape.parse(raws))
    assert parsed.hits == [0, 1, 2, 3]
    assert found == [
        {
            ("a", INT32): struct.pack("<i", 1),
            ("b", STRING): text(b"x"),
            ("c", DOCUMENT): bson.encode(inner),
            ("c.d", NULL): b"",
            ("c.e", DOUBLE): struct.pack("<d", 2.5),
        },
        {
            ("a", STRING): text(b"y"),
            ("c", DOCUMENT): bson.encode(other),
            ("c.e", BOOL): b"\1",
        },
        {("b", STRING): text(b"z")},
        {},
    ]


def test_what_is_not_inlined_is_one_value_and_what_follows_is_read_behind_it() -> None:
    inner = {"list": [1, {"x": "y"}], "n": 7}
    raws = [
        bson.encode(each)
        for each in (
            {"a": inner, "b": b"\0\1", "c": [1]},
            {"b": "text", "c": None},
            {"a": inner, "c": [[]]},
        )
    ]
    for inlined in (nothing, everything):
        shape = Shape(raws, inlined)
        found = values_of(shape, parsed := shape.parse(raws))
        assert parsed.hits == [0, 1, 2]
        assert found[0]["a", DOCUMENT] == bson.encode(inner)
        assert found[0]["b", BINARY] == b"\2\0\0\0\0\0\1"
        assert found[1] == {("b", STRING): text(b"text"), ("c", NULL): b""}
        assert found[2]["c", ARRAY] == bson.encode({"0": []})
        assert (("a.n", INT32) in found[0]) is (inlined is everything)


def test_most_documents_say_in_which_order_keys_stand() -> None:
    usual, other = (
        bson.encode({"a": 1, "b": 2, "c": 3, "d": 4}),
        bson.encode({"d": 4, "a": 1, "c": 3}),
    )
    shape = Shape([other, usual, usual, usual], everything)
    assert [slot.path for slot in shape.slots] == [(b"a",), (b"b",), (b"c",), (b"d",)]
    assert shape.parse([other, usual, bson.encode({"b": 2, "d": 4})]).hits == [1, 2]


def test_rare_kinds_and_keys_that_are_no_text_are_left_out() -> None:
    usual = bson.encode({"a": 1})
    raws = [usual] * (RARE + 1) + [
        bson.encode({"a": "x"}),
        write_document([(b"\xff", (0x0A, b""))]),
    ]
    shape = Shape(raws, everything)
    assert shape.slots == [Slot((b"a",), INT32)]
    assert shape.parse(raws[-3:]).hits == [0]


LIKE = {"_id": 1, "s": "abc", "in": {"t": "x", "when": bson.Int64(5)}, "ok": False, "last": None}


def broken(old: bytes, new: bytes, document: dict[str, object] | None = None) -> bytes:
    raw = bson.encode(document or LIKE)
    assert raw.count(old) == 1
    return raw.replace(old, new)


@pytest.mark.parametrize(
    "raw",
    [
        bson.encode({**LIKE, "s": "a\0c"}),
        broken(b"\4\0\0\0abc\0", b"\3\0\0\0abc\0"),
        broken(b"\4\0\0\0abc\0", b"\xff\xff\xff\xffabc\0"),
        broken(b"\4\0\0\0abc\0", b"\0\0\0\x80abc\0"),
        broken(b"\x08ok\0\0", b"\x08ok\0\2"),
        broken(b"\x03in\0", b"\x04in\0"),
        broken(b"\x02s\0", b"\x02S\0"),
        broken(b"\x03in\0\x1c", b"\x03in\0\x1d"),
        broken(b"\x0alast\0\0", b"\x0alast\0\0\0"),
        bson.encode(LIKE)[:-1] + b"\1",
        bson.encode(LIKE) + b"\0",
        bson.encode(LIKE)[:-1],
        b"\5\0\0\0",
        b"",
        write_document([(b"_id", (0x10, bytes(4))), (b"_id", (0x10, bytes(4)))]),
        bson.encode({"ok": False, "s": "abc"}),
        bson.encode({**LIKE, "more": 1}),
    ],
)
@pytest.mark.parametrize("extra", [{}, {"list": [1]}])
def test_other_documents_and_broken_ones_are_not_taken(
    raw: bytes, extra: dict[str, object]
) -> None:
    usual = bson.encode({**LIKE, **extra})
    shape = Shape([usual] * 100, everything)
    assert shape.parse([usual, raw, usual]).hits == [0, 2]


def test_dates_and_all_fixed_sizes_may_hold_any_bytes() -> None:
    raws = []
    for n in range(256):
        object_id = bson.ObjectId(bytes([n]) * 12)
        raws.append(bson.encode({"d": bson.Int64(n), "e": 1.5, "o": object_id}))
    dates = [raw.replace(b"\x12d\0", b"\x09d\0") for raw in raws]
    shape = Shape(dates, nothing)
    assert {slot.kind for slot in shape.slots} == {DATE, DOUBLE, 7}
    assert shape.parse(dates).hits == list(range(256))
    assert INT64 not in {slot.kind for slot in shape.slots}


def test_a_document_whose_keys_are_data_is_one_value() -> None:
    raws = []
    for n in range(300):
        data = {f"key {n}": 1, f"key {n + 1}": 2}
        raws.append(bson.encode({"map": data, "place": {"city": "Lyon"}}))
    shape = Shape(raws, everything)
    assert shape.inlined == {(b"place",)}
    assert [slot.path for slot in shape.slots] == [(b"map",), (b"place",), (b"place", b"city")]
    assert len(shape.parse(raws).hits) == 300
