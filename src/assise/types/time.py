"""Dates: the codec of `timestamptz`.

It counts microseconds from 2000, BSON counts milliseconds from 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from struct import unpack

from assise.documents.kinds import DATE
from assise.documents.reader import read_int64
from assise.documents.writer import Element, pack_int64
from assise.errors import CellError
from assise.types.codec import compare_again, make_codec
from assise.types.wire import int8_field

_EPOCH_MS = 946_684_800_000
_FIRST_MS, _AFTER_LAST_MS = -210_866_803_200_000, 9_224_318_016_000_000
_INFINITE = (1 << 63) - 1


def encode_date(raw: bytes, p: int) -> tuple[bytes | None, int]:
    """A date in the range of `timestamptz`."""
    ms: int = read_int64(raw, p)[0]
    if _FIRST_MS <= ms < _AFTER_LAST_MS:
        return int8_field((ms - _EPOCH_MS) * 1000), p + 8
    return None, p + 8


def _encode_dates(values: Sequence[bytes]) -> list[bytes | None]:
    moments = unpack(f"<{len(values)}q", b"".join(values))
    if min(moments) < _FIRST_MS or max(moments) >= _AFTER_LAST_MS:
        return [encode_date(value, 0)[0] for value in values]
    return [int8_field((ms - _EPOCH_MS) * 1000) for ms in moments]


def _decode_date(cell: bytes) -> Element:
    microseconds = int.from_bytes(cell, "big", signed=True)
    if abs(microseconds) >= _INFINITE:
        raise CellError("a timestamptz that is infinite has no BSON date")
    return DATE, pack_int64(microseconds // 1000 + _EPOCH_MS)


def _decode_dates(key: bytes, cells: Sequence[bytes]) -> list[bytes | None]:
    front = b"%c%b\0" % (DATE, key)
    moments = unpack(f">{len(cells)}q", b"".join(cells))
    return [
        None if moment % 1000 else front + pack_int64(moment // 1000 + _EPOCH_MS)
        for moment in moments
    ]


TIMESTAMPTZ_CODEC = make_codec(
    {DATE: encode_date},
    _decode_date,
    decode_strictly=compare_again(_decode_date, {DATE: encode_date}),
    encode_columns={DATE: _encode_dates},
    decode_column=_decode_dates,
    proposed_for="date",
)


def show_timestamptz(cell: bytes) -> str:
    """A moment as SQL shows it; one that Python's dates cannot hold by its number."""
    microseconds = int.from_bytes(cell, "big", signed=True)
    with suppress(OverflowError):
        moment = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
        return moment.isoformat(sep=" ")
    return f"{microseconds:,} microseconds after 2000-01-01"
