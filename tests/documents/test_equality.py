"""Equality of the first law, against the tests' own comparator."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracle.equality import differences, equal
from tests.oracle.strategies import documents
from tests.oracle.values import (
    Element,
    anything,
    write_array,
    write_document,
    write_scoped,
    write_text,
)
from tests.oracle.walk import NotBson, Value, find_scope, parse

from assise.documents.equality import are_equal, fingerprint
from assise.errors import InvalidBsonError

INT32, INT64, DOUBLE, NULL, STRING = 0x10, 0x12, 0x01, 0x0A, 0x02
MUTATIONS = ["nothing", "order", "widths", "array keys", "drop", "repeat", "replace", "key", "swap"]


def int32(number: int) -> Element:
    return INT32, struct.pack("<i", number)


def int64(number: int) -> Element:
    return INT64, struct.pack("<q", number)


def double(number: float) -> Element:
    return DOUBLE, struct.pack("<d", number)


def doc(**fields: Element) -> bytes:
    return write_document([(key.encode(), value) for key, value in fields.items()])


def nested(raw: bytes) -> Element:
    return 0x03, raw


def mutate(value: Value, data: st.DataObject, name: str, left: list[int]) -> bytes:
    """Write the document again, changed at the level where `left` runs out, and only there."""
    left[0] -= 1
    is_here = left[0] == 0
    fields = [(key, rewrite(inner, data, name, left)) for key, inner in value.fields]
    if is_here:
        fields = change(fields, data, name, is_array=value.kind == "array")
    return write_document(fields)


def rewrite(value: Value, data: st.DataObject, name: str, left: list[int]) -> Element:
    if value.kind in {"document", "array"}:
        return value.code, mutate(value, data, name, left)
    if value.kind == "scoped":
        return value.code, write_scoped(value.content, mutate(find_scope(value), data, name, left))
    if name == "widths" and value.kind == "int32":
        return int64(value.number)
    return value.code, value.raw


def change(
    fields: list[tuple[bytes, Element]], data: st.DataObject, name: str, *, is_array: bool
) -> list[tuple[bytes, Element]]:
    if name == "array keys":
        values = [value for _, value in fields]
        return [(b"k%d" % i, value) for i, value in enumerate(values)] if is_array else fields
    if name == "order":
        return data.draw(st.permutations(fields))
    if not fields or name in {"nothing", "widths"}:
        return fields
    at = data.draw(st.integers(0, len(fields) - 1))
    key, value = fields[at]
    if name == "drop":
        return fields[:at] + fields[at + 1 :]
    if name == "repeat":
        return [*fields, fields[at]]
    if name == "swap":
        before, after = fields[:at], fields[at:]
        return before[::-1] + after[::-1]
    if name == "key":
        key += b"x"
    else:
        value = data.draw(anything)
    return [*fields[:at], (key, value), *fields[at + 1 :]]


@given(documents(), st.sampled_from(MUTATIONS), st.integers(1, 6), st.data())
def test_it_agrees_with_the_tests_own_comparator_on_changed_documents(
    raw: bytes, name: str, level: int, data: st.DataObject
) -> None:
    other = mutate(parse(raw), data, name, [level])
    assert are_equal(raw, other) == equal(raw, other), (name, differences(raw, other))
    assert are_equal(other, raw) == equal(raw, other)
    if name in {"nothing", "widths"}:
        assert are_equal(raw, other)


@settings(max_examples=100)
@given(documents(), documents())
def test_it_agrees_on_unrelated_documents(one: bytes, other: bytes) -> None:
    assert are_equal(one, other) == equal(one, other)


@settings(max_examples=100)
@given(documents(), st.data())
def test_it_agrees_on_broken_bytes(raw: bytes, data: st.DataObject) -> None:
    broken = bytearray(raw)
    positions = st.integers(0, len(raw) - 1)
    for at in data.draw(st.lists(positions, max_size=3)):
        broken[at] = data.draw(st.sampled_from(b"\x00\x01\x03\x05\x0f\x10\x12\x7f\xff"))
    other = bytes(broken)
    try:
        expected = equal(raw, other)
    except NotBson:
        return
    assert are_equal(raw, other) == expected


def test_what_differs_in_one_thing_is_not_equal() -> None:
    kinds = [
        doc(),
        doc(a=(NULL, b"")),
        doc(a=(0x06, b"")),
        doc(a=int32(0)),
        doc(a=double(0.0)),
        doc(a=double(-0.0)),
        doc(a=(DOUBLE, bytes.fromhex("000000000000f87f"))),
        doc(a=(DOUBLE, bytes.fromhex("010000000000f87f"))),
        doc(a=(0x08, b"\0")),
        doc(a=(0x09, bytes(8))),
        doc(a=(0x11, bytes(8))),
        doc(a=(0x13, bytes(16))),
        doc(a=(0x13, bytes.fromhex("00000000000000000000000000004030"))),
        doc(a=(STRING, write_text(b"0"))),
        doc(a=(0x0E, write_text(b"0"))),
        doc(a=(0x0D, write_text(b"0"))),
        doc(a=(0x0F, write_scoped(b"0", write_document([])))),
        doc(a=(0x0F, write_scoped(b"0", doc(a=int32(1))))),
        doc(a=nested(doc())),
        doc(a=(0x04, write_array([]))),
        doc(a=nested(doc(b=int32(1)))),
        doc(a=(0x04, write_array([int32(1), int32(2)]))),
        doc(a=(0x04, write_array([int32(2), int32(1)]))),
        doc(a=(0x05, bytes.fromhex("0000000000"))),
        doc(a=(0x05, bytes.fromhex("0000000001"))),
        doc(b=int32(0)),
        write_document([(b"a", int32(0)), (b"a", int32(1))]),
        write_document([(b"a", int32(1)), (b"a", int32(0))]),
    ]
    for i, one in enumerate(kinds):
        for j, other in enumerate(kinds):
            copy = bytes(bytearray(other))
            assert are_equal(one, copy) == (i == j), (one.hex(), other.hex())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (doc(a=int32(7)), doc(a=int64(7))),
        (doc(a=int32(-1), b=int32(2)), doc(b=int64(2), a=int64(-1))),
        (
            doc(a=(0x04, write_array([int32(1)]))),
            doc(a=(0x04, write_document([(b"x", int32(1))]))),
        ),
        (doc(_id=nested(doc(a=int32(1)))), doc(_id=nested(doc(a=int64(1))))),
        (
            doc(x=nested(doc(_id=nested(doc(a=int32(1), b=int32(2)))))),
            doc(x=nested(doc(_id=nested(doc(b=int32(2), a=int32(1)))))),
        ),
        (
            write_document([(b"a", int32(1)), (b"b", int32(5)), (b"a", int32(2))]),
            write_document([(b"b", int32(5)), (b"a", int32(1)), (b"a", int32(2))]),
        ),
    ],
)
def test_what_the_law_does_not_keep_is_equal(one: bytes, other: bytes) -> None:
    assert are_equal(one, other)


def test_the_order_of_fields_counts_everywhere_inside_the_top_level_id() -> None:
    inner = doc(a=int32(1), b=int32(2))
    turned = doc(b=int32(2), a=int32(1))
    for wrap in (
        doc,
        lambda **f: doc(x=nested(doc(**f))),
        lambda **f: doc(x=(0x04, write_array([nested(doc(**f))]))),
    ):
        one, other = wrap(y=nested(inner)), wrap(y=nested(turned))
        assert not are_equal(doc(_id=nested(one)), doc(_id=nested(other)))
    assert not are_equal(
        doc(_id=(0x0F, write_scoped(b"", inner))), doc(_id=(0x0F, write_scoped(b"", turned)))
    )
    assert are_equal(doc(id=nested(inner)), doc(id=nested(turned)))


def test_100000_levels_are_compared_without_recursion() -> None:
    def chain(last: Element) -> bytes:
        body = bytes([last[0]]) + b"a\0" + last[1]
        size = len(body) + 5
        heads = [struct.pack("<i", size)]
        for level in range(100_000):
            size += 8
            kind = b"\x04" if level % 2 else b"\x03"
            heads.append(struct.pack("<i", size) + kind + b"a\0")
        return b"".join(reversed(heads)) + body + b"\0" * 100_001

    seven = fingerprint(chain(int32(7)))
    assert seven == fingerprint(chain(int64(7)))
    assert seven != fingerprint(chain(double(7.0)))


def test_equal_documents_share_a_fingerprint_and_no_two_containers_run_together() -> None:
    empty: Element = (0x04, write_array([]))
    ones = [
        doc(a=nested(doc(b=nested(doc())))),
        doc(a=nested(doc()), b=nested(doc())),
        doc(a=nested(doc(b=empty))),
        doc(a=(0x04, write_array([nested(doc()), nested(doc())]))),
        doc(a=(0x04, write_array([nested(doc())])), b=nested(doc())),
        doc(a=(0x04, write_array([empty, empty]))),
        doc(a=(0x04, write_array([(0x04, write_array([empty]))]))),
    ]
    assert len({fingerprint(one) for one in ones}) == len(ones)
    for one, other in pairwise(ones):
        assert not are_equal(one, other)
    assert {len(fingerprint(one)) for one in ones} == {16}


def test_bytes_that_are_not_bson_are_refused() -> None:
    for broken in (
        b"",
        b"\5\0\0\0",
        doc(a=int32(1))[:-1] + b"\1",
        doc(a=(0x08, b"\2")),
        doc(a=(0x55, b"")),
    ):
        with pytest.raises(InvalidBsonError):
            are_equal(broken, doc())
