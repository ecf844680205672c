"""Persons: which ids are one, as the events say that tell it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from assise.analytics.event import is_shared


class Merge(NamedTuple):
    """An event that says that two ids are one person: by a sign-in, or by an alias."""

    distinct_id: str
    other: str | None
    identifies: bool

    @property
    def is_sound(self) -> bool:
        """Whether both are ids of somebody."""
        return (
            self.other is not None and not is_shared(self.distinct_id) and not is_shared(self.other)
        )


@dataclass
class Persons:
    """The persons of ids, of whom those `identified` are never merged with each other.

    `moved` has the persons that are now another one, `named` those identified since; `refused`
    counts merges of two who are identified.
    """

    of: dict[str, int]
    identified: set[int]
    moved: dict[int, int] = field(default_factory=dict)
    named: set[int] = field(default_factory=set)
    refused: int = 0

    def find(self, person: int) -> int:
        """The person that somebody is now."""
        while person in self.moved:
            person = self.moved[person]
        return person

    def merge_all(self, merges: Iterable[Merge]) -> None:
        """Merge in the order of the events."""
        for merge in merges:
            if merge.is_sound and merge.other is not None:
                self._merge(self.of[merge.distinct_id], self.of[merge.other], merge)
            elif merge.identifies and not is_shared(merge.distinct_id):
                self._name(self.find(self.of[merge.distinct_id]))

    def _merge(self, person: int, other: int, merge: Merge) -> None:
        person, other = self.find(person), self.find(other)
        if person != other:
            if other in self.identified and (merge.identifies or person in self.identified):
                self.refused += 1
            elif other in self.identified:
                self.moved[person] = person = other
            else:
                self.moved[other] = person
        if merge.identifies:
            self._name(person)

    def _name(self, person: int) -> None:
        if person not in self.identified:
            self.identified.add(person)
            self.named.add(person)
