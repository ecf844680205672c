"""Hypothesis strategies of BSON values as (code, bytes), by hand: all kinds, at their edges."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from bson.decimal128 import Decimal128
from hypothesis import strategies as st

Element = tuple[int, bytes]
Elements = st.SearchStrategy[Element]

HOSTILE_TEXTS = [
    b"", b"a", b" ", b"NULL", b"null", b"\\N", b"a\0b", b"\0", b"\xff", b"\xed\xa0\x80",
    b"\xc0\x80", b"caf\xc3\xa9", b"\xf0\x9f\x98\x80", b'"', b"\\", b"\\\\", b"a,b{c}",
    b"a\tb\nc\rd\x0be\x0cf", b"\x01\x1f\x7f", b"\xe2\x80\xa8", b"\xef\xbf\xbd", b"\xef\xbf\xbf",
    b"x" * 997, b"x" * 998, b"x" * 999, b"x" * 1001, b"2024-01-31", b"507f1f77bcf86cd799439011",
    b"true", b"1e5", b"$oid", b'{"$oid": 1}', b"'; --",
]  # fmt: skip
HOSTILE_KEYS = [
    b"", b".", b"..", b"a.b", b"a.", b".a", b"*", b"a.*", b"\\", b"a\\", b"\\.", b"\\*", b"a\\.b",
    b"$", b"$$", b"$oid", b"$$oid", b"$$$oid", b"$bson", b"$$bson", b"$element", b"$$element",
    b"_extra", b"_extra_2", b"_position", b"_id", b"id", b"$date", b"$numberDouble", b"$ref",
    b"$id", b"$db", b"$scope", b"$code", b"$uuid", b"$type", b"$regex", b"$options", b"ctid",
    b"xmin", b"select", b"user", b"User", b"\xff", b"a\xff", b"\xed\xa0\x80", b"caf\xc3\xa9",
    b"\xf0\x9f\x98\x80", b'"', b"'", b"%", b" ", b"a b", b"a\nb", b"0", b"1", b"-1", b"null", b"~",
    b"k" * 63, b"k" * 64, b"k" * 200,
]  # fmt: skip
DOUBLE_BITS = [
    0x0000000000000000, 0x8000000000000000, 0x3FF0000000000000, 0xBFF0000000000000,
    0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000, 0xFFF8000000000000,
    0x7FF8000000000001, 0x7FF0000000000001, 0x7FF4000000000000, 0xFFFFFFFFFFFFFFFF, 1,
    0x8000000000000001, 0x000FFFFFFFFFFFFF, 0x0010000000000000, 0x7FEFFFFFFFFFFFFF,
    0x4340000000000000, 0x433FFFFFFFFFFFFF, 0x43E0000000000000,
]  # fmt: skip
DOUBLES = [
    0.1, 9.99, 10.0, 1e14, 1e15, 123456789012345.0, 1234567890123456.0, 1e16, 1e17, 1e21, 1e22,
    1e23, 9.5e22, 1e24, 1e25, 0.0001, 0.00001, 1.5e-5, 1e-20, 1e-22, 1e-23, 1e-24, 1e-25, -1e-22,
    -1e-23, 1.7976931348623157e308, 2.0**-44, 2.0**100, 4.35, 0.5, -2.5, 3.0,
]  # fmt: skip
DECIMALS = [
    0x30400000000000000000000000000000, 0xB0400000000000000000000000000000,
    0x3040000000000000000000000000000A, 0x303C0000000000000000000000000064,
    0x30420000000000000000000000000001, 0x5FFE314DC6448D9338C15B0A00000000,
    0x5FFFED09BEAD87C0378D8E63FFFFFFFF, 0x00000000000000000000000000000001,
    0x00000000000000000000000000000000, 0x80000000000000000000000000000000,
    0x7C000000000000000000000000000000, 0xFC000000000000000000000000000000,
    0x7E000000000000000000000000000000, 0x7C000000000000000000000000000012,
    0x78000000000000000000000000000000, 0xF8000000000000000000000000000000,
    0x78000000000000000000000000000001, 0x7A000000000000000000000000000000,
    0x6C10000000000000000000000000000A, 0x3041ED09BEAD87C0378D8E63FFFFFFFF,
    0x3041ED09BEAD87C0378D8E6400000000, 0x3041FFFFFFFFFFFFFFFFFFFFFFFFFFFF,
    0x303E0000000000000000000000000000, 0x30440000000000000000000000000000,
    0xB03C0000000000000000000000003039, 0x5FFE0000000000000000000000000000,
    0x2FF00000000000000000000000000007,
]  # fmt: skip
FIRST_DATE, END_OF_DATES, END_OF_9999 = -210866803200000, 9224318016000000, 253402300800000
DATES = [
    0,
    1,
    999,
    1000,
    1706695200123,
    1706695200120,
    1706695200100,
    1706695200000,
    -62135596800000,
    -62135596800001,
    -62167219200000,
    -62167219200001,
]
EDGES = [
    edge + n
    for edge in (
        FIRST_DATE,
        END_OF_DATES,
        END_OF_9999,
        0,
        2**31,
        2**32,
        2**53,
        2**63 - 2,
        -(2**63) + 1,
    )
    for n in (-1, 0, 1)
]
INTS = [
    0,
    1,
    -1,
    10,
    2**31 - 1,
    2**31,
    -(2**31),
    -(2**31) - 1,
    2**53,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
]


def write_int32(number: int) -> bytes:
    return struct.pack("<i", number)


def write_text(text: bytes) -> bytes:
    """A length-prefixed text."""
    return struct.pack("<i", len(text) + 1) + text + b"\0"


def write_document(fields: Iterable[tuple[bytes, Element]]) -> bytes:
    """A document of fields in the order given."""
    parts = [b"%c%b\0%b" % (code, key, value) for key, (code, value) in fields]
    body = b"".join(parts)
    return write_int32(len(body) + 5) + body + b"\0"


def write_array(elements: Iterable[Element]) -> bytes:
    """An array with the key texts that drivers write."""
    return write_document(
        (str(number).encode(), element) for number, element in enumerate(elements)
    )


def write_scoped(code: bytes, scope: bytes) -> bytes:
    """Code with its scope."""
    body = write_text(code) + scope
    return struct.pack("<i", len(body) + 4) + body


def write_binary(subtype: int, payload: bytes) -> bytes:
    """A binary; subtype 2 has its length twice."""
    inner = struct.pack("<i", len(payload)) + payload if subtype == 2 else payload
    return struct.pack("<iB", len(inner), subtype) + inner


def decimal_bytes(text: str) -> bytes:
    """The bytes of a Decimal128."""
    return Decimal128(text).bid


def _elements(code: int, payloads: st.SearchStrategy[bytes]) -> Elements:
    return payloads.map(lambda payload: (code, payload))


def _write_regex(pattern: bytes, options: bytes) -> bytes:
    return _cstring(pattern) + b"\0" + _cstring(options) + b"\0"


def _int64(number: int) -> bytes:
    return struct.pack("<q", number)


def _cstring(text: bytes) -> bytes:
    return text.replace(b"\0", b"0")


plain_texts = st.text("abcxyz é😀", min_size=1, max_size=6).map(str.encode)
texts = plain_texts | st.sampled_from(HOSTILE_TEXTS) | st.binary(max_size=4)
keys = st.sampled_from(HOSTILE_KEYS) | plain_texts | st.binary(max_size=3).map(_cstring)
object_ids = st.sampled_from(
    [b"\0" * 12, b"\xff" * 12, bytes.fromhex("507f1f77bcf86cd799439011")]
) | st.binary(min_size=12, max_size=12)

doubles = _elements(
    0x01,
    st.sampled_from(DOUBLE_BITS).map(lambda bits: struct.pack("<Q", bits))
    | (st.sampled_from(DOUBLES) | st.floats()).map(lambda number: struct.pack("<d", number))
    | st.integers(0, 10**6).map(lambda number: struct.pack("<d", number / 100)),
)
strings = _elements(0x02, texts.map(write_text))
names = _elements(0x02, plain_texts.map(write_text))
SUBTYPES = bytes([0, 0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 127, 128, 255])
binaries = _elements(
    0x05,
    st.builds(
        write_binary,
        st.sampled_from(SUBTYPES) | st.integers(0, 255),
        st.binary(max_size=5) | st.binary(min_size=16, max_size=16),
    ),
)
uuids = _elements(
    0x05,
    st.builds(
        write_binary,
        st.sampled_from([3, 4]),
        st.binary(min_size=16, max_size=16) | st.binary(min_size=15, max_size=17),
    ),
)
ids = _elements(0x07, object_ids)
bools = _elements(0x08, st.sampled_from([b"\0", b"\1"]))
dates = _elements(
    0x09,
    (
        st.sampled_from(DATES + EDGES)
        | st.integers(-(2**63), 2**63 - 1)
        | st.integers(0, 2 * 10**12)
    ).map(_int64),
)
nulls: Elements = st.just((0x0A, b""))
int32s = _elements(
    0x10,
    (
        st.sampled_from([n for n in INTS if -(2**31) <= n < 2**31])
        | st.integers(-(2**31), 2**31 - 1)
    ).map(lambda n: struct.pack("<i", n)),
)
whole_numbers = st.sampled_from(INTS) | st.integers(-(2**63), 2**63 - 1)
int64s = _elements(0x12, whole_numbers.map(_int64))
decimals = _elements(
    0x13,
    st.sampled_from(DECIMALS).map(lambda bits: bits.to_bytes(16, "little"))
    | st.builds(
        lambda digits, scale: ((6176 - scale) << 113 | digits).to_bytes(16, "little"),
        st.integers(0, 10**6),
        st.integers(-3, 6),
    )
    | st.binary(min_size=16, max_size=16),
)
options = st.sampled_from([b"", b"imx", b"xi"]) | texts
others: Elements = st.one_of(
    st.just((0x06, b"")),
    st.just((0x7F, b"")),
    st.just((0xFF, b"")),
    _elements(0x0B, st.builds(_write_regex, texts, options)),
    _elements(0x0C, st.builds(lambda text, name: write_text(text) + name, texts, object_ids)),
    _elements(0x0D, texts.map(write_text)),
    _elements(0x0E, texts.map(write_text)),
    _elements(0x11, st.binary(min_size=8, max_size=8)),
)
numbers: Elements = int32s | int64s | doubles
scalars: Elements = st.one_of(
    names, strings, doubles, numbers, decimals, binaries, uuids, ids, bools, dates, nulls, others
)


def _nest(value: Element, levels: int, code: int) -> Element:
    for _ in range(levels):
        value = code, write_document([(b"0", value)])
    return value


@st.composite
def dbrefs(draw: st.DrawFn) -> Element:
    """A DBRef, with its fields in any order and sometimes one more."""
    fields = [(b"$ref", draw(names)), (b"$id", draw(ids | scalars))]
    if draw(st.booleans()):
        fields.append((b"$db", draw(names)))
    if draw(st.booleans()):
        fields.append((draw(keys), draw(scalars)))
    return 0x03, write_document(draw(st.permutations(fields)))


def _repeat_key(key: bytes, one: Element, between: Element, other: Element) -> bytes:
    return write_document([(key, one), (b"b", between), (key, other)])


def _contain(inner: Elements) -> Elements:
    field = st.tuples(keys, inner)
    documents = st.lists(field, max_size=4).map(write_document)
    repeated = st.builds(_repeat_key, keys, inner, inner, inner)
    arrays = st.lists(inner, max_size=4).map(write_array)
    return st.one_of(
        _elements(0x03, documents),
        _elements(0x03, repeated),
        _elements(0x04, arrays),
        _elements(0x04, documents),
        _elements(0x0F, st.builds(write_scoped, texts, documents | repeated)),
    )


containers: Elements = _contain(st.recursive(scalars, _contain, max_leaves=5))
deep: Elements = st.builds(
    _nest, scalars | containers, st.integers(97, 102), st.sampled_from([0x03, 0x04])
)
empty: Elements = st.sampled_from([(0x03, b"\5\0\0\0\0"), (0x04, b"\5\0\0\0\0")])
anything: Elements = st.one_of(
    scalars, scalars, containers, containers, containers, dbrefs(), empty, deep
)
