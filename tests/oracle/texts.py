"""Texts of scalars as PostgreSQL prints them (TimeZone UTC, DateStyle ISO), and plain doubles."""

from __future__ import annotations

import struct
from fractions import Fraction
from itertools import pairwise

DAY_MS = 86_400_000
SPACES = " \t\n\r\v\f"


def print_float8(content: bytes) -> str:
    """The text of `float8out`: the shortest digits strictly inside the rounding interval.

    Below 1e-4 and from 1e15 on it has an exponent.
    """
    number: float = struct.unpack("<d", content)[0]
    if number != number:
        return "NaN"
    sign = "-" if content[7] & 0x80 else ""
    if number in {float("inf"), float("-inf")}:
        return sign + "Infinity"
    if number == 0:
        return sign + "0"
    digits, exponent = _find_shortest(abs(number))
    if not -4 <= exponent < 15:
        mantissa = f"{digits[0]}.{digits[1:]}".rstrip(".")
        return f"{sign}{mantissa}e{exponent:+03}"
    return sign + _place_point(digits, exponent)


def _place_point(digits: str, exponent: int) -> str:
    """Digits with their point, the first digit standing for 10 ** exponent."""
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    fraction = digits[exponent + 1 :]
    return f"{whole}.{fraction}" if fraction else whole


def _find_shortest(number: float) -> tuple[str, int]:
    """The fewest digits strictly between the midpoints to the neighbours (PostgreSQL's Ryu).

    Of several the nearest are taken, then the even.
    """
    bits: int = struct.unpack("<Q", struct.pack("<d", number))[0]
    mantissa, power = bits & ((1 << 52) - 1), bits >> 52
    step = Fraction(2) ** (max(power, 1) - 1075)
    exact = (mantissa | (1 << 52 if power else 0)) * step
    # The neighbour below a power of two is nearer.
    low = exact - (step / 4 if mantissa == 0 and power > 1 else step / 2)
    high = exact + step / 2
    exponent = int(f"{number:e}".split("e")[1])
    # The text is rounded, which may give the next power of ten.
    if exact >= Fraction(10) ** (exponent + 1):
        exponent += 1
    elif exact < Fraction(10) ** exponent:
        exponent -= 1
    # repr looks in the same interval, bounds included.
    least = len(repr(number).partition("e")[0].replace(".", "").strip("0"))
    for size in range(least, 18):
        unit = Fraction(10) ** (exponent - size + 1)
        below = exact // unit
        near = [n for n in (below, below + 1) if low < n * unit < high]
        inside = [(abs(n * unit - exact), n % 2, n) for n in near]
        if inside:
            digits = str(min(inside)[2])
            return digits.rstrip("0"), exponent + len(digits) - size
    raise AssertionError(number)


def print_plain_double(content: bytes) -> str:
    """The shortest decimal that reads back as a finite double, without exponent, with a point."""
    text = repr(struct.unpack("<d", content)[0])
    sign = "-" if text.startswith("-") else ""
    text = text.removeprefix("-")
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return sign + text
    whole, _, fraction = mantissa.partition(".")
    plain = _place_point((whole + fraction).rstrip("0") or "0", int(exponent))
    return sign + plain + ("" if "." in plain else ".0")


def find_civil(days: int) -> tuple[int, int, int]:
    """Year (astronomical), month and day of a day counted from 1970-01-01, all Gregorian."""
    cycle, days = divmod(days + 719_468, 146_097)  # 400 years from 0000-03-01
    year = (days - days // 1460 + days // 36_524 - days // 146_096) // 365
    days -= 365 * year + year // 4 - year // 100
    month = (5 * days + 2) // 153
    day = days - (153 * month + 2) // 5 + 1
    return cycle * 400 + year + (month >= 10), (month + 2) % 12 + 1, day


def print_moment(microseconds: int) -> str:
    """`timestamptz::text` of microseconds since 1970."""
    days, rest = divmod(microseconds, DAY_MS * 1000)
    year, month, day = find_civil(days)
    era = " BC" if year < 1 else ""
    fraction = f".{rest % 1_000_000:06}".rstrip("0").rstrip(".")
    shown = 1 - year if era else year
    date = f"{shown:04}-{month:02}-{day:02}"
    return f"{date} {_print_time(rest // 1000)}{fraction}+00{era}"


def print_day(days: int) -> str:
    """`date::text` of days since 1970."""
    year, month, day = find_civil(days)
    shown = 1 - year if year < 1 else year
    return f"{shown:04}-{month:02}-{day:02}" + " BC" * (year < 1)


def print_iso(ms: int) -> str:
    """The date of relaxed Extended JSON, for the years 1970 to 9999."""
    year, month, day = find_civil(ms // DAY_MS)
    fraction = f".{ms % 1000:03}" if ms % 1000 else ""
    date = f"{year:04}-{month:02}-{day:02}"
    return f"{date}T{_print_time(ms)}{fraction}Z"


def _print_time(ms: int) -> str:
    minutes, seconds = divmod(ms % DAY_MS // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}"


def print_decimal(content: bytes) -> str | None:
    """`numeric::text` of a Decimal128 whose 16 bytes a numeric gives back, otherwise None."""
    bits = int.from_bytes(content, "little")
    special = {0x7C << 120: "NaN", 0x78 << 120: "Infinity", 0xF8 << 120: "-Infinity"}
    if bits in special:
        return special[bits]
    sign, digits = bits >> 127, bits & ((1 << 113) - 1)
    exponent = (bits >> 113 & 0x3FFF) - 6176
    if bits >> 125 & 3 == 3 or digits >= 10**34:
        return None
    if exponent > 0 or (sign and digits == 0):
        return None
    text = str(digits).rjust(1 - exponent, "0")
    if exponent:
        text = f"{text[:exponent]}.{text[exponent:]}"
    return f"-{text}" if sign else text


def print_uuid(content: bytes) -> str:
    """Sixteen bytes as `uuid::text`."""
    text = content.hex()
    borders = [0, 8, 12, 16, 20, 32]
    return "-".join(text[start:stop] for start, stop in pairwise(borders))


def print_array(texts: list[str | None]) -> str:
    """`array::text` of the texts of its elements."""
    items = ["NULL" if text is None else _quote(text) for text in texts]
    return "{" + ",".join(items) + "}"


def _quote(text: str) -> str:
    if text and text.upper() != "NULL" and not set(text) & {*'"\\{},', *SPACES}:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
