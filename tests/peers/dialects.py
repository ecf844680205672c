"""Writers of Extended JSON in every dialect, after the specifications, from the tests' own walker.

mongodb/specifications, source/extended-json; MongoDB's manual, "MongoDB Extended JSON (v1)" and
"Data Types in the mongo shell".
"""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from bson.decimal128 import Decimal128
from tests.oracle.walk import Value, find_scope, parse

WORDS = set(
    "$oid $symbol $code $numberInt $numberLong $numberDouble $numberDecimal $binary $uuid $timestamp"
    " $regularExpression $dbPointer $date $minKey $maxKey $undefined".split()
)
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
END_OF_9999 = 253_402_300_800_000


class UnwritableError(Exception):
    """JSON cannot hold this value, or a reader would take it for another."""


def write_canonical(raw: bytes) -> str:
    """Extended JSON of version 2, canonical."""
    return _write(parse(raw), _CANONICAL)


def write_relaxed(raw: bytes) -> str:
    """Extended JSON of version 2, relaxed."""
    return _write(parse(raw), _CANONICAL | _RELAXED)


def write_old(raw: bytes) -> str:
    """Extended JSON of version 1, strict."""
    return _write(parse(raw), _CANONICAL | _RELAXED | _OLD)


def write_shell(raw: bytes) -> str:
    """What the mongo shell prints and reads."""
    return _write(parse(raw), _CANONICAL | _RELAXED | _OLD | _SHELL)


Rules = dict[str, Callable[[Value], str]]


def _write(value: Value, rules: Rules) -> str:
    if value.kind == "array":
        return "[" + ", ".join(_write(item, rules) for _, item in value.fields) + "]"
    if value.kind == "document":
        return _write_document(value, rules)
    if value.kind == "scoped":
        scope = _write(find_scope(value), rules)
        return f'{{"$code": {_text(value.content)}, "$scope": {scope}}}'
    return rules[value.kind](value)


def _write_document(value: Value, rules: Rules) -> str:
    keys = {key.decode(errors="replace") for key, _ in value.fields}
    if keys & WORDS or keys == {"$regex", "$options"}:
        raise UnwritableError(keys)
    fields = (f"{_text(key)}: {_write(item, rules)}" for key, item in value.fields)
    return "{" + ", ".join(fields) + "}"


def _text(content: bytes) -> str:
    try:
        return json.dumps(content.decode(), ensure_ascii=len(content) % 2 == 0)
    except UnicodeDecodeError as error:
        raise UnwritableError(content) from error


def _wrap(word: str, text: str) -> str:
    return f'{{"{word}": {text}}}'


def _quoted(word: str, text: object) -> str:
    return f'{{"{word}": "{text}"}}'


def _double(value: Value) -> str:
    number: float = struct.unpack("<d", value.content)[0]
    if number != number and value.content != struct.pack("<d", float("nan")):
        raise UnwritableError("a NaN with a payload")
    if number in {float("inf"), float("-inf")}:
        return "Infinity" if number > 0 else "-Infinity"
    return "NaN" if number != number else repr(number)


def _plain_double(value: Value) -> str:
    text = _double(value)
    return _quoted("$numberDouble", text) if text.strip("-")[0] in "NI" else text


def _decimal(value: Value) -> str:
    text = str(Decimal128.from_bid(value.content))
    if "NaN" in text and value.content != Decimal128("NaN").bid:
        raise UnwritableError(text)
    if Decimal128(text).bid != value.content:
        raise UnwritableError(text)
    return text


def _canonical_date(value: Value) -> str:
    return _wrap("$date", _quoted("$numberLong", value.number))


def _iso(value: Value, first: int) -> str | None:
    if not first <= value.number < END_OF_9999:
        return None
    moment = EPOCH + timedelta(milliseconds=value.number)
    return moment.isoformat(timespec="milliseconds" if value.number % 1000 else "seconds") + "Z"


