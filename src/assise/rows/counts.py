"""Where the values of documents stand, counted while they are written."""

from __future__ import annotations

from assise.documents.extjson import JSONB, JsonWriter
from assise.rows.columns import Collector
from assise.rows.model import Values
from assise.rows.tree import Tree


class CountingWriters:
    """The writers of jsonb columns and of `_extra`, and how many leaves stand where.

    `columns` collects the same by column.
    """

    def __init__(self, tree: Tree) -> None:
        self.typed = 0
        self.columns = Collector(tree.layouts)
        self.jsonb, self.extra = JsonWriter(JSONB), JsonWriter(JSONB)

    @property
    def values(self) -> Values:
        """The counts so far."""
        return Values(self.typed, self.jsonb.leaves, self.extra.leaves)

    def reset(self, values: Values) -> None:
        """Go back to earlier counts: what was counted since was not kept."""
        self.typed = values.typed
        self.jsonb.leaves, self.extra.leaves = values.jsonb, values.extra
