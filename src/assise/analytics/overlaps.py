"""Overlaps: how many persons of one set are in each of many others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyroaring import BitMap

DENSE = 64
"""Sets of more than one person in so many are compared by who is not in them."""


class Overlaps:
    """Sets that others are compared with; none has a person of number `size` or above.

    A bitmap keeps up to 4,096 of 65,536 numbers as a list, which is compared number by number. Who is
    not in such a set is many, and is kept as bits, of which 64 are compared at once: the overlap of two
    sets is then |A| + |B| - size + |those in neither|.
    """

    def __init__(self, sets: Sequence[BitMap], size: int) -> None:
        self._sets, self._size = sets, size
        is_dense = sum(map(len, sets)) * DENSE > size * len(sets)
        self._others = [each.flip(0, size) for each in sets] if is_dense else None

    def count(self, persons: BitMap, place: slice) -> list[int]:
        """The overlaps of some persons with the sets in these places."""
        if self._others is None:
            return [persons.intersection_cardinality(each) for each in self._sets[place]]
        others, more = persons.flip(0, self._size), len(persons) - self._size
        return [
            others.intersection_cardinality(rest) + more + self._size - len(rest)
            for rest in self._others[place]
        ]
