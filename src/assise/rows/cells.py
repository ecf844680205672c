"""Cells: BSON values as PostgreSQL's binary format has them, and back. One rule for each column type and kind.

An encoder takes raw BSON and the position of a value and gives the cell, with its length in front as binary COPY wants it,
and the position behind the value; the cell is None when the value does not fit. A decoder takes the bytes of a cell, without
their length, and gives the BSON element. What fits is written down in `docs/architecture.md`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from hashlib import sha256
from struct import Struct

from assise.documents.extjson import KEY, JsonWriter
from assise.documents.extjson_reader import Form, read_value
from assise.documents.kinds import (
    ARRAY,
    BINARY,
    BOOL,
    DATE,
    DECIMAL,
    DOUBLE,
    INT32,
    INT64,
    KINDS,
    NULL,
    OBJECT_ID,
    STRING,
)
from assise.documents.reader import key_end, open_document, read_binary, read_int32, read_int64
from assise.documents.writer import (
    Element,
    pack_int64,
    write_array,
    write_binary,
    write_string,
    write_text,
)
from assise.errors import CellError, ExtendedJsonError, InvalidBsonError
from assise.manifest.types import element_type, is_array
from assise.rows import numeric
from assise.rows.numeric import decode_decimal, decode_number

Encode = Callable[[bytes, int], tuple[bytes | None, int]]
Decode = Callable[[bytes], Element]

NULL_CELL = b"\xff\xff\xff\xff"
KEY_BYTES = 1_000
"""A key of kind any whose text is longer stands as its sha256."""

pack_length, _read_length = Struct(">i").pack, Struct(">i").unpack_from
_pack_array_head, _read_array_head = Struct(">iiiii").pack, Struct(">iiiii").unpack_from
pack_int4 = Struct(">ii").pack
pack_int8 = Struct(">iq").pack

POSTGRES_EPOCH_MS = 946_684_800_000
FIRST_DATE_MS, AFTER_LAST_DATE_MS = -210_866_803_200_000, 9_224_318_016_000_000
OIDS = {
    "uuid": 2950,
    "text": 25,
    "bool": 16,
    "int4": 23,
    "int8": 20,
    "float8": 701,
    "numeric": 1700,
    "timestamptz": 1184,
    "bytea": 17,
}


def encode_object_id(raw: bytes, p: int) -> tuple[bytes, int]:
    """An ObjectId as a uuid of version 8 with readable digits."""
    digits = raw[p : p + 12].hex()
    return b"\0\0\0\x10" + bytes.fromhex(
        f"{digits[:12]}8{digits[12:15]}8{digits[15:]}000000"
    ), p + 12


def jsonb_cell(text: str) -> bytes:
    """A jsonb value: version 1, then its text."""
    content = text.encode()
    return b"".join((pack_length(len(content) + 1), b"\x01", content))


def offset_cell(column_type: str, offset: int) -> bytes | None:
    """The key of a document at `offset` of its source; None when the type cannot hold it."""
    if column_type == "int8":
        return pack_int8(8, offset)
    return None if offset >> 31 else pack_int4(4, offset)


def read_cells(row: bytes) -> list[bytes | None]:
    """The cells of a row of binary COPY, as a result has them."""
    cells, p = list[bytes | None](), 2
    while p < len(row):
        size: int = _read_length(row, p)[0]
        p += 4
        cells.append(None if size < 0 else row[p : p + size])
        p += max(size, 0)
    return cells


def decode_object_id(cell: bytes) -> Element:
    """The ObjectId behind a uuid of `encode_object_id`; any other uuid is a binary."""
    digits = cell.hex()
    if digits[12] == "8" and digits[16] == "8" and digits[26:] == "000000":
        return OBJECT_ID, bytes.fromhex(digits[:12] + digits[13:16] + digits[17:26])
    return write_binary(4, cell)


def _encode_object_id_text(raw: bytes, p: int) -> tuple[bytes, int]:
    return b"\0\0\0\x18" + raw[p : p + 12].hex().encode(), p + 12


def _decode_object_id_text(cell: bytes) -> Element:
    if re.fullmatch(rb"[0-9a-f]{24}", cell):
        return OBJECT_ID, bytes.fromhex(cell.decode())
    return STRING, write_string(cell)


def encode_text(raw: bytes, p: int) -> tuple[bytes | None, int]:
    """A string of valid UTF-8 without NUL."""
    length: int = read_int32(raw, p)[0]
    end = p + 4 + length
    if length < 1 or raw[end - 1]:
        raise InvalidBsonError("a string without a terminator", p)
    content = raw[p + 4 : end - 1]
    if not content.isascii():
        try:
            content.decode()
        except UnicodeDecodeError:
            return None, end
    return (None if b"\0" in content else pack_length(length - 1) + content), end


def encode_bool(raw: bytes, p: int) -> tuple[bytes, int]:
    """A boolean."""
    if raw[p] > 1:
        raise InvalidBsonError(f"a boolean that is {raw[p]}", p)
    return b"\0\0\0\1" + raw[p : p + 1], p + 1


def encode_double(raw: bytes, p: int) -> tuple[bytes, int]:
    """The eight bytes of a double or an int64."""
    return b"\0\0\0\x08" + raw[p : p + 8][::-1], p + 8


def encode_date(raw: bytes, p: int) -> tuple[bytes | None, int]:
    """A date in the range of timestamptz."""
    ms: int = read_int64(raw, p)[0]
    if FIRST_DATE_MS <= ms < AFTER_LAST_DATE_MS:
        return pack_int8(8, (ms - POSTGRES_EPOCH_MS) * 1000), p + 8
    return None, p + 8


def _decode_date(cell: bytes) -> Element:
    microseconds = int.from_bytes(cell, "big", signed=True)
    if abs(microseconds) >= (1 << 63) - 1:
        raise CellError("a timestamptz that is infinite has no BSON date")
    return DATE, pack_int64(microseconds // 1000 + POSTGRES_EPOCH_MS)


def encode_int32(raw: bytes, p: int) -> tuple[bytes, int]:
    """An int32."""
    return b"\0\0\0\4" + raw[p : p + 4][::-1], p + 4


def _encode_int64_as_int4(raw: bytes, p: int) -> tuple[bytes | None, int]:
    value: int = read_int64(raw, p)[0]
    return (pack_int4(4, value) if -(1 << 31) <= value < 1 << 31 else None), p + 8


def _encode_int32_as_int8(raw: bytes, p: int) -> tuple[bytes, int]:
    return pack_int8(8, read_int32(raw, p)[0]), p + 4


def _encode_number(encode: Callable[[bytes], bytes | None], size: int) -> Encode:
    remember = lru_cache(1 << 12)(encode)

    def encode_number(raw: bytes, p: int) -> tuple[bytes | None, int]:
        end = p + size
        if end > len(raw):
            raise IndexError
        return remember(raw[p:end]), end

    return encode_number


def _swap_csharp(content: bytes) -> bytes:
    return content[3::-1] + content[5:3:-1] + content[7:5:-1] + content[8:]


def _swap_java(content: bytes) -> bytes:
    return content[7::-1] + content[:7:-1]


def _as_it_stands(content: bytes) -> bytes:
    return content


def _encode_binary(
    subtype: int, *, size: int | None = None, swap: Callable[[bytes], bytes] = _as_it_stands
) -> Encode:
    def encode(raw: bytes, p: int) -> tuple[bytes | None, int]:
        found, content, end = read_binary(raw, p)
        if found != subtype or (size is not None and len(content) != size):
            return None, end
        return pack_length(len(content)) + swap(content), end

    return encode


def _decode_binary(subtype: int, swap: Callable[[bytes], bytes] = _as_it_stands) -> Decode:
    return lambda cell: write_binary(subtype, swap(cell))


def _encode_any(kind: int) -> Encode:
    def encode(raw: bytes, p: int) -> tuple[bytes, int]:
        text, end = JsonWriter(KEY).value(kind, raw, p)
        key = text.encode()
        if len(key) > KEY_BYTES:
            key = b"sha256:" + sha256(key).hexdigest().encode()
        return pack_length(len(key)) + key, end

    return encode


def _decode_any(cell: bytes) -> Element:
    try:
        return read_value(json.loads(cell), form=Form.KEY)
    except (ValueError, RecursionError, ExtendedJsonError):
        return write_text(cell.decode())


_UUID_BINARIES: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "uuid": (4, _as_it_stands),
    "uuid_python": (3, _as_it_stands),
    "uuid_java": (3, _swap_java),
    "uuid_csharp": (3, _swap_csharp),
}

_RULES: dict[tuple[str, str], tuple[dict[int, Encode], Decode]] = {
    ("uuid", "objectid"): ({OBJECT_ID: encode_object_id}, decode_object_id),
    ("text", "string"): ({STRING: encode_text}, lambda cell: (STRING, write_string(cell))),
    ("text", "objectid"): ({OBJECT_ID: _encode_object_id_text}, _decode_object_id_text),
    ("text", "any"): ({kind: _encode_any(kind) for kind in KINDS}, _decode_any),
    ("bool", "bool"): ({BOOL: encode_bool}, lambda cell: (BOOL, cell)),
    ("float8", "double"): ({DOUBLE: encode_double}, lambda cell: (DOUBLE, cell[::-1])),
    ("timestamptz", "date"): ({DATE: encode_date}, _decode_date),
    ("int4", "int32"): (
        {INT32: encode_int32, INT64: _encode_int64_as_int4},
        lambda cell: (INT32, cell[::-1]),
    ),
    ("int8", "int64"): (
        {INT64: encode_double, INT32: _encode_int32_as_int8},
        lambda cell: (INT64, cell[::-1]),
    ),
    ("numeric", "number"): (
        {
            INT32: _encode_number(numeric.encode_int, 4),
            INT64: _encode_number(numeric.encode_int, 8),
            DOUBLE: _encode_number(numeric.encode_double, 8),
        },
        decode_number,
    ),
    ("numeric", "decimal"): ({DECIMAL: _encode_number(numeric.encode_decimal, 16)}, decode_decimal),
}


def rule(column_type: str, kind: str) -> tuple[dict[int, Encode], Decode]:
    """Encoders by BSON type byte, and the decoder, of a column's type and kind (jsonb and offsets apart)."""
    if is_array(column_type):
        element = element_type(column_type)
        encoders, decode = rule(element, kind)
        return {ARRAY: partial(_encode_array, encoders, OIDS[element])}, partial(
            _decode_array, decode
        )
    if kind in _UUID_BINARIES and column_type == "uuid":
        subtype, swap = _UUID_BINARIES[kind]
        return {BINARY: _encode_binary(subtype, size=16, swap=swap)}, _decode_binary(subtype, swap)
    if column_type == "bytea":
        subtype = int(kind.removeprefix("binary").removeprefix("_") or 0)
        return {BINARY: _encode_binary(subtype)}, _decode_binary(subtype)
    return _RULES[column_type, kind]


