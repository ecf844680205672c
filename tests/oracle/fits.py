"""The table of fits: BSON value x type of PostgreSQL x kind -> fit, and PostgreSQL's text."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from fractions import Fraction

from bson.decimal128 import Decimal128
from tests.oracle.jsonform import jsonb_text, key_text
from tests.oracle.readings import (
    DAY_MS,
    INT_BITS,
    SWAPPED,
    Cell,
    read_cell,
    split_type,
    strip_name,
)
from tests.oracle.texts import (
    find_civil,
    print_array,
    print_day,
    print_float8,
    print_moment,
    print_uuid,
)
from tests.oracle.walk import Value

DEFAULT_KINDS = {
    "uuid": "objectid",
    "text": "string",
    "bool": "bool",
    "int2": "int",
    "int4": "int",
    "int8": "int",
    "float8": "double",
    "numeric": "number",
    "timestamptz": "date",
    "date": "date",
    "bytea": "binary",
    "jsonb": "every",
    "citext": "string",
    "varchar": "string",
}
AT_HOME = {
    "objectid": {"objectid"},
    "string": {"string"},
    "bool": {"bool"},
    "int": {"int32", "int64"},
    "double": {"double"},
    "number": {"int32", "int64", "double"},
    "decimal": {"decimal"},
    "text": {"string"},
    "date": {"date"},
    "iso": {"string"},
    "iso3": {"string"},
    "hex": {"string"},
    "uuid_text": {"string"},
    "pointer": {"string"},
    "dbref": {"document"},
}
"""The kinds of values that a key of a kind holds; numbers that are equal besides."""

NUMBERS = {"int32", "int64", "double", "decimal"}
Content = tuple[object, ...]
"""What is compared of a value: its kind, with one kind for ints, and what it holds."""


@dataclass(frozen=True)
class Fit:
    """Whether a value fits a column, and the expected `column::text`; None is NULL.

    Of jsonb it is a JSON text that is equal as jsonb. A value that is not `home` is noted.
    """

    fits: bool
    text: str | None = None
    home: bool = False


NO = Fit(fits=False)


def default_kind(type_: str) -> str:
    """The kind of a column that names none."""
    return DEFAULT_KINDS[split_type(type_.removesuffix("[]"))[0]]


def find_fit(value: Value | None, type_: str, kind: str = "", reads: str = "") -> Fit:
    """Whether a value (None: missing) fits a column of a type and kind, and its text there."""
    kind = kind or default_kind(type_)
    if value is None or (value.kind == "null" and kind != "any"):
        return NO
    if kind in {"any", "every"}:
        text = key_text(value) if kind == "any" else jsonb_text(value)
        return Fit(fits=True, text=text, home=True)
    if type_.endswith("[]"):
        return _fit_array(value, type_[:-2], kind, reads)
    cell = read_cell(value, type_, kind, reads)
    if cell is None:
        return NO
    home = describe(value) == give_back(cell, type_, kind)
    # A value that names its collection is at home, or it does not fit.
    names_it = "(" in kind and strip_name(value, kind) is not None
    return NO if names_it and not home else Fit(True, print_cell(cell, type_), home)


def find_key_fit(value: Value, type_: str, kind: str = "") -> Fit:
    """The same in a key, which reads only numbers that MongoDB holds equal to what comes back."""
    kind = kind or default_kind(type_)
    fit = find_fit(value, type_, kind)
    if kind == "any" or (fit.home and value.kind in find_homes(kind)):
        return fit
    is_number = value.kind in NUMBERS and NUMBERS & find_homes(kind)
    if not fit.fits or not is_number:
        return NO
    cell = read_cell(value, type_, kind)
    assert cell is not None
    again = give_back(cell, type_, kind)
    is_equal = again is not None and measure(*again) == measure(*describe(value))
    return fit if is_equal else NO


def find_homes(kind: str) -> set[str]:
    """The kinds of values that are at home in a kind of column."""
    if kind.startswith(("uuid", "binary")) and kind != "uuid_text":
        return {"binary"}
    return AT_HOME[kind.partition("(")[0]]


def find_offset_fit(offset: int, type_: str) -> Fit:
    """Whether the offset of a document fits a key of kind `offset`."""
    return Fit(True, str(offset), home=True) if offset < 1 << INT_BITS[type_] else NO


def _fit_array(value: Value, type_: str, kind: str, reads: str) -> Fit:
    is_array = value.kind == "array"
    items = [inner for _, inner in value.fields] if is_array else [value]
    texts: list[str | None] = []
    home = is_array
    for item in items:
        fit = find_fit(item, type_, kind, reads)
        if item.kind != "null" and not fit.fits:
            return NO
        home &= fit.home or item.kind == "null"
        texts.append(fit.text[0] if fit.text and type_ == "bool" else fit.text)
    return Fit(True, print_array(texts), home)


def describe(value: Value) -> Content:
    """What is compared of a value."""
    if value.kind in {"int32", "int64"}:
        return "int", value.number
    if value.kind in {"bool", "date"}:
        return value.kind, value.number
    if value.kind == "binary":
        return "binary", value.number, value.content
    return value.kind, _narrow(value) if value.kind == "document" else value.content


def _narrow(value: Value) -> bytes:
    """The bytes of a document; of a DBRef to an int those that do not tell its width."""
    ref, *others = [inner for _, inner in value.fields] or [value]
    keys = [key for key, _ in value.fields]
    is_dbref = keys == [b"$ref", b"$id"] and ref.kind == "string"
    if not is_dbref or others[0].kind != "int64":
        return value.raw
    return _write_dbref(ref.content.decode(errors="replace"), describe(others[0]))


def measure(kind: object, content: object, *_: object) -> object:
    """The number that a value is, the same for equal ones; None for no number."""
    if kind == "int":
        assert isinstance(content, int)
        return Fraction(content)
    assert isinstance(content, bytes)
    if kind == "double":
        number: float = struct.unpack("<d", content)[0]
        return Fraction(number) if abs(number) < float("inf") else str(number)
    decimal = Decimal128.from_bid(content).to_decimal()
    return Fraction(decimal) if decimal.is_finite() else str(float(decimal))


def print_cell(cell: Cell, type_: str) -> str:
    """The text that PostgreSQL has for a cell."""
    base, _ = split_type(type_)
    if base == "bool":
        return "true" if cell else "false"
    if base == "timestamptz":
        assert isinstance(cell, int)
        return print_moment(cell)
    if base == "date":
        assert isinstance(cell, int)
        return print_day(cell)
    if not isinstance(cell, bytes):
        return str(cell)
    if base == "float8":
        return print_float8(cell)
    return print_uuid(cell) if base == "uuid" else "\\x" + cell.hex()


def give_back(cell: Cell, type_: str, kind: str) -> Content | None:
    """What comes back of a cell in a column of a kind."""
    base, modifiers = split_type(type_)
    name = kind.partition("(")[2].removesuffix(")")
    if kind.startswith("pointer"):
        text = {"uuid": "hex", "text": "string", "varchar": "string", "citext": "string"}
        again = give_back(cell, type_, text.get(base, "digits"))
        assert again is not None
        return "string", f"{name}$".encode() + again[1]  # type: ignore[operator]
    if kind.startswith("dbref"):
        again = give_back(cell, type_, DEFAULT_KINDS[base])
        return None if again is None else ("document", _write_dbref(name, again))
    if base in INT_BITS:
        assert isinstance(cell, int)
        if kind == "digits":
            return "string", str(cell).encode()
        is_double = kind == "double" and int(float(cell)) == cell
        return ("double", struct.pack("<d", float(cell))) if is_double else ("int", cell)
    if base == "numeric":
        assert isinstance(cell, str)
        return _give_back_number(cell, kind, is_scaled=bool(modifiers))
    if base in {"timestamptz", "date"}:
        assert isinstance(cell, int)
        return _give_back_time(cell, base, kind)
    if isinstance(cell, str):
        is_id = kind == "objectid" and re.fullmatch("[0-9a-f]{24}", cell)
        return ("objectid", bytes.fromhex(cell)) if is_id else ("string", cell.encode())
    if isinstance(cell, bool):
        return "bool", int(cell)
    assert isinstance(cell, bytes)
    if base == "float8":
        return "double", cell
    if base == "uuid":
        return _give_back_uuid(cell, kind)
    return "binary", int(kind[7:] or 0), cell


def _write_dbref(name: str, again: Content) -> bytes:
    """The DBRef to an id, in the one order of its fields."""
    kind, content = again[0], again[-1]
    ref = name.encode()
    text = struct.pack("<i", len(ref) + 1) + ref + b"\0"
    if kind == "objectid":
        inner = b"\x07$id\0" + content  # type: ignore[operator]
    elif kind == "string":
        inner = b"\x02$id\0" + struct.pack("<i", len(content) + 1) + content + b"\0"  # type: ignore[operator, arg-type]
    elif kind == "binary":
        inner = b"\x05$id\0" + struct.pack("<i", 16) + b"\4" + content  # type: ignore[operator]
    else:
        inner = b"\x10$id\0" + struct.pack("<q", content)[:4]
        if not -(1 << 31) <= content < 1 << 31:  # type: ignore[operator]
            inner = b"\x12$id\0" + struct.pack("<q", content)
    body = b"\x02$ref\0" + text + inner
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _give_back_number(text: str, kind: str, *, is_scaled: bool) -> Content | None:
    if kind == "text":
        return "string", text.encode()
    if kind == "decimal":
        try:
            return "decimal", Decimal128(text).bid
        except ArithmeticError:
            return None
    whole, point, fraction = text.partition(".")
    is_int = whole.lstrip("-").isdigit() and not (fraction.strip("0") if is_scaled else point)
    if is_int:
        number = int(whole) if len(whole) < 30 else 1 << 70
        return ("int", number) if -(1 << 63) <= number < 1 << 63 else None
    return "double", struct.pack("<d", float(text))


def _give_back_time(cell: int, base: str, kind: str) -> Content:
    days, rest = (cell, 0) if base == "date" else divmod(cell, DAY_MS * 1000)
    year, month, day = find_civil(days)
    if kind == "date" or not 1 <= year <= 9999:
        return "date", cell * DAY_MS if base == "date" else cell // 1000
    shown = f"{year:04}-{month:02}-{day:02}"
    if base == "date":
        return "string", shown.encode()
    minutes, microseconds = divmod(rest, 60_000_000)
    seconds, fraction = divmod(microseconds, 1_000_000)
    places = f"{fraction:06}"
    least = places[:3] if kind == "iso3" else ""
    shown_places = least if not places[len(least) :].strip("0") else places
    point = "." if shown_places else ""
    time = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{point}{shown_places}"
    return "string", f"{shown}T{time}Z".encode()


def _give_back_uuid(cell: bytes, kind: str) -> Content:
    digits = cell.hex()
    is_id = digits[12] + digits[16] + digits[26:] == "88000000"
    shorter = digits[:12] + digits[13:16] + digits[17:26]
    if kind == "objectid" and is_id:
        return "objectid", bytes.fromhex(shorter)
    if kind == "hex" and is_id:
        return "string", shorter.encode()
    if kind in {"hex", "uuid_text"}:
        return "string", print_uuid(cell).encode()
    order = SWAPPED.get(kind.removeprefix("uuid_"))
    if order is None:
        return "binary", 4, cell
    turned = bytearray(16)
    for place, at in enumerate(order):
        turned[at] = cell[place]
    return "binary", 3, bytes(turned)
