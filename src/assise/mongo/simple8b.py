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


_PLAIN = dict(enumerate((1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 60), 1))
_EXTENDED = {
    (7, 0): _Slots(8, 7),
    (8, 0): _Slots(8, 8),
    **{
        (7, n): _Slots(8, bits + 4, 4, 1)
        for n, bits in enumerate((2, 3, 4, 5, 7, 10, 14, 24, 52), 1)
    },
    **{(8, n): _Slots(8, bits + 4, 4, 4) for n, bits in enumerate((4, 5, 7, 10, 14, 24, 52), 1)},
    **{(8, n): _Slots(8, bits + 5, 5, 4) for n, bits in enumerate((4, 6, 9, 13, 23, 51), 8)},
}


def _find_slots(selector: int, extension: int) -> _Slots | None:
    if selector in {7, 8}:
        return _EXTENDED.get((selector, extension))
    return _Slots(4, _PLAIN[selector]) if selector in _PLAIN else None


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