def _encode_array(
    encoders: dict[int, Encode], oid: int, raw: bytes, p: int
) -> tuple[bytes | None, int]:
    last, q = open_document(raw, p), p + 4
    cells = []
    while q != last:
        kind, end = raw[q], key_end(raw, q, last)
        if kind == NULL:
            cells.append(NULL_CELL)
            q = end + 1
            continue
        encode = encoders.get(kind)
        if encode is None:
            return None, last + 1
        cell, q = encode(raw, end + 1)
        if q > last:
            raise InvalidBsonError("a value longer than its array", end)
        if cell is None:
            return None, last + 1
        cells.append(cell)
    return write_array_cell(cells, oid), last + 1


def write_array_cell(cells: list[bytes], oid: int) -> bytes:
    """A one-dimensional array of cells whose elements have the type `oid`."""
    if not cells:
        return pack_length(12) + b"\0\0\0\0\0\0\0\0" + pack_length(oid)
    has_null = NULL_CELL in cells
    body = b"".join(cells)
    return pack_length(len(body) + 20) + _pack_array_head(1, has_null, oid, len(cells), 1) + body


def array_size(cell: bytes) -> int:
    """How many elements an array cell, with its length in front, holds."""
    return _read_array_head(cell, 4)[3] if len(cell) > 20 else 0


def _decode_array(decode: Decode, cell: bytes) -> Element:
    if len(cell) <= 12:
        return ARRAY, write_array(())
    dimensions, _, _, count, _ = _read_array_head(cell)
    if dimensions != 1:
        raise CellError(f"an array of {dimensions} dimensions is not what a column of arrays holds")

    def read_items() -> Iterator[Element]:
        p = 20
        for _ in range(count):
            length: int = _read_length(cell, p)[0]
            p += 4
            if length < 0:
                yield NULL, b""
            else:
                yield decode(cell[p : p + length])
                p += length

    return ARRAY, write_array(read_items())
