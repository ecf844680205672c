"""The comparator of verify against the tests' own equality, and what it says."""

from __future__ import annotations

import struct
from collections.abc import Callable

import bson
import pytest
from bson import Binary, Code, Int64, ObjectId, Timestamp
from hypothesis import event, given
from hypothesis import strategies as st
from tests.oracle.equality import equal
from tests.oracle.strategies import documents
from tests.oracle.values import anything, write_document, write_scoped
from tests.oracle.walk import NotBson, Value, find_scope, parse

from assise.transfer.compare import PART_BYTES, compare

Field = tuple[bytes, tuple[int, bytes]]
"""A name, and a type byte with the bytes of a value."""

Fields = list[Field]
Change = Callable[[st.DataObject, Fields], Fields]


def shuffle(data: st.DataObject, fields: Fields) -> Fields:
    return data.draw(st.permutations(fields))


def draw_index(data: st.DataObject, fields: Fields) -> int:
    return data.draw(st.integers(0, len(fields) - 1))


def put(fields: Fields, at: int, *instead: Field) -> Fields:
    """The fields with none, one or several in place of one."""
    return [*fields[:at], *instead, *fields[at + 1 :]]


def rename(data: st.DataObject, fields: Fields) -> Fields:
    at = draw_index(data, fields)
    names = [b"", b"a", b"0", b"1", b"\xff", *(key for key, _ in fields)]
    _, value = fields[at]
    return put(fields, at, (data.draw(st.sampled_from(names)), value))


def repeat(data: st.DataObject, fields: Fields) -> Fields:
    at = draw_index(data, fields)
    to = data.draw(st.integers(0, len(fields)))
    return [*fields[:to], fields[at], *fields[to:]]


def drop(data: st.DataObject, fields: Fields) -> Fields:
    return put(fields, draw_index(data, fields))


def replace(data: st.DataObject, fields: Fields) -> Fields:
    at = draw_index(data, fields)
    name, _ = fields[at]
    return put(fields, at, (name, data.draw(anything)))


def widen(data: st.DataObject, fields: Fields) -> Fields:
    """Every int32 as an int64, every int64 that fits as an int32; sometimes with one added."""
    off = data.draw(st.sampled_from([0, 0, 1]))
    found: Fields = []
    for key, (code, raw) in fields:
        number = int.from_bytes(raw, "little", signed=True) + off
        if code == 0x10:
            found.append((key, (0x12, struct.pack("<q", number))))
        elif code == 0x12 and -(2**31) <= number < 2**31:
            found.append((key, (0x10, struct.pack("<i", number))))
        else:
            found.append((key, (code, raw)))
    return found


CHANGES: list[Change] = [shuffle, rename, repeat, drop, replace, widen]


def read_fields(value: Value) -> Fields:
    return [(key, (inner.code, inner.raw)) for key, inner in value.fields]


def change_somewhere(data: st.DataObject, value: Value, depth: int = 0) -> bytes:
    """A document with one level changed: this one, or one below it."""
    fields = read_fields(value)
    inside = [i for i, (_, inner) in enumerate(value.fields) if inner.fields]
    if inside and depth < 6 and data.draw(st.integers(0, 2)):
        at = data.draw(st.sampled_from(inside))
        key, inner = value.fields[at]
        if inner.kind == "scoped":
            body = write_scoped(inner.content, change_somewhere(data, find_scope(inner), depth + 1))
        else:
            body = change_somewhere(data, inner, depth + 1)
        fields[at] = (key, (inner.code, body))
        return write_document(fields)
    change = data.draw(st.sampled_from(CHANGES)) if fields else None
    event(change.__name__ if change else "empty")
    return write_document(change(data, fields) if change else [(b"a", (0x0A, b""))])


@given(documents(), st.data())
def test_it_agrees_with_the_other_implementation_on_changed_documents(
    raw: bytes, data: st.DataObject
) -> None:
    other = change_somewhere(data, parse(raw))
    is_equal = equal(raw, other)
    event(f"equal: {is_equal}")
    assert (compare(raw, other) == []) is is_equal
    assert (compare(other, raw) == []) is is_equal


@given(documents(), st.data())
def test_it_agrees_with_the_other_implementation_on_one_changed_byte(
    raw: bytes, data: st.DataObject
) -> None:
    inside = st.integers(4, len(raw) - 2)
    at = data.draw(inside) if len(raw) > 6 else 0
    other = bytearray(raw)
    other[at] = data.draw(st.integers(0, 255))
    try:
        parse(bytes(other))
    except NotBson:
        event("not BSON")
        return
    is_equal = equal(raw, bytes(other))
    assert (compare(raw, bytes(other)) == []) is is_equal


@given(documents(), documents())
def test_it_agrees_with_the_other_implementation_on_two_documents(one: bytes, other: bytes) -> None:
    assert (compare(one, other) == []) is equal(one, other)
    assert compare(one, one) == []


