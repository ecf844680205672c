"""The raw reader: what it walks over, what it counts, and lengths that lie."""

from __future__ import annotations

import struct
from collections.abc import Callable
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracle.strategies import documents
from tests.oracle.values import (
    write_array,
    write_binary,
    write_document,
    write_int32,
    write_scoped,
    write_text,
)
from tests.oracle.walk import NotBson, Value, parse

from assise.documents.kinds import KINDS
from assise.documents.reader import (
    SKIP,
    check_document,
    count_leaves,
    elements,
    open_document,
    read_binary,
    read_code_with_scope,
    read_string,
    walk,
)
from assise.errors import InvalidBsonError

ONE_OF_EACH = {
    0x01: bytes(8),
    0x02: write_text(b"a\0b"),
    0x03: write_document([]),
    0x04: write_array([]),
    0x05: write_binary(2, b"abc"),
    0x06: b"",
    0x07: bytes(12),
    0x08: b"\1",
    0x09: bytes(8),
    0x0A: b"",
    0x0B: b"a\0i\0",
    0x0C: write_text(b"db.c") + bytes(12),
    0x0D: write_text(b"x"),
    0x0E: write_text(b"x"),
    0x0F: write_scoped(b"x", write_document([(b"y", (0x10, bytes(4)))])),
    0x10: bytes(4),
    0x11: bytes(8),
    0x12: bytes(8),
    0x13: bytes(16),
    0xFF: b"",
    0x7F: b"",
}
WHOLE = write_document((b"k%d" % element[0], element) for element in ONE_OF_EACH.items())


def doc(kind: int, value: bytes, key: bytes = b"a") -> bytes:
    return write_document([(key, (kind, value))])


def leaves_of(value: Value) -> int:
    """Scalars and empty containers; code with scope is one, whatever its scope holds."""
    if value.kind in {"document", "array"}:
        return sum(leaves_of(inner) for _, inner in value.fields) or 1
    return 1


def is_bson(raw: bytes) -> bool:
    try:
        check_document(raw)
    except InvalidBsonError:
        return False
    return True


def test_all_21_kinds_are_known_and_their_values_end_where_they_end() -> None:
    assert set(ONE_OF_EACH) == set(KINDS) == set(SKIP)
    assert len(KINDS) == 21
    assert [(kind, key) for kind, key, _, _ in elements(WHOLE)] == [
        (kind, b"k%d" % kind) for kind in ONE_OF_EACH
    ]
    values = [WHOLE[p:end] for _, _, p, end in elements(WHOLE)]
    assert values == list(ONE_OF_EACH.values())
    check_document(WHOLE)


def test_a_walk_tells_depth_and_kind_of_every_element_and_where_containers_end() -> None:
    array = write_array([(0x10, bytes(4)), (0x0A, b"")])
    inner = write_document([(b"b", (0x04, array)), (b"c", (0x03, write_document([])))])
    scope = write_document([(b"e", (0x08, b"\1"))])
    raw = write_document(
        [
            (b"a", (0x03, inner)),
            (b"d", (0x0F, write_scoped(b"f", scope))),
            (b"g", (0x7F, b"")),
        ]
    )
    in_a = [(1, 0x03), (2, 0x04), (3, 0x10), (3, 0x0A), (2, 0)]
    in_a += [(2, 0x03), (2, 0), (1, 0)]
    assert list(walk(raw)) == [*in_a, (1, 0x0F), (2, 0x08), (1, 0), (1, 0x7F)]
    assert count_leaves(raw) == 5
    assert list(walk(write_document([]))) == []


@settings(max_examples=100)
@given(documents())
def test_leaves_and_levels_are_those_that_the_tests_own_walker_finds(raw: bytes) -> None:
    document = parse(raw)
    assert count_leaves(raw) == sum(leaves_of(value) for _, value in document.fields)
    found = [(key, raw[p:end]) for _, key, p, end in elements(raw)]
    assert found == [(key, value.raw) for key, value in document.fields]


@settings(max_examples=100)
@given(documents(), st.data())
def test_documents_are_refused_exactly_when_the_tests_own_walker_refuses_them(
    raw: bytes, data: st.DataObject
) -> None:
    broken = bytearray(raw)
    positions = st.integers(0, len(raw) - 1)
    likely = st.sampled_from(b"\x00\x01\x02\x05\x7f\x80\xff")
    for at in data.draw(st.lists(positions, min_size=1, max_size=4)):
        broken[at] = data.draw(st.integers(0, 255) | likely)
    cut = data.draw(st.integers(0, len(broken)))
    for candidate in (bytes(broken), bytes(broken[:cut])):
        try:
            parse(candidate)
        except NotBson:
            assert not is_bson(candidate)
        else:
            assert is_bson(candidate)


