"""Simple-8b: whole numbers in words of 64 bits, as MongoDB packs the differences of a column.

The lowest 4 bits of a word, its selector, say how many numbers of how many bits follow. A number
whose bits are all 1 is a missing value. The selectors 7 and 8 have 4 bits more: with them each
number carries the zeros that end it. Selector 15 repeats the number before it 120 to 1,920 times.
From `src/mongo/bson/column` of MongoDB's source.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import NamedTuple

REPEAT, REPEATED = 15, 120


class UnpackError(ValueError):
    """Bytes that are not packed as MongoDB packs; why, in words that fit many buckets."""


class _Slots(NamedTuple):
    """The numbers of a word: where they begin, their bits, and how they carry zeros."""

    start: int
    width: int
    zero_bits: int = 0
    zeros_each: int = 0


def _list_slots(start: int, bits: bytes, zero_bits: int = 0, zeros_each: int = 0) -> list[_Slots]:
    return [_Slots(start, each + zero_bits, zero_bits, zeros_each) for each in bits]


_PLAIN = _list_slots(4, b"\1\2\3\4\5\6\7\x08\x0a\x0c\x0f\x14\x1e\x3c")
_SEVEN = _list_slots(8, b"\7") + _list_slots(8, b"\2\3\4\5\7\x0a\x0e\x18\x34", 4, 1)
_EIGHT = [
    *_list_slots(8, b"\x08"),
    *_list_slots(8, b"\4\5\7\x0a\x0e\x18\x34", 4, 4),
    *_list_slots(8, b"\4\6\x09\x0d\x17\x33", 5, 4),
]


def _find_slots(selector: int, extension: int) -> _Slots | None:
    slots, n = {7: (_SEVEN, extension), 8: (_EIGHT, extension)}.get(
        selector, (_PLAIN, selector - 1)
    )
    return slots[n] if 0 <= n < len(slots) else None


_SLOTS = [_find_slots(low & 15, low >> 4) for low in range(256)]
"""By the lowest 8 bits of a word."""


def read_words(words: tuple[int, ...], previous: int | None, bits: int) -> Iterator[int | None]:
    """Yield the numbers of words, of 64 or 128 `bits`; None is a missing value.

    `previous` is the number before them, which the first word may repeat.

    Raises:
        UnpackError: a selector that there is not.
    """
    mask = (1 << bits) - 1
    for word in words:
        if word & 15 == REPEAT:
            yield from repeat(previous, REPEATED * ((word >> 4 & 15) + 1))
            continue
        slots = _SLOTS[word & 255]
        if slots is None:
            raise UnpackError("a selector that Simple-8b has not")
        start, width, zero_bits, zeros_each = slots
        missing = (1 << width) - 1
        for shift in range(start, 65 - width, width):
            number = word >> shift & missing
            if number == missing:
                previous = None
            elif zero_bits:
                zeros = (number & ((1 << zero_bits) - 1)) * zeros_each % bits
                previous = (number >> zero_bits) << zeros & mask
            else:
                previous = number
            yield previous
