"""What columns read, by the tests' own grammar: a BSON value x type -> the cell, as plain Python.

Cells are ints, floats as their 8 bytes, texts of decimals, bools, texts, 16 bytes of a uuid,
microseconds or days from 1970, and bytes.
"""

from __future__ import annotations

import re
import struct
from decimal import Decimal
from fractions import Fraction

from bson.decimal128 import Decimal128
from tests.oracle.jsonform import decode
from tests.oracle.texts import print_decimal, print_plain_double
from tests.oracle.walk import Value

Cell = int | str | bytes | bool
INT_BITS = {"int2": 15, "int4": 31, "int8": 63}
FIRST_MS, END_MS = -210_866_803_200_000, 9_224_318_016_000_000
FIRST_DAY, LAST_DAY = -2_440_588, 2_145_042_905
DAY_MS = 86_400_000
NAN = bytes.fromhex("000000000000f87f")
SWAPPED = {
    "java": [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8],
    "csharp": [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15],
    "python": [*range(16)],
}
"""Where the bytes of a UUID stand that a driver has written as subtype 3."""

EPOCHS = {
    "seconds": (Fraction(10**6), 0),
    "milliseconds": (Fraction(1000), 0),
    "ticks": (Fraction(1, 10), -62_135_596_800_000_000),
}
"""What a number counts: microseconds of one, and where 0 lies, in microseconds from 1970."""


def split_type(type_: str) -> tuple[str, list[int]]:
    """A type without its modifiers, and these."""
    base, _, rest = type_.partition("(")
    return base, [int(number) for number in rest.rstrip(")").split(",") if number]


def read_cell(value: Value, type_: str, kind: str, reads: str = "") -> Cell | None:
    """The cell of a value in a column that is no array; None when it does not fit."""
    base, modifiers = split_type(type_)
    if "(" in kind:
        inner = strip_name(value, kind)
        if inner is not None:
            return read_cell(inner, type_, "", reads)
        if value.kind == "document":
            return None
    if base in INT_BITS:
        return _read_int(value, INT_BITS[base])
    if base == "float8":
        return _read_float(value)
    if base == "numeric":
        return _read_numeric(value, modifiers)
    if base == "bool":
        return _read_bool(value)
    if base in {"text", "varchar", "citext"}:
        return _read_text(value, modifiers)
    if base == "uuid":
        return _read_uuid(value, kind, reads)
    if base == "timestamptz":
        return _read_moment(value, modifiers, reads)
    if base == "date":
        return _read_day(value)
    assert base == "bytea", type_
    is_right = value.kind == "binary" and value.number == int(kind[7:] or 0)
    return value.content if is_right else None


def strip_name(value: Value, kind: str) -> Value | None:
    """The id behind `Class$`, or under `$id`; None for another value."""
    what, name = kind.removesuffix(")").split("(", 1)
    if what == "pointer" and value.kind == "string":
        front = name.encode() + b"$"
        if not value.content.startswith(front):
            return None
        rest = value.content[len(front) :]
        return Value("string", value.source, value.start, value.end, rest)
    fields = dict(value.fields)
    if what == "dbref" and [key for key, _ in value.fields] == [b"$ref", b"$id"]:
        ref = fields[b"$ref"]
        if ref.kind == "string" and ref.content == name.encode():
            return fields[b"$id"]
    return None


def find_whole(value: Value) -> int | None:
    """The integer that a number is, or a text of digits."""
    if value.kind in {"int32", "int64"}:
        return value.number
    if value.kind == "double" and value.content != bytes(7) + b"\x80":
        number: float = struct.unpack("<d", value.content)[0]
        if number == number and abs(number) <= 2.0**63 and number == int(number):
            return int(number)
    if value.kind == "decimal":
        number_128 = Decimal128.from_bid(value.content)
        decimal = number_128.to_decimal()
        is_canonical = decimal.is_finite() and Decimal128(str(number_128)).bid == value.content
        if is_canonical and abs(decimal) < 2**64 and decimal == int(decimal):
            return int(decimal)
    if value.kind == "string" and re.fullmatch(rb"-?(0|[1-9]\d*)", value.content):
        return int(value.content[:60]) if len(value.content) < 60 else None
    return None


