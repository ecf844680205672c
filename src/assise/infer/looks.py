"""What texts and doubles look like: moments, days, ids, whole numbers.

A look is the walk over the values of one path, and it collects what they look like. What it looks
for is exact: the columns that are proposed for it read every value that is counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import copysign

from assise.documents.kinds import DOUBLE, STRING
from assise.documents.reader import Skip, read_double
from assise.infer.tree import (
    DAY,
    FRACTION,
    HEX,
    ISO,
    ISO_MS,
    NO_TEXT,
    OTHER_HEX,
    OTHER_ISO,
    OTHER_UUID,
    UUID_TEXT,
    VAST,
    WIDE,
    WORDS,
)
from assise.types.iso import parse_day, parse_moment

Collect = Callable[[int], None]
"""Takes what is to be counted: a node and a code, see `infer.tree`."""

_HEX = re.compile(rb"[0-9a-fA-F]{24}").fullmatch
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_DAYS = frozenset({b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"})
SHORT = frozenset({1, 11, *range(21, 38)})
"""Bytes, with the NUL behind them, of the texts that look like something."""

_INT4, _EXACT, _INT8 = 2.0**31, 2.0**53, 2.0**63


def find_form(text: bytes) -> int:
    """What a text looks like, as a code of `infer.tree`; 0 for nothing."""
    size = len(text)
    if size == 0:
        return NO_TEXT
    if size == 10:
        is_day = text.isascii() and parse_day(text.decode()) is not None
        return DAY if is_day else 0
    if size == 24 and _HEX(text):
        return HEX if text == text.lower() else OTHER_HEX
    if size == 36 and _UUID(text):
        return UUID_TEXT if text == text.lower() else OTHER_UUID
    if size in {29, 30} and _is_in_words(text):
        return WORDS
    if text[10:11] != b"T" or not text.isascii():
        return 0
    found = parse_moment(text.decode())
    if found is None:
        return 0
    if text[-1:] != b"Z":
        return OTHER_ISO
    return {0: ISO, 3: ISO_MS}.get(len(found[1]), OTHER_ISO)


def _is_in_words(text: bytes) -> bool:
    """Whether a text is a moment in words, as Twitter or RFC 9110 writes it, by its outline."""
    comma, first, second = (b",", 19, 22) if len(text) == 29 else (b" ", 13, 16)
    marks = text[3:4], text[first : first + 1], text[second : second + 1]
    return text[:3] in _DAYS and marks == (comma, b":", b":")


def find_double(value: float) -> int:
    """What a double is, as a code of `infer.tree`; 0 for an integer of 32 bits."""
    if not value.is_integer() or not -_INT8 <= value < _INT8:
        return FRACTION
    if not value and copysign(1, value) < 0:
        return FRACTION
    if -_INT4 <= value < _INT4:
        return 0
    return WIDE if -_EXACT < value < _EXACT else VAST


LookAtText = Callable[[bytes], None]
"""Looks at a text of one of the lengths in `SHORT`."""

MakeLook = Callable[[Collect, int], tuple[Skip | None, LookAtText | None]]
"""The walk over one value, and for texts the look at one."""


def look_at_texts(collect: Collect, node: int) -> tuple[None, LookAtText]:
    """Make the look at the texts of a node, which is shifted."""

    def look_at_text(text: bytes) -> None:
        if form := find_form(text):
            collect(node | form)

    return None, look_at_text


def look_at_doubles(collect: Collect, node: int) -> tuple[Skip, None]:
    """Make the look at the doubles of a node, which is shifted."""

    def look_at_one(raw: bytes, p: int) -> int:
        if form := find_double(read_double(raw, p)[0]):
            collect(node | form)
        return p + 8

    return look_at_one, None


LOOKS: dict[int, MakeLook] = {STRING: look_at_texts, DOUBLE: look_at_doubles}
"""Type byte -> the looks at values of this kind."""
