"""What texts and doubles look like: moments, days, ids, whole numbers.

A look is the walk over the values of one path, and it collects what they look like. What it looks
for is exact: the columns that are proposed for it read every value that is counted.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Sequence
from math import copysign
from typing import Protocol

from assise.documents.kinds import DOUBLE, STRING
from assise.documents.reader import read_double, read_string
from assise.documents.shape import SlotValue
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
    WIDE,
)
from assise.types.iso import parse_day, parse_moment

Collect = Callable[[int], None]
"""Takes what is to be counted: a node and a code, see `infer.tree`."""

_HEX = re.compile(rb"[0-9a-fA-F]{24}").fullmatch
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_SHORT = frozenset({0, 10, 24, 36, *range(20, 36)})
"""Bytes of the texts that look like something."""

_INT4, _INT8 = 2.0**31, 2.0**63


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
    if text[10:11] != b"T" or not text.isascii():
        return 0
    found = parse_moment(text.decode())
    if found is None:
        return 0
    if text[-1:] != b"Z":
        return OTHER_ISO
    return {0: ISO, 3: ISO_MS}.get(len(found[1]), OTHER_ISO)


class Look(Protocol):
    """The walk over values of one kind: of one of them, or of all in a column."""

    def __call__(self, raw: bytes, p: int, /) -> int:
        """Look at the value at a position; return the position behind it."""

    def look_at(self, column: Sequence[SlotValue]) -> None:
        """Look at the values of a column, which were read before."""


class TextLook:
    """Looks at texts."""

    def __init__(self, collect: Collect, node: int) -> None:
        self._collect, self._node = collect, node

    def __call__(self, raw: bytes, p: int, /) -> int:
        """Look at one text."""
        text, end = read_string(raw, p)
        if len(text) in _SHORT and (form := find_form(text)):
            self._collect(self._node | form)
        return end

    def look_at(self, column: Sequence[SlotValue]) -> None:
        """Look at the texts of a column."""
        for value in column:
            if value is not None and len(value) - 5 in _SHORT and (form := find_form(value[4:-1])):
                self._collect(self._node | form)


class DoubleLook:
    """Looks at doubles."""

    def __init__(self, collect: Collect, node: int) -> None:
        self._collect, self._node = collect, node

    def __call__(self, raw: bytes, p: int, /) -> int:
        """Look at one double."""
        self._look([read_double(raw, p)[0]])
        return p + 8

    def look_at(self, column: Sequence[SlotValue]) -> None:
        """Look at the doubles of a column."""
        found = array("d")
        found.frombytes(b"".join([value for value in column if value is not None]))
        if found:
            self._look(found)

    def _look(self, values: Sequence[float]) -> None:
        """Say that some are no integers of 64 bits, or else that some are none of 32."""
        is_whole = all(map(float.is_integer, values))
        low, high = min(values), max(values)
        if not is_whole or low < -_INT8 or high >= _INT8 or _has_negative_zero(values, low, high):
            self._collect(self._node | FRACTION)
        elif low < -_INT4 or high >= _INT4:
            self._collect(self._node | WIDE)


def _has_negative_zero(values: Sequence[float], low: float, high: float) -> bool:
    return low <= 0 <= high and any(value == 0 and copysign(1, value) < 0 for value in values)


LOOKS: dict[int, Callable[[Collect, int], TextLook | DoubleLook]] = {
    STRING: TextLook,
    DOUBLE: DoubleLook,
}
"""Type byte -> the look at values of this kind."""
