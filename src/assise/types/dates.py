"""Days: the codecs of `date`, for BSON dates at midnight in UTC and for texts YYYY-MM-DD."""

from __future__ import annotations

from struct import pack

from assise.documents.kinds import DATE, STRING
from assise.documents.reader import read_int64, read_string
from assise.documents.writer import Element, pack_int64, write_text
from assise.errors import CellError
from assise.types.codec import FieldEncode, make_codec, only_home, with_readings
from assise.types.iso import parse_day, show_day

_DAY_MS = 86_400_000
_EPOCH_DAYS = 10_957
_FIRST, _LAST = -2_451_545, 2_145_031_948
"""The days that `date` holds, from 4713 BC to 5874897 AD (src/include/datatype/timestamp.h)."""

_INFINITE = (1 << 31) - 1


def _encode_midnight(raw: bytes, p: int) -> tuple[bytes | None, int]:
    days, rest = divmod(read_int64(raw, p)[0], _DAY_MS)
    days -= _EPOCH_DAYS
    fits = not rest and _FIRST <= days <= _LAST
    return (pack(">ii", 4, days) if fits else None), p + 8


def _read_text(raw: bytes, p: int) -> tuple[bytes | None, int]:
    content, end = read_string(raw, p)
    days = parse_day(content.decode()) if content.isascii() else None
    return (None if days is None else pack(">ii", 4, days)), end


def _decode_midnight(cell: bytes) -> Element:
    days = int.from_bytes(cell, "big", signed=True)
    if abs(days) >= _INFINITE:
        raise CellError("a date that is infinite has no BSON date")
    return DATE, pack_int64((days + _EPOCH_DAYS) * _DAY_MS)


def _decode_text(cell: bytes) -> Element:
    """The text of a day; the BSON date of one outside of the years 0001 to 9999."""
    text = show_day(int.from_bytes(cell, "big", signed=True))
    return _decode_midnight(cell) if text is None else write_text(text)


_READINGS: dict[int, FieldEncode] = {DATE: _encode_midnight, STRING: _read_text}
DATE_CODECS = {
    "date": with_readings(make_codec({DATE: _encode_midnight}, _decode_midnight), _READINGS),
    "text": with_readings(
        make_codec({STRING: only_home(_read_text, _decode_text, STRING)}, _decode_text), _READINGS
    ),
}


def show_date(cell: bytes) -> str:
    """A day as SQL shows it; one that Python's dates cannot hold by its number."""
    days = int.from_bytes(cell, "big", signed=True)
    return show_day(days) or f"{days:,} days after 2000-01-01"
