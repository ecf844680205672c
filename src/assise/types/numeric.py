"""The wire format of `numeric`: cells from decimal texts, and texts from cells.

Format: src/backend/utils/adt/numeric.c, numeric_send: count of base-10,000 digits, weight of the
first, sign, scale, digits.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from decimal import Decimal
from functools import lru_cache
from math import isinf
from struct import Struct

from assise.errors import CellError

_HEAD = Struct(">ihhHH")
_READ_HEAD = Struct(">hhHH")
_POSITIVE, _NEGATIVE, _NAN, _INFINITY, _MINUS_INFINITY = 0x0000, 0x4000, 0xC000, 0xD000, 0xF000
_SPECIAL = {_NAN: "NaN", _INFINITY: "Infinity", _MINUS_INFINITY: "-Infinity"}
_NAMED = {name: sign for sign, name in _SPECIAL.items()}
_TENS, _HUNDREDS = int.from_bytes(b"\x0f" * 4096), int.from_bytes(b"\0\xff" * 2048)
"""Every second digit, and every second two digits, of numbers of up to 8,192 digits; a Decimal128
has 6,177 at most."""


def _pack(sign: int, whole: str, fraction: str = "") -> bytes:
    """The field of a decimal.

    Read as hexadecimal, four decimal digits take the 16 bits of their group. In each of its bytes,
    then in each of its groups, what is too much is subtracted for all groups at once.
    """
    number = int(whole + fraction + "0" * (-len(fraction) % 4), 16)
    number -= 6 * (number >> 4 & _TENS)
    number -= 156 * (number >> 8 & _HUNDREDS)
    size = (number.bit_length() + 15) // 16
    weight = size - 1 - (len(fraction) + 3) // 4 if size else 0
    while number and not number & 0xFFFF:
        number, size = number >> 16, size - 1
    return _HEAD.pack(8 + 2 * size, size, weight, sign, len(fraction)) + number.to_bytes(2 * size)


def write_numeric(text: str) -> bytes:
    """The field of a decimal as PostgreSQL prints it, of NaN or of an infinity."""
    special = _NAMED.get(text)
    if special is not None:
        # The scale of an infinity is 32 as the server gives it: a part of its stored header.
        return _HEAD.pack(8, 0, 0, special, 0 if special == _NAN else 32)
    whole, _, fraction = text.removeprefix("-").partition(".")
    return _pack(_NEGATIVE if text[0] == "-" else _POSITIVE, whole, fraction)


def read_numeric(cell: bytes) -> tuple[str, int]:
    """The text of a cell as PostgreSQL prints it, and its scale: -1 for NaN and infinities."""
    unpack, template, stop, scale = _read_head(cell[:8])
    return (template % unpack(cell))[:stop], scale


@lru_cache(1 << 8)
def _read_head(head: bytes) -> tuple[Callable[[bytes], tuple[int, ...]], str, int | None, int]:
    """What cells with this head share.

    How their groups are unpacked and printed, where the text stops, and the scale.
    """
    size, weight, sign, scale = _READ_HEAD.unpack(head)
    unpack = Struct(f">8x{size}H").unpack
    if sign in _SPECIAL:
        return unpack, _SPECIAL[sign], None, -1
    before = max(0, min(size, weight + 1))
    whole = "%d" + "%04d" * (before - 1) + "0000" * (weight + 1 - before) if before else "0"
    places = 4 * max(0, size - weight - 1)
    fraction = "0000" * (-1 - weight) + "%04d" * (size - before) + "0" * (scale - places)
    surplus = max(0, places - scale) + (scale == 0)
    return unpack, f"{'-' * (sign == _NEGATIVE)}{whole}.{fraction}", -surplus or None, scale


def read_finite(text: str) -> float:
    """The double of a decimal.

    Raises:
        CellError: it is beyond the range of doubles.
    """
    value = float(text)
    if isinf(value):
        raise CellError(f"{text[:80]} is beyond the range of doubles")
    return value


def compare_numeric(cell: bytes) -> Hashable:
    """The same for 10 and 10.0."""
    text, scale = read_numeric(cell)
    return Decimal(text) if scale >= 0 else text


def show_numeric(cell: bytes) -> str:
    """The first digits of a number as SQL shows it: it can have 130,000."""
    return read_numeric(cell)[0][:200]