def _read_int(value: Value, bits: int) -> int | None:
    whole = find_whole(value)
    return whole if whole is not None and -(1 << bits) <= whole < 1 << bits else None


def _read_float(value: Value) -> bytes | None:
    if value.kind == "double":
        return value.content
    if value.kind in {"int32", "int64"} and int(float(value.number)) == value.number:
        return struct.pack("<d", float(value.number))
    return None


def _read_bool(value: Value) -> bool | None:
    if value.kind == "bool":
        return bool(value.number)
    if value.kind == "string":
        return {b"true": True, b"false": False}.get(value.content)
    whole = None if value.kind == "decimal" else find_whole(value)
    return bool(whole) if whole in {0, 1} and whole is not None else None


def _read_numeric(value: Value, modifiers: list[int]) -> str | None:
    text = _print_number(value)
    if text is None or not modifiers or text == "NaN":
        return text
    precision, scale = modifiers
    if "Infinity" in text:
        return None
    decimal = Decimal(text)
    units = Fraction(decimal) * 10**scale
    if units.denominator != 1 or abs(units) >= 10**precision:
        return None
    digits = str(abs(int(units))).rjust(scale + 1, "0")
    shown = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
    return f"-{shown}" if units < 0 else shown


def _print_number(value: Value) -> str | None:
    if value.kind in {"int32", "int64"}:
        return str(value.number)
    if value.kind == "decimal":
        return print_decimal(value.content) or _print_large_decimal(value)
    if value.kind == "string" and re.fullmatch(rb"-?\d{1,4000}(\.\d{1,4000})?", value.content):
        return _print_digits(value.content.decode())
    if value.kind != "double" or value.content == bytes(7) + b"\x80":
        return None
    number: float = struct.unpack("<d", value.content)[0]
    if number != number:
        return "NaN" if value.content == NAN else None
    if abs(number) == float("inf"):
        return "Infinity" if number > 0 else "-Infinity"
    if 2**53 <= abs(number) < 2**64:
        return f"{int(number)}.0"
    return print_plain_double(value.content)


def _print_large_decimal(value: Value) -> str | None:
    """A Decimal128 with an exponent above 0, as all its digits."""
    bits = int.from_bytes(value.content, "little")
    digits, exponent = bits & ((1 << 113) - 1), (bits >> 113 & 0x3FFF) - 6176
    is_plain = bits >> 125 & 3 != 3 and digits < 10**34
    if not is_plain or exponent <= 0 or (bits >> 127 and not digits):
        return None
    return (
        ("-" if bits >> 127 else "") + str(digits * 10**exponent) if exponent < 4000 else _far(bits)
    )


def _far(bits: int) -> str:
    digits, exponent = bits & ((1 << 113) - 1), (bits >> 113 & 0x3FFF) - 6176
    return ("-" if bits >> 127 else "") + (f"{digits}{'0' * exponent}" if digits else "0")


def _print_digits(text: str) -> str:
    """A decimal text as PostgreSQL prints it: no zeros in front, no minus before zero."""
    sign, body = ("-", text[1:]) if text[0] == "-" else ("", text)
    whole, point, fraction = body.partition(".")
    whole = whole.lstrip("0") or "0"
    if not (whole + fraction).strip("0"):
        sign = ""
    return sign + whole + point + fraction


def _read_text(value: Value, modifiers: list[int]) -> str | None:
    if value.kind in {"int32", "int64"}:
        text: str | None = str(value.number)
    elif value.kind == "objectid":
        text = value.content.hex()
    else:
        text = decode(value.content) if value.kind == "string" else None
    if text is None or "\0" in text:
        return None
    return None if modifiers and len(text) > modifiers[0] else text


