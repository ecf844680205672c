"""Where the values of documents stand, counted while they are written."""

from __future__ import annotations

from dataclasses import dataclass

from assise.documents.extjson import JSONB, JsonWriter


@dataclass
class Values:
    """How many BSON leaves and empty containers stand in typed columns, in jsonb columns and in `_extra`."""

    typed: int = 0
    jsonb: int = 0
    extra: int = 0

    def add(self, other: Values, times: int = 1) -> None:
        """Add another count to this one, or with `times` -1 take it away."""
        self.typed += times * other.typed
        self.jsonb += times * other.jsonb
        self.extra += times * other.extra


class Tally:
    """The writers of jsonb columns and of `_extra`, which count what they write, and the count of typed values."""

    def __init__(self) -> None:
        self.typed = 0
        self.jsonb, self.notes = JsonWriter(JSONB), JsonWriter(JSONB)

    @property
    def values(self) -> Values:
        """The counts so far."""
        return Values(self.typed, self.jsonb.leaves, self.notes.leaves)

    def reset(self, values: Values) -> None:
        """Go back to earlier counts: what was counted since was not kept."""
        self.typed, self.jsonb.leaves, self.notes.leaves = values.typed, values.jsonb, values.extra
