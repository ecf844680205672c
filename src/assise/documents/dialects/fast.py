"""Documents of strict JSON at the speed of C, and all others by the exact parser.

The scanner of `json` and the encoder of `bson` do most of the work. Whatever they would not give
back exactly is left to `read_exactly`: repeated keys, rare types, infinities, which may be numbers
beyond the range of doubles, dates that need a word, deep or large documents, the shell's syntax.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

import bson
from bson import DatetimeMS, Decimal128, Int64, ObjectId
from bson.errors import BSONError

from assise.documents.dialects.exact import read_exactly
from assise.documents.dialects.rules import LARGEST, LEVELS, Rules
from assise.documents.dialects.words import KEPT
from assise.errors import ExtendedJsonError

LARGE = 4 << 20
"""Bytes of a text that is parsed into objects; of a larger one they would need too much memory."""

_WORDS = frozenset(word.decode() for word in KEPT)
_MINUS_ZERO = re.compile(r"-0(?![0-9.eE])")
_INT = re.compile("-?(?:0|[1-9][0-9]{0,18})").fullmatch
_DOUBLE = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?").fullmatch
_DECIMAL = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?").fullmatch
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z", re.ASCII).fullmatch
_INFINITE_BYTES = re.compile(b"\xf0[\x7f\xff]")
"""The last bytes of an infinite double, and of little else."""

_INFINITE = {float("inf"), float("-inf")}


class _ExactError(Exception):
    """This document is for the exact parser."""


def _object_id(value: str) -> ObjectId:
    content = bytes.fromhex(value)
    if len(value) != 24 or len(content) != 12:
        raise _ExactError
    return ObjectId(content)


def _date(value: str | Int64) -> datetime | DatetimeMS:
    if isinstance(value, Int64):
        return DatetimeMS(int(value))
    if _DATE(value) is None:
        raise _ExactError
    # The encoder takes a time without a zone as UTC.
    return datetime.fromisoformat(value[:-1])


def _int32(value: str) -> int:
    number = int(value)
    if _INT(value) is None or not -(1 << 31) <= number < 1 << 31:
        raise _ExactError
    return number


def _int64(value: str) -> Int64:
    number = Int64(value)
    if _INT(value) is None or not -(1 << 63) <= number < 1 << 63:
        raise _ExactError
    return number


def _double(value: str) -> float:
    number = float(value)
    if _DOUBLE(value) is None or number in _INFINITE:
        raise _ExactError
    return number


def _decimal(value: str) -> Decimal128:
    if _DECIMAL(value) is None:
        raise _ExactError
    return Decimal128(value)


_READERS = {
    "$oid": _object_id,
    "$date": _date,
    "$numberInt": _int32,
    "$numberLong": _int64,
    "$numberDouble": _double,
    "$numberDecimal": _decimal,
}


def _read_object(pairs: list[tuple[str, Any]]) -> object:
    if len(pairs) == 1:
        name, value = pairs[0]
        if name in _READERS:
            return _READERS[name](value)
    document = dict(pairs)
    if len(pairs) != len(document) or not _WORDS.isdisjoint(document):
        raise _ExactError
    return document


_decoder = json.JSONDecoder(object_pairs_hook=_read_object)
_scan = cast("Callable[[str, int], tuple[object, int]]", vars(_decoder)["scan_once"])
"""What `raw_decode` of the decoder calls: the scanner in C."""

_FAILURES = (
    _ExactError,
    ValueError,
    TypeError,
    OverflowError,
    StopIteration,
    RecursionError,
    BSONError,
)


def read_plainly(text: bytes) -> bytes | None:
    """Read one document of text by the scanner in C; None where it is for the exact parser."""
    levels = text.count(b"{") + text.count(b"[")
    if len(text) <= LARGE and levels <= LEVELS:
        try:
            decoded = text.decode()
            value, end = _scan(decoded, 0)
            if type(value) is dict and end == len(decoded) and not _MINUS_ZERO.search(decoded):
                # Only the root's `_id` would be moved to the front.
                raw = bson.encode({"": value})[6:-1]
                if len(raw) <= LARGEST and not _INFINITE_BYTES.search(raw):
                    return raw
        except _FAILURES:
            pass
    return None


def read_document(text: bytes, rules: Rules) -> bytes:
    """Read one document of text, without white space around it, to raw BSON.

    Raises:
        ExtendedJsonError: the text is not a document of its dialect.
    """
    raw = read_plainly(text)
    return read_exactly(text, rules) if raw is None else raw


def is_document(text: bytes, rules: Rules) -> bool:
    """Say whether a text is one document."""
    try:
        read_document(text, rules)
    except ExtendedJsonError:
        return False
    return True