@pytest.mark.parametrize("kind", [kind for kind, value in ONE_OF_EACH.items() if value])
def test_every_kind_is_refused_when_it_is_cut_anywhere(kind: int) -> None:
    value = ONE_OF_EACH[kind]
    for size in range(len(value)):
        assert not is_bson(doc(kind, value[:size])), size
    assert is_bson(doc(kind, value))


@pytest.mark.parametrize("length", [-(2**31), -1, 0, 2**31 - 1, 2**30])
@pytest.mark.parametrize("kind", [0x02, 0x03, 0x04, 0x05, 0x0C, 0x0D, 0x0E, 0x0F])
def test_lengths_that_lie_are_refused(kind: int, length: int) -> None:
    value = struct.pack("<i", length) + ONE_OF_EACH[kind][4:]
    assert not is_bson(doc(kind, value))
    for off in (-1, 1):
        near = (
            struct.pack("<i", struct.unpack_from("<i", ONE_OF_EACH[kind])[0] + off)
            + ONE_OF_EACH[kind][4:]
        )
        assert not is_bson(doc(kind, near))


@pytest.mark.parametrize(
    "inner",
    [*map(write_int32, (-1, 2, 4, 2**31 - 1)), b"", b"\3\0\0"],
    ids=["negative", "short", "long", "huge", "none", "cut"],
)
def test_the_inner_length_of_a_binary_of_subtype_2_must_be_right(inner: bytes) -> None:
    payload = inner + b"abc" if len(inner) == 4 else inner
    length = write_int32(len(payload))
    assert not is_bson(doc(0x05, length + b"\2" + payload))
    assert is_bson(doc(0x05, length + b"\5" + payload))


def test_a_boolean_is_0_or_1() -> None:
    documents = [doc(0x08, bytes([value])) for value in range(256)]
    assert [value for value in range(256) if is_bson(documents[value])] == [0, 1]


def test_unknown_types_are_refused_by_name() -> None:
    documents = [doc(kind, ONE_OF_EACH.get(kind, b"")) for kind in range(256)]
    accepted = [kind for kind in range(256) if is_bson(documents[kind])]
    assert accepted == sorted(ONE_OF_EACH)
    with pytest.raises(InvalidBsonError, match="unknown BSON type 20"):
        check_document(doc(0x14, bytes(8)))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "outside the document"),
        (b"\5\0\0", "outside the document"),
        (b"\4\0\0\0", "without a terminator"),
        (b"\5\0\0\0\1", "without a terminator"),
        (b"\5\0\0\0\0\0", "length is not its own"),
        (b"\7\0\0\0\x0aa\0", "without a terminator|longer than"),
        (b"\x08\0\0\0\x0aaa\0", "a key without a terminator"),
        (b"\xff\xff\xff\x7f\0", "outside the document"),
        (b"\xff\xff\xff\xff\0", "without a terminator"),
    ],
)
def test_a_refusal_says_why(raw: bytes, message: str) -> None:
    with pytest.raises(InvalidBsonError, match=message):
        check_document(raw)


def test_text_that_is_not_utf8_is_let_pass() -> None:
    for kind in (0x02, 0x0D, 0x0E):
        check_document(doc(kind, write_text(b"\xff")))
    check_document(doc(0x0A, b"", key=b"\xff"))
    check_document(doc(0x0B, b"\xff\0\xff\0"))
    check_document(doc(0x0C, write_text(b"\xff") + bytes(12)))
    check_document(doc(0x0F, write_scoped(b"\xff", write_document([]))))


@pytest.mark.parametrize(
    ("read", "value", "found"),
    [
        (read_string, write_text(b"a\0b"), (b"a\0b", 8)),
        (read_binary, write_binary(2, b"abc"), (2, b"abc", 12)),
        (read_binary, write_binary(128, b""), (128, b"", 5)),
        (read_code_with_scope, write_scoped(b"x", write_document([])), (b"x", 10, 15)),
        (open_document, write_document([(b"a", (0x0A, b""))]), 7),
    ],
)
def test_values_are_read_where_they_lie(
    read: Callable[[bytes, int], object], value: bytes, found: object
) -> None:
    assert read(value, 0) == found


def test_a_deep_and_a_wide_document_are_walked_in_linear_time() -> None:
    deep = write_document([])
    heads = [len(deep) + 8 * level for level in range(100_000)]
    deep = (
        b"".join(write_int32(size) + b"\x03a\0" for size in reversed(heads[1:]))
        + deep
        + b"\0" * (len(heads) - 1)
    )
    wide = write_array([(0x10, bytes(4))] * 100_000)
    started = perf_counter()
    check_document(deep)
    check_document(wide)
    assert (count_leaves(deep), count_leaves(wide)) == (1, 100_000)
    assert perf_counter() - started < 60
