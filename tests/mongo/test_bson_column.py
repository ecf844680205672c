"""BSON columns: what is packed by hand comes back, value by value; what is broken is refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random

import bson
import pytest
from bson import Binary, Code, Decimal128, Int64, MinKey, ObjectId, Regex, Timestamp
from hypothesis import given
from hypothesis import strategies as st
from tests.mongo.columns import Value, decode, pack, pack_documents, write_value

from assise.documents.reader import NOT_BSON
from assise.mongo.bson_column import Room, read_column, read_widest
from assise.mongo.simple8b import UnpackError

ROOM = 16 << 20
START = datetime(2024, 6, 1, tzinfo=UTC)

BILLION = 10**9
OTHERS: list[Value] = [None, MinKey(), Regex("a", "i"), [1, {"a": 2}], {}]
MACHINE = b"\1\2\3\4\5"


def make_id(seconds: int, counter: int) -> ObjectId:
    return ObjectId(seconds.to_bytes(4) + MACHINE + counter.to_bytes(3))


def make_id_of(raw: bytes) -> ObjectId:
    return ObjectId(raw[:4] + MACHINE + raw[4:])


KINDS: dict[str, st.SearchStrategy[Value]] = {
    "double": st.one_of(
        st.floats(allow_nan=False),
        st.integers(-(10**6), 10**6).map(lambda n: n / 100),
        st.integers(-(2**53), 2**53).map(float),
    ),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1).map(Int64),
    "date": st.integers(0, 10**10).map(lambda ms: START + timedelta(milliseconds=ms)),
    "objectId": st.binary(min_size=7, max_size=7).map(make_id_of),
    "bool": st.booleans(),
    "string": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    "binary": st.binary(max_size=18).map(lambda raw: Binary(raw, 4)),
    "decimal": st.integers(-BILLION, BILLION).map(lambda n: Decimal128(f"{n}E-4")),
    "others": st.sampled_from(OTHERS),
}
WALKS: dict[str, Callable[[int], Value]] = {
    "double": lambda n: n / 4,
    "int32": lambda n: 17 * n,
    "date": lambda n: START + timedelta(seconds=10 * n),
    "objectId": lambda n: make_id(1_700_000_000 + n, n),
    "string": lambda n: f"S{n:04}",
}


@st.composite
def columns(draw: st.DrawFn) -> list[Value]:
    """Values of one kind, of several, or a walk with few changes; some are missing."""
    if draw(st.booleans()):
        kind = draw(st.sampled_from([*WALKS]))
        steps = draw(st.lists(st.integers(0, 3), max_size=400))
        values = [WALKS[kind](n) for n in accumulate(steps)]
    else:
        names = draw(st.sets(st.sampled_from([*KINDS]), min_size=1))
        some = st.one_of([KINDS[name] for name in sorted(names)])
        values = draw(st.lists(some, max_size=60))
    missing = draw(st.sets(st.integers(0, 60), max_size=10))
    return [... if n in missing else value for n, value in enumerate(values)]


def word(selector: int, content: int = 0, control: int = 0x80) -> bytes:
    """A part of one word of Simple-8b."""
    return struct.pack("<BQ", control, selector | content << 4)


def read(packed: bytes, count: int, room: int = ROOM) -> list[Value]:
    return [decode(element) for element in read_column(packed, count, Room(room))]


def show(values: list[Value]) -> list[bytes]:
    """Values as their bytes, so that 1, 1.0 and true are not the same."""
    return [write_value(value) for value in values]


@given(columns(), st.integers(0, 2**32))
def test_what_is_packed_by_hand_comes_back(values: list[Value], seed: int) -> None:
    packed = pack(values, Random(seed).randrange)
    assert show(read(packed, len(values))) == show(values)
    longest = max(map(len, show(values)), default=0)
    assert read_widest(packed) >= longest - 2


FIELDS: dict[str, st.SearchStrategy[Value]] = {
    "a": KINDS["int32"],
    "b": KINDS["string"],
    "c": KINDS["date"],
    "d": KINDS["double"],
}


@given(
    st.lists(st.fixed_dictionaries({}, optional=FIELDS), min_size=1, max_size=30),
    st.integers(0, 2**32),
)
def test_documents_of_one_shape_are_built_of_their_fields(
    inner: list[dict[str, Value]], seed: int
) -> None:
    """A document is there if a field of it is; an empty one of the shape always is."""
    shape = {"x": {"a": 1, "b": "one", "c": START, "d": 0.5}, "n": 7, "empty": {}}
    documents: list[dict[str, Value]] = [
        {"empty": {}, "n": n, **({"x": each} if each else {})} for n, each in enumerate(inner)
    ]
    del documents[0]["n"]
    draw = Random(seed).randrange
    after = [{"k": 1}, {"k": 1}, 5, ...]
    packed = pack_documents(shape, documents, draw) + pack(after, draw)
    found = read(packed, len(documents) + len(after))
    assert found == documents + after
    assert read_widest(packed) >= max(map(len, map(bson.encode, documents)))


def test_arrays_are_looked_into_where_the_column_says_so() -> None:
    """240 and 241 differ in that; 242 is for a column of arrays."""
    one, end = word(14, 2), b"\0\0"
    shape = bson.encode({"a": [1, 2], "b": 5})
    (found,) = read(b"\xf0" + shape + word(14) + one + end, 1)
    assert found == {"a": [1, 2], "b": 6}
    (found,) = read(b"\xf1" + shape + one + one + one + end, 1)
    assert found == {"a": [2, 3], "b": 6}
    array = bson.encode({"0": 1, "1": 2})
    (found,) = read(b"\xf2" + array + one + one + end, 1)
    assert found == [2, 3]


def test_a_repeat_at_the_beginning_of_a_part_repeats_what_the_part_before_ended_with() -> None:
    first = word(14, 6)
    repeat = word(15)
    literal = write_value(Int64(10))
    values = [Int64(10 + 3 * n) for n in range(122)]
    assert read(literal + first + repeat + b"\0", 122) == values
    assert read(literal + repeat + b"\0", 121) == [Int64(10)] * 121


LITERAL = write_value(5)
BROKEN = {
    "nothing": b"",
    "no end": LITERAL,
    "cut in a value": LITERAL[:-2],
    "cut in a word": LITERAL + b"\x80\1\2\3",
    "something behind the end": LITERAL + b"\0\0",
    "a selector 0": LITERAL + word(0) + b"\0",
    "an extension that is not used": LITERAL + word(7, 15) + b"\0",
    "a part that is not known": LITERAL + word(14, 0, 0xE0) + b"\0",
    "a scale of ints": LITERAL + word(14, 2, 0x90) + b"\0",
    "an int32 too large": write_value(2**31 - 1) + word(14, 2) + b"\0",
    "a third bool": b"\x08\0\1" + word(14, 2) + b"\0",
    "a difference of null": b"\x0a\0" + word(14, 2) + b"\0",
    "a difference of a code with scope": write_value(Code("f", {})) + b"\x80" + b"\x2e" + bytes(8),
    "a value with a name": bson.encode({"a": 5})[4:-1] + b"\0",
    "a shape without fields": b"\xf0" + bson.encode({}) + b"\0\0",
    "a shape without documents": b"\xf0" + bson.encode({"a": 1}) + b"\0\0",
    "a shape that is cut": b"\xf0" + bson.encode({"a": 1})[:-3],
    "fields of different numbers": b"\xf0"
    + bson.encode({"a": 1, "b": 1})
    + word(14)
    + word(13)
    + b"\0\0",
    "a shape within a shape": b"\xf0" + bson.encode({"a": 1}) + b"\xf0\5\0\0\0\0\0\0",
}


@pytest.mark.parametrize("packed", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_refused(packed: bytes) -> None:
    for count in (1, 2):
        with pytest.raises(NOT_BSON):
            read_column(packed, count, Room(ROOM))


@given(columns(), st.integers(0, 2**32), st.integers(0, 2**32))
def test_bytes_that_are_changed_or_cut_raise_no_other_error(
    values: list[Value], seed: int, place: int
) -> None:
    random = Random(seed)
    packed = bytearray(pack(values, random.randrange))
    packed[place % len(packed)] ^= 1 << random.randrange(8)
    for broken in (bytes(packed), bytes(packed[: place % len(packed)])):
        for reader in (lambda raw: read_column(raw, len(values), Room(ROOM)), read_widest):
            with suppress(*NOT_BSON):
                reader(broken)


def test_a_bomb_is_left_before_it_is_unpacked() -> None:
    """A shape of a megabyte, repeated 30,720 times by 137 bytes; and a hundred thousand fields."""
    repeat = b"\x8f" + struct.pack("<Q", 15 | 15 << 4) * 16
    shape = bson.encode({"a": "x" * (1 << 20)})
    with pytest.raises(UnpackError, match="16 MB"):
        read_column(b"\xf0" + shape + repeat + b"\0\0", 30_720, Room(ROOM))
    wide = bson.encode({str(n): None for n in range(200_000)})
    with pytest.raises(UnpackError, match="16 MB"):
        read_column(b"\xf0" + wide + repeat + b"\0\0", 30_720, Room(ROOM))
    deep: dict[str, object] = {"a": 1}
    for _ in range(400):
        deep = {"a": deep}
    with pytest.raises(UnpackError, match="deep"):
        read_column(b"\xf0" + bson.encode(deep), 1, Room(ROOM))


def test_kinds_whose_differences_are_of_differences() -> None:
    """Dates, ObjectIds and timestamps; a word of zeros goes on by the last step."""
    step = word(14, 20_000)
    zeros = word(12)
    packed = write_value(START) + step + zeros + b"\0"
    after = [START + timedelta(seconds=10 * n) for n in range(5)]
    assert read(packed, 5) == after
    first = write_value(Timestamp(1, 0))
    packed = first + word(14, 2) + zeros + b"\0"
    assert read(packed, 5) == [Timestamp(1, n) for n in range(5)]