def _relaxed_date(value: Value) -> str:
    text = _iso(value, 0)
    return _quoted("$date", text) if text else _canonical_date(value)


def _old_date(value: Value) -> str:
    text = _iso(value, -62_135_596_800_000)
    return _wrap("$date", json.dumps(text) if text else str(value.number))


def _base64(value: Value) -> str:
    return b64encode(value.content).decode()


def _timestamp(value: Value) -> tuple[int, int]:
    increment, seconds = struct.unpack("<II", value.content)
    return seconds, increment


def _regex(value: Value, words: Iterable[str]) -> str:
    pattern, options = words
    return f'{{"{pattern}": {_text(value.content)}, "{options}": {_text(value.more)}}}'


def _shell_regex(value: Value) -> str:
    pattern, options = _text(value.content), _text(value.more)
    return f"RegExp({pattern}, {options})" if value.more else f"new RegExp({pattern})"


def _pointer(value: Value) -> str:
    return f'{{"$ref": {_text(value.content)}, "$id": {_quoted("$oid", value.more.hex())}}}'


_CANONICAL: Rules = {
    "double": lambda value: _quoted("$numberDouble", _double(value)),
    "string": lambda value: _text(value.content),
    "binary": lambda value: _wrap(
        "$binary", f'{{"base64": "{_base64(value)}", "subType": "{value.number:02x}"}}'
    ),
    "undefined": lambda _: _wrap("$undefined", "true"),
    "objectid": lambda value: _quoted("$oid", value.content.hex()),
    "bool": lambda value: "true" if value.number else "false",
    "date": _canonical_date,
    "null": lambda _: "null",
    "regex": lambda value: _wrap("$regularExpression", _regex(value, ("pattern", "options"))),
    "dbpointer": lambda value: _wrap("$dbPointer", _pointer(value)),
    "code": lambda value: _wrap("$code", _text(value.content)),
    "symbol": lambda value: _wrap("$symbol", _text(value.content)),
    "int32": lambda value: _quoted("$numberInt", value.number),
    "timestamp": lambda value: _wrap(
        "$timestamp", '{{"t": {}, "i": {}}}'.format(*_timestamp(value))
    ),
    "int64": lambda value: _quoted("$numberLong", value.number),
    "decimal": lambda value: _quoted("$numberDecimal", _decimal(value)),
    "minkey": lambda _: _wrap("$minKey", "1"),
    "maxkey": lambda _: _wrap("$maxKey", "1"),
}
_RELAXED: Rules = {
    "double": _plain_double,
    "date": _relaxed_date,
    "int32": lambda value: str(value.number),
    "int64": lambda value: str(value.number),
}


def _unwritable(value: Value) -> str:
    raise UnwritableError(value.kind)


_OLD: Rules = {
    "double": _double,
    "binary": lambda value: f'{{"$binary": "{_base64(value)}", "$type": "{value.number:02x}"}}',
    "date": _old_date,
    "regex": lambda value: _regex(value, ("$regex", "$options")),
    "dbpointer": _unwritable,
    "int64": lambda value: _quoted("$numberLong", value.number),
}
_SHELL: Rules = {
    "binary": lambda value: f"BinData({value.number}, '{_base64(value)}')",
    "undefined": lambda _: "undefined",
    "objectid": lambda value: f'ObjectId("{value.content.hex()}")',
    "date": lambda value: f"new Date({value.number})",
    "regex": _shell_regex,
    "dbpointer": lambda value: f'DBPointer({_text(value.content)}, ObjectId("{value.more.hex()}"))',
    "code": lambda value: f"Code({_text(value.content)})",
    "int64": lambda value: f'NumberLong("{value.number}") /* a * b */',
    "decimal": lambda value: f'NumberDecimal("{_decimal(value)}")',
    "timestamp": lambda value: "Timestamp({}, {})".format(*_timestamp(value)),
    "minkey": lambda _: "MinKey",
    "maxkey": lambda _: "MaxKey() // the last\n",
}