PAIRS: list[tuple[str, dict[str, object], dict[str, object], list[str]]] = [
    ("fields in another order", {"_id": 1, "a": 1, "b": 2}, {"b": 2, "a": 1, "_id": 1}, []),
    ("inside another document too", {"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, []),
    (
        "fields of _id in another order",
        {"_id": {"a": 1, "b": 2}},
        {"_id": {"b": 2, "a": 1}},
        ["_id: the order of fields inside _id differs"],
    ),
    (
        "fields deep inside _id",
        {"_id": {"x": [{"a": 1, "b": 2}]}},
        {"_id": {"x": [{"b": 2, "a": 1}]}},
        ["_id.x.0: the order of fields inside _id differs"],
    ),
    (
        "an _id below the top",
        {"a": {"_id": {"a": 1, "b": 2}}},
        {"a": {"_id": {"b": 2, "a": 1}}},
        [],
    ),
    ("another width", {"a": 7}, {"a": Int64(7)}, []),
    ("an int and a double", {"a": 7}, {"a": 7.0}, ["a: double 7.0, was int32 7"]),
    (
        "an int64 one higher",
        {"a": Int64(2**53)},
        {"a": Int64(2**53 + 1)},
        ["a: int64 9007199254740993, was int64 9007199254740992"],
    ),
    ("the sign of zero", {"a": -0.0}, {"a": 0.0}, ["a: double 0.0, was double -0.0"]),
    ("null and missing", {"a": None}, {}, ["a: missing, was null"]),
    ("missing and null", {}, {"a": None}, ["a: null, was missing"]),
    ("true and false", {"a": True}, {"a": False}, ["a: bool false, was bool true"]),
    (
        "a document and an array",
        {"a": {}},
        {"a": []},
        ["a: array of 5 bytes, was document of 5 bytes"],
    ),
    (
        "a text",
        {"a": {"b": [1, "é"]}},
        {"a": {"b": [1, "e"]}},
        ["a.b.1: string 'e', was string 'é'"],
    ),
    ("a text and a symbol", {"a": "f"}, {"a": Code("f")}, ["a: javascript 'f', was string 'f'"]),
    ("the end of an array", {"a": [1, 2]}, {"a": [1]}, ["a.1: missing, was int32 2"]),
    (
        "the start of an array",
        {"a": [1]},
        {"a": [2, 1]},
        ["a.0: int32 2, was int32 1", "a.1: int32 1, was missing"],
    ),
    (
        "a subtype",
        {"a": Binary(b"x", 0)},
        {"a": Binary(b"x", 5)},
        ["a: binary of 6 bytes, was binary of 6 bytes"],
    ),
    (
        "a scope",
        {"a": Code("f", {"x": 1})},
        {"a": Code("f", {"x": 2})},
        ["a.x: int32 2, was int32 1"],
    ),
    (
        "a timestamp",
        {"a": Timestamp(1, 2)},
        {"a": Timestamp(1, 3)},
        ["a: timestamp 0300000001000000, was timestamp 0200000001000000"],
    ),
    (
        "an ObjectId",
        {"a": ObjectId("5f7f1f77bcf86cd799439011")},
        {"a": ObjectId("5f7f1f77bcf86cd799439012")},
        ["a: objectId 5f7f1f77bcf86cd799439012, was objectId 5f7f1f77bcf86cd799439011"],
    ),
]


@pytest.mark.parametrize(
    ("one", "other", "lines"), [pair[1:] for pair in PAIRS], ids=[pair[0] for pair in PAIRS]
)
def test_what_differs_is_said_in_words(
    one: dict[str, object], other: dict[str, object], lines: list[str]
) -> None:
    assert compare(bson.encode(one), bson.encode(other)) == lines


def test_the_order_among_equal_keys_counts_and_their_place_does_not() -> None:
    a: Field = (b"k", (0x10, b"\1\0\0\0"))
    b: Field = (b"k", (0x10, b"\2\0\0\0"))
    c: Field = (b"x", (0x0A, b""))
    assert compare(write_document([a, b, c]), write_document([a, c, b])) == []
    assert compare(write_document([a, b]), write_document([b, a])) == [
        "k: int32 2, was int32 1",
        "k: int32 1, was int32 2",
    ]
    assert compare(write_document([a, b]), write_document([a])) == ["k: missing, was int32 2"]


def test_the_keys_of_arrays_do_not_count_and_their_order_does() -> None:
    def write_array(*items: Field) -> bytes:
        return write_document([(b"a", (0x04, write_document([*items])))])

    one, two = (0x10, b"\1\0\0\0"), (0x10, b"\2\0\0\0")
    named = write_array((b"x", one), (b"x", two))
    numbered = write_array((b"0", one), (b"1", two))
    swapped = write_array((b"1", two), (b"0", one))
    assert compare(named, numbered) == []
    assert compare(named, swapped) == ["a.0: int32 2, was int32 1", "a.1: int32 1, was int32 2"]


def test_the_bits_of_a_nan_count() -> None:
    quiet, payload = (
        write_document([(b"a", (0x01, struct.pack("<Q", bits)))])
        for bits in (0x7FF8000000000000, 0x7FF8000000000001)
    )
    assert compare(quiet, quiet) == []
    assert len(compare(quiet, payload)) == 1


def test_long_texts_are_cut_and_many_differences_are_limited() -> None:
    many = {f"k{n}": n for n in range(1_000)}
    assert len(compare(bson.encode(many), bson.encode({}))) == 10
    assert len(compare(bson.encode(many), bson.encode({}), limit=3)) == 3
    one, other = (bson.encode({"a": letter * 10_000}) for letter in "xy")
    (line,) = compare(one, other)
    assert line == f"a: string '{'y' * 80}'…, was string '{'x' * 80}'…"


def test_a_difference_below_two_thousand_levels_is_found() -> None:
    def nest(leaf: int) -> bytes:
        raw = write_document([(b"a", (0x10, struct.pack("<i", leaf)))])
        for _ in range(2_000):
            raw = write_document([(b"a", (0x03, raw))])
        return raw

    assert compare(nest(1), nest(1)) == []
    (line,) = compare(nest(1), nest(2))
    assert line.endswith(".a: int32 2, was int32 1")


@given(documents(), st.data())
def test_a_level_matched_in_parts_gives_the_same_lines(raw: bytes, data: st.DataObject) -> None:
    value = parse(raw)
    other = write_document(
        shuffle(data, read_fields(value))
        if data.draw(st.booleans())
        else read_fields(parse(data.draw(documents())))
    )
    whole = compare(raw, other, limit=1_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "assise.transfer.compare.PART_BYTES", data.draw(st.sampled_from([5, 30, 100]))
        )
        assert compare(raw, other, limit=1_000) == whole


def test_a_level_matched_in_parts_keeps_the_order_of_names_and_of_equal_names() -> None:
    fields: Fields = []
    for i in range(30_000):
        fields.append((b"%d" % (i % 7_000), (0x10, struct.pack("<i", i))))
    source = write_document(fields)
    found = write_document([*reversed(fields[:100]), *fields[7_050:]])
    assert len(source) > PART_BYTES
    parts = compare(source, found, limit=10_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assise.transfer.compare.PART_BYTES", 1 << 24)
        assert compare(source, found, limit=10_000) == parts
    assert len(parts) == 10_000
    assert compare(source, write_document(sorted(fields, key=lambda field: field[0]))) == []


def test_code_with_scope_is_compared_level_by_level() -> None:
    def scoped(code: str, **scope: object) -> bytes:
        return bson.encode({"c": Code(code, scope)})

    assert compare(scoped("f", a=1, b=2), scoped("f", b=2, a=1)) == []
    assert compare(scoped("f", a=1, b=2), scoped("f", b=3, a=1)) == ["c.b: int32 3, was int32 2"]
    assert compare(scoped("f", a=1), scoped("g", a=1)) == [
        "c: javascriptWithScope of 22 bytes, was javascriptWithScope of 22 bytes"
    ]


@given(documents(), st.data())
def test_a_source_that_is_no_bson_is_a_difference(found: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(found) - 1))
    other = data.draw(st.sampled_from([0, 1, 3, 4, 5, 0x20, 0x7F, 0xFF]))
    source = found[:at] + bytes([other]) + found[at + 1 :]
    try:
        parse(source)
        is_equal = equal(source, found)
    except NotBson:
        is_equal = source == found
    event("equal" if is_equal else "different")
    assert (compare(source, found) == []) is is_equal
    for size in (0, 3, at):
        assert compare(found[:size], found) != []


def test_a_level_that_does_not_end_in_a_nul_is_a_difference() -> None:
    found = bson.encode({"a": {"b": 1}, "c": 2})
    source = found.replace(b"b\0\1\0\0\0\0", b"b\0\1\0\0\0\5")
    assert compare(source, found) == ["the source is not BSON"]


@pytest.mark.parametrize("kind", [0x02, 0x03, 0x04, 0x05, 0x0C, 0x0D, 0x0E, 0x0F])
def test_a_length_below_zero_is_a_difference(kind: int) -> None:
    found = bson.encode({"a": "x", "b": 1})
    for length in range(-40, 5):
        body = b"%ca\0" % kind + struct.pack("<i", length) + b"\1\0\0\0x\0"
        source = struct.pack("<i", len(body) + 5) + body + b"\0"
        assert compare(source, found) != []