def _read_uuid(value: Value, kind: str, reads: str) -> bytes | None:
    if value.kind == "objectid":
        return _spread(value.content.hex())
    if value.kind == "string" and re.fullmatch(rb"[0-9a-fA-F]{24}", value.content):
        return _spread(value.content.decode().lower())
    if value.kind == "string":
        parts = value.content.split(b"-")
        is_hex = re.fullmatch(rb"[0-9a-fA-F-]{36}", value.content)
        if is_hex and list(map(len, parts)) == [8, 4, 4, 4, 12]:
            return bytes.fromhex(b"".join(parts).decode())
    if value.kind == "binary" and len(value.content) == 16:
        if value.number == 4:
            return value.content
        order = kind.removeprefix("uuid_") if kind.removeprefix("uuid_") in SWAPPED else reads
        if value.number == 3 and order in SWAPPED:
            return bytes(value.content[i] for i in SWAPPED[order])
    return None


def _spread(digits: str) -> bytes:
    return bytes.fromhex(f"{digits[:12]}8{digits[12:15]}8{digits[15:]}000000")


def _read_moment(value: Value, modifiers: list[int], reads: str) -> int | None:
    exact = _find_moment(value, reads)
    if exact is None:
        return None
    moment = exact.numerator // exact.denominator
    if modifiers and (moment != exact or moment % 10 ** (6 - modifiers[0])):
        return None
    return moment if FIRST_MS * 1000 <= moment < END_MS * 1000 else None


def _find_moment(value: Value, reads: str) -> Fraction | None:
    """Microseconds from 1970, with what lies behind them."""
    if value.kind == "date":
        return Fraction(value.number * 1000)
    if value.kind == "timestamp":
        return Fraction((int.from_bytes(value.content, "little") >> 32) * 10**6)
    if value.kind == "string":
        return parse_iso(value.content)
    if reads in EPOCHS and value.kind in {"int32", "int64", "double"}:
        number = value.number
        if value.kind == "double":
            number = struct.unpack("<d", value.content)[0]
            if number != number or abs(number) == float("inf"):
                return None
        size, start = EPOCHS[reads]
        return Fraction(number) * size + start
    return None


def find_days(year: int, month: int, day: int) -> int | None:
    """The days from 1970 of a day of the years 1 to 9999; None for one that there is not."""
    is_century = year % 100 == 0
    is_leap = year % 4 == 0 and (not is_century or year % 400 == 0)
    lengths = [31, 29 if is_leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    if not (1 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= lengths[month - 1]):
        return None
    before = year - 1
    return (
        365 * before
        + before // 4
        - before // 100
        + before // 400
        + (sum(lengths[: month - 1]) + day - 1 - 719_162)
    )


def parse_iso(content: bytes) -> Fraction | None:
    """An ISO moment; nothing else than the one form, in which T and Z are upper case."""
    if not re.fullmatch(rb"[0-9T:.Z+-]{20,35}", content):
        return None
    text = content.decode()
    shape = re.sub(r"\d", "0", text)
    body, zone = (text[:-1], "") if text[-1] == "Z" else (text[:-6], text[-6:])
    front, _, fraction = body.partition(".")
    is_zoned = zone == "" or re.fullmatch(r"[+-]00:00", re.sub(r"\d", "0", zone))
    wants_digits = "." in body
    if not shape.startswith("0000-00-00T00:00:00") or len(front) != 19 or not is_zoned:
        return None
    if wants_digits != bool(fraction) or not re.fullmatch(r"\d{0,9}", fraction):
        return None
    days = find_days(int(text[:4]), int(text[5:7]), int(text[8:10]))
    hour, minute = int(text[11:13]), int(text[14:16])
    second = int(text[17:19])
    if days is None or hour > 23 or minute > 59 or second > 59:
        return None
    moment = Fraction(((days * 24 + hour) * 60 + minute) * 60 + second)
    moment += Fraction(int(fraction or 0), 10 ** len(fraction))
    if zone:
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > 15 or minutes > 59:
            return None
        moment -= (1 if zone[0] == "+" else -1) * (hours * 3600 + minutes * 60)
    return moment * 10**6


def _read_day(value: Value) -> int | None:
    if value.kind == "string" and re.fullmatch(rb"\d{4}-\d\d-\d\d", value.content):
        text = value.content.decode()
        return find_days(int(text[:4]), int(text[5:7]), int(text[8:]))
    if value.kind == "date" and value.number % DAY_MS == 0:
        days = value.number // DAY_MS
        return days if FIRST_DAY <= days <= LAST_DAY else None
    return None
