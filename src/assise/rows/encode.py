"""Whole columns of BSON values into cells: what `assise.rows.cells` does for one value, for thousands of one kind at once.

Most of the work is done on all bytes of a column together. A value that does not fit gives None, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from struct import iter_unpack, unpack

from assise.documents.reader import is_utf8
from assise.rows.cells import (
    AFTER_LAST_DATE_MS,
    FIRST_DATE_MS,
    POSTGRES_EPOCH_MS,
    Encode,
    encode_bool,
    encode_date,
    encode_double,
    encode_int32,
    encode_object_id,
    encode_text,
    pack_int8,
    pack_length,
)

EncodeAll = Callable[[Sequence[bytes]], list[bytes | None]]
"""Values of one kind -> their cells; None where a value does not fit."""


def encode_all(encode: Encode) -> EncodeAll:
    """The encoder of whole columns that gives what `encode` gives for each value."""
    return _WHOLE.get(encode) or partial(_encode_each, encode)


def _encode_each(encode: Encode, values: Sequence[bytes]) -> list[bytes | None]:
    known = {value: encode(value, 0)[0] for value in set(values)}
    return [known[value] for value in values]


def _encode_texts(values: Sequence[bytes]) -> list[bytes | None]:
    contents = [value[4:-1] for value in values]
    joined = b"\0".join(contents)
    if not joined.isascii() and not is_utf8(joined):
        return _encode_each(encode_text, values)
    return [pack_length(len(content)) + content for content in contents]


LOW_UP = bytes((byte & 15) << 4 for byte in range(256))
HIGH_DOWN = bytes(byte >> 4 for byte in range(256))
"""For `bytes.translate`: the lower four bits moved up, the upper four moved down."""

_HIGH_AS_8 = bytes(0x80 | byte >> 4 for byte in range(256))
_LOW_AS_8 = bytes(0x80 | byte & 15 for byte in range(256))


def encode_object_ids(values: Sequence[bytes]) -> list[bytes | None]:
    """Each byte of the uuids of `encode_object_id` from the bytes of all ObjectIds that it depends on."""
    ids, count = b"".join(values), len(values)
    sixth, seventh = ids[6::12], ids[7::12]
    cells = bytearray(b"\0\0\0\x10" + bytes(16)) * count
    for i in range(6):
        cells[4 + i :: 20] = ids[i::12]
    cells[10::20] = sixth.translate(_HIGH_AS_8)
    both = int.from_bytes(sixth.translate(LOW_UP)) | int.from_bytes(seventh.translate(HIGH_DOWN))
    cells[11::20] = both.to_bytes(count)
    cells[12::20] = seventh.translate(_LOW_AS_8)
    for i in range(4):
        cells[13 + i :: 20] = ids[8 + i :: 12]
    return [cell for (cell,) in iter_unpack("20s", cells)]


def _encode_dates(values: Sequence[bytes]) -> list[bytes | None]:
    moments = unpack(f"<{len(values)}q", b"".join(values))
    if min(moments) < FIRST_DATE_MS or max(moments) >= AFTER_LAST_DATE_MS:
        return _encode_each(encode_date, values)
    return [pack_int8(8, (ms - POSTGRES_EPOCH_MS) * 1000) for ms in moments]


_WHOLE: dict[Encode, EncodeAll] = {
    encode_text: _encode_texts,
    encode_object_id: encode_object_ids,
    encode_date: _encode_dates,
    encode_int32: lambda values: [b"\0\0\0\4" + value[::-1] for value in values],
    encode_double: lambda values: [b"\0\0\0\x08" + value[::-1] for value in values],
    encode_bool: lambda values: [b"\0\0\0\1" + value for value in values],
}
