"""The texts of scalars: as PostgreSQL prints them (TimeZone UTC, DateStyle ISO), and the plain decimal form of doubles."""

from __future__ import annotations

import struct
from fractions import Fraction

DAY_MS = 86_400_000
SPACES = " \t\n\r\v\f"


def print_float8(content: bytes) -> str:
    """What `float8out` prints: shortest digits strictly inside the rounding interval, an exponent below 1e-4 and from 1e15 on."""
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
        return f"{sign}{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"
    return sign + _place_point(digits, exponent)


def _place_point(digits: str, exponent: int) -> str:
    """Digits with their point, the first digit standing for 10 ** exponent."""
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    return whole + ("." + digits[exponent + 1 :] if digits[exponent + 1 :] else "")


def _find_shortest(number: float) -> tuple[str, int]:
    """The fewest digits strictly between the midpoints to the neighbours, of these the nearest, then the even (PostgreSQL's Ryu)."""
    bits: int = struct.unpack("<Q", struct.pack("<d", number))[0]
    mantissa, power = bits & ((1 << 52) - 1), bits >> 52
    exact = Fraction(mantissa | (1 << 52 if power else 0)) * Fraction(2) ** (max(power, 1) - 1075)
    step = Fraction(2) ** (max(power, 1) - 1075)
    low = exact - (step / 4 if mantissa == 0 and power > 1 else step / 2)
    high = exact + step / 2
    exponent = int(f"{number:e}".split("e")[1])
    exponent += (exact >= Fraction(10) ** (exponent + 1)) - (exact < Fraction(10) ** exponent)
    least = len(
        repr(number).partition("e")[0].replace(".", "").strip("0")
    )  # repr looks in the same interval, bounds included
    for size in range(least, 18):
        unit = Fraction(10) ** (exponent - size + 1)
        below = exact // unit
        inside = [
            (abs(n * unit - exact), n % 2, n) for n in (below, below + 1) if low < n * unit < high
        ]
        if inside:
            digits = str(min(inside)[2])
            return digits.rstrip("0"), exponent + len(digits) - size
    raise AssertionError(number)


def print_plain_double(content: bytes) -> str:
    """The shortest round-trip decimal of a finite double without exponent, with at least one decimal place."""
    text = repr(struct.unpack("<d", content)[0])
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return sign + text
    whole, _, fraction = mantissa.partition(".")
    plain = _place_point((whole + fraction).rstrip("0") or "0", int(exponent))
    return sign + plain + ("" if "." in plain else ".0")


def find_civil(days: int) -> tuple[int, int, int]:
    """Year (astronomical), month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar."""
    cycle, days = divmod(days + 719_468, 146_097)  # 400 years from 0000-03-01
    year = (days - days // 1460 + days // 36_524 - days // 146_096) // 365
    days -= 365 * year + year // 4 - year // 100
    month = (5 * days + 2) // 153
    day = days - (153 * month + 2) // 5 + 1
    return cycle * 400 + year + (month >= 10), (month + 2) % 12 + 1, day


def print_timestamptz(ms: int) -> str:
    """`timestamptz::text` of milliseconds since 1970."""
    year, month, day = find_civil(ms // DAY_MS)
    era = " BC" if year < 1 else ""
    fraction = f".{ms % 1000:03}".rstrip("0").rstrip(".")
    return f"{1 - year if era else year:04}-{month:02}-{day:02} {_print_time(ms)}{fraction}+00{era}"


def print_iso(ms: int) -> str:
    """The date of relaxed Extended JSON, for the years 1970 to 9999."""
    year, month, day = find_civil(ms // DAY_MS)
    return f"{year:04}-{month:02}-{day:02}T{_print_time(ms)}" + (
        f".{ms % 1000:03}Z" if ms % 1000 else "Z"
    )


def _print_time(ms: int) -> str:
    seconds = ms % DAY_MS // 1000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def print_decimal(content: bytes) -> str | None:
    """`numeric::text` of a Decimal128 whose 16 bytes a numeric gives back, otherwise None."""
    bits = int.from_bytes(content, "little")
    special = {0x7C << 120: "NaN", 0x78 << 120: "Infinity", 0xF8 << 120: "-Infinity"}
    if bits in special:
        return special[bits]
    sign, digits, exponent = bits >> 127, bits & ((1 << 113) - 1), (bits >> 113 & 0x3FFF) - 6176
    if bits >> 125 & 3 == 3 or digits >= 10**34 or exponent > 0 or (sign and digits == 0):
        return None
    text = str(digits).rjust(1 - exponent, "0")
    return ("-" if sign else "") + (text[:exponent] + "." + text[exponent:] if exponent else text)


def print_uuid(content: bytes) -> str:
    """Sixteen bytes as `uuid::text`."""
    text = content.hex()
    return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])


def print_array(texts: list[str | None]) -> str:
    """`array::text` of the texts of its elements."""
    return "{" + ",".join("NULL" if text is None else _quote(text) for text in texts) + "}"


def _quote(text: str) -> str:
    if text and text.upper() != "NULL" and not any(sign in '"\\{},' + SPACES for sign in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
