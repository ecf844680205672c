"""Moments: the codecs of `timestamptz` and `timestamptz(n)`.

They count microseconds from 2000, BSON counts milliseconds from 1970. ISO texts and BSON timestamps
are read; numbers only where the column says what they count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from fractions import Fraction
from functools import partial
from math import isfinite

from assise.documents.kinds import DATE, DOUBLE, INT32, INT64, STRING, TIMESTAMP
from assise.documents.reader import read_double, read_int64, read_string
from assise.documents.writer import Element, pack_int64, write_text
from assise.errors import CellError
from assise.types.codec import (
    Codec,
    FieldEncode,
    compare_again,
    make_codec,
    only_home,
    with_readings,
)
from assise.types.iso import EPOCH, parse_moment, show_moment
from assise.types.whole import find_int
from assise.types.wire import int8_field

_EPOCH_MS = 946_684_800_000
_FIRST_MS, _AFTER_LAST_MS = -210_866_803_200_000, 9_224_318_016_000_000
_INFINITE = (1 << 63) - 1
_FIRST = (_FIRST_MS - _EPOCH_MS) * 1000
_AFTER_LAST = (_AFTER_LAST_MS - _EPOCH_MS) * 1000
_TICKS_BEFORE_1970 = 621_355_968_000_000_000

_PER_MICROSECOND: Mapping[str, tuple[int, Fraction]] = {
    "seconds": (0, Fraction(1, 1_000_000)),
    "milliseconds": (0, Fraction(1, 1000)),
    "ticks": (_TICKS_BEFORE_1970, Fraction(10)),
}
NUMBERS = tuple(_PER_MICROSECOND)
"""What numbers in a column may count: from 1970, or .NET's ticks of 100 ns from the year 1."""

_FindCount = Callable[[bytes, int], tuple[int | float, int]]
WriteMoment = Callable[[int, bool], bytes | None]
"""Microseconds from 2000, and whether digits behind them were cut -> the field."""


def _write_moment(moment: int, _is_cut: bool = False) -> bytes | None:
    return int8_field(moment) if _FIRST <= moment < _AFTER_LAST else None


def _write_rounded(step: int, moment: int, is_cut: bool) -> bytes | None:
    """The field in a type with fewer places; None when a digit would be lost."""
    return None if is_cut or moment % step else _write_moment(moment)


def encode_date(raw: bytes, p: int) -> tuple[bytes | None, int]:
    """A date in the range of `timestamptz`."""
    ms: int = read_int64(raw, p)[0]
    if _FIRST_MS <= ms < _AFTER_LAST_MS:
        return int8_field((ms - _EPOCH_MS) * 1000), p + 8
    return None, p + 8


def _read_date(write: WriteMoment, raw: bytes, p: int) -> tuple[bytes | None, int]:
    ms: int = read_int64(raw, p)[0]
    return write((ms - _EPOCH_MS) * 1000, False), p + 8


def _read_iso(write: WriteMoment, raw: bytes, p: int) -> tuple[bytes | None, int]:
    content, end = read_string(raw, p)
    found = parse_moment(content.decode()) if content.isascii() else None
    if found is None:
        return None, end
    moment, fraction = found
    return write(moment, fraction[6:].strip("0") != ""), end


def _read_timestamp(write: WriteMoment, raw: bytes, p: int) -> tuple[bytes | None, int]:
    end = p + 8
    value = int.from_bytes(raw[p:end], "little")
    if end > len(raw):
        raise IndexError
    return write(((value >> 32) * 1000 - _EPOCH_MS) * 1000, False), end


def _read_count(numbers: str, find: _FindCount, write: WriteMoment) -> FieldEncode:
    """The encoder of numbers that count from an epoch."""
    before, per_microsecond = _PER_MICROSECOND[numbers]

    def encode(raw: bytes, p: int) -> tuple[bytes | None, int]:
        value, end = find(raw, p)
        if not isfinite(value):
            return None, end
        exact = (Fraction(value) - before) / per_microsecond - _EPOCH_MS * 1000
        moment = exact.numerator // exact.denominator
        return write(moment, moment != exact), end

    return encode


def _find_double(raw: bytes, p: int) -> tuple[float, int]:
    return read_double(raw, p)[0], p + 8


_COUNTS: Mapping[int, _FindCount] = {
    INT32: partial(find_int, size=4),
    INT64: partial(find_int, size=8),
    DOUBLE: _find_double,
}


def _decode_date(cell: bytes) -> Element:
    microseconds = int.from_bytes(cell, "big", signed=True)
    if abs(microseconds) >= _INFINITE:
        raise CellError("a timestamptz that is infinite has no BSON date")
    return DATE, pack_int64(microseconds // 1000 + _EPOCH_MS)


def _decode_iso(places: int, cell: bytes) -> Element:
    """The ISO text of a moment; the BSON date of one outside of the years 0001 to 9999."""
    text = show_moment(int.from_bytes(cell, "big", signed=True), places)
    return _decode_date(cell) if text is None else write_text(text)


_DATE_CODEC = make_codec(
    {DATE: encode_date},
    _decode_date,
    decode_strictly=compare_again(_decode_date, {DATE: encode_date}),
    proposed_for="date",
)


def make_moment_codecs(places: int | None = None, *, numbers: str = "") -> dict[str, Codec]:
    """The codecs of moments by kind.

    Args:
        places: those of `timestamptz(n)`, which holds a moment only with all its digits.
        numbers: what numbers count (`NUMBERS`); without it they are not read.
    """
    write = _write_moment if places is None else partial(_write_rounded, 10 ** (6 - places))
    read_iso = partial(_read_iso, write)
    readings: dict[int, FieldEncode] = {
        DATE: partial(_read_date, write),
        STRING: read_iso,
        TIMESTAMP: partial(_read_timestamp, write),
    }
    if numbers:
        readings |= {kind: _read_count(numbers, find, write) for kind, find in _COUNTS.items()}
    date = _DATE_CODEC
    if places is not None:
        date = make_codec(
            {DATE: readings[DATE]}, _decode_date, decode_strictly=_DATE_CODEC.decode_strictly
        )
    codecs = {"date": with_readings(date, readings)}
    for name, shown in {"iso": 0, "iso3": 3}.items():
        decode = partial(_decode_iso, shown)
        home = make_codec({STRING: only_home(read_iso, decode, STRING)}, decode)
        codecs[name] = with_readings(home, readings, some={STRING})
    return codecs


def show_timestamptz(cell: bytes) -> str:
    """A moment as SQL shows it; one that Python's dates cannot hold by its number."""
    microseconds = int.from_bytes(cell, "big", signed=True)
    with suppress(OverflowError):
        moment = EPOCH + timedelta(microseconds=microseconds)
        return moment.isoformat(sep=" ")
    return f"{microseconds:,} microseconds after 2000-01-01"
