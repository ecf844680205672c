"""The table of fits: BSON value x type of PostgreSQL x kind -> fit, and PostgreSQL's text."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tests.oracle.jsonform import decode, jsonb_text, key_text
from tests.oracle.texts import (
    print_array,
    print_decimal,
    print_float8,
    print_plain_double,
    print_timestamptz,
    print_uuid,
)
from tests.oracle.walk import Value

FIRST_DATE, END_OF_DATES = -210_866_803_200_000, 9_224_318_016_000_000
RANGES = {"int4": 31, "int8": 63}
DEFAULT_KINDS = {
    "uuid": "objectid",
    "text": "string",
    "bool": "bool",
    "int4": "int32",
    "int8": "int64",
    "float8": "double",
    "numeric": "number",
    "timestamptz": "date",
    "bytea": "binary",
    "jsonb": "every",
}


@dataclass(frozen=True)
class Fit:
    """Whether a value fits a column, and the expected `column::text`; None is NULL.

    Of jsonb it is a JSON text that is equal as jsonb.
    """

    fits: bool
    text: str | None = None


NO = Fit(fits=False)


def find_fit(value: Value | None, type_: str, kind: str = "") -> Fit:
    """Whether a value (None: missing) fits a column of a type and kind, and its text there."""
    kind = kind or DEFAULT_KINDS[type_.removesuffix("[]")]
    if value is None or (value.kind == "null" and kind != "any"):
        return NO
    if type_.endswith("[]"):
        return _fit_array(value, type_[:-2], kind)
    text = _print_cell(value, type_, kind)
    return NO if text is None else Fit(fits=True, text=text)


def find_offset_fit(offset: int, type_: str) -> Fit:
    """Whether the offset of a document fits a key of kind `offset`."""
    return Fit(fits=True, text=str(offset)) if offset < 1 << RANGES[type_] else NO


def _fit_array(value: Value, type_: str, kind: str) -> Fit:
    if value.kind != "array":
        return NO
    texts: list[str | None] = []
    for _, inner in value.fields:
        text = None if inner.kind == "null" else _print_cell(inner, type_, kind)
        if text is None and inner.kind != "null":
            return NO
        texts.append(text[0] if text and type_ == "bool" else text)
    return Fit(fits=True, text=print_array(texts))


def _print_cell(value: Value, type_: str, kind: str) -> str | None:
    """The text of a value in a column, or None when it does not fit."""
    if kind in {"any", "every"}:
        return key_text(value) if kind == "any" else jsonb_text(value)
    if type_ in RANGES:
        bound = 1 << RANGES[type_]
        return (
            str(value.number)
            if value.kind in {"int32", "int64"} and -bound <= value.number < bound
            else None
        )
    if kind == "number":
        return _print_numeric(value)
    if kind.startswith(("uuid", "binary")):
        return _print_binary(value, kind)
    return _print_scalar(value, type_) if value.kind == kind else None


def _print_numeric(value: Value) -> str | None:
    if value.kind in {"int32", "int64"}:
        return str(value.number)
    if value.kind != "double" or value.content == bytes.fromhex("0000000000000080"):
        return None
    number: float = struct.unpack("<d", value.content)[0]
    if number != number:
        return "NaN" if value.content == bytes.fromhex("000000000000f87f") else None
    return (
        print_float8(value.content)
        if number in {float("inf"), float("-inf")}
        else print_plain_double(value.content)
    )


def _print_binary(value: Value, kind: str) -> str | None:
    if value.kind != "binary":
        return None
    data = value.content
    if kind.startswith("binary"):
        subtype = int(kind[7:] or 0)
        return "\\x" + data.hex() if value.number == subtype else None
    if value.number != (4 if kind == "uuid" else 3) or len(data) != 16:
        return None
    if kind == "uuid_java":
        data = data[7::-1] + data[:7:-1]
    if kind == "uuid_csharp":
        turned = [*range(3, -1, -1), 5, 4, 7, 6, *range(8, 16)]
        data = bytes(data[i] for i in turned)
    return print_uuid(data)


def _print_scalar(value: Value, type_: str) -> str | None:
    """The text of a value whose kind is the one that the column holds."""
    match value.kind:
        case "objectid":
            digits = value.content.hex()
            if type_ == "text":
                return digits
            head, middle, tail = digits[:12], digits[12:15], digits[15:]
            return print_uuid(bytes.fromhex(f"{head}8{middle}8{tail}000000"))
        case "string":
            text = decode(value.content)
            return None if text is None or "\0" in text else text
        case "bool":
            return "true" if value.number else "false"
        case "double":
            return print_float8(value.content)
        case "date":
            return (
                print_timestamptz(value.number)
                if FIRST_DATE <= value.number < END_OF_DATES
                else None
            )
        case "decimal":
            return print_decimal(value.content)
    raise AssertionError(value.kind)
