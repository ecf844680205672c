"""Where the values of documents stand, counted while they are written."""

from __future__ import annotations

from assise.documents.extjson import JsonWriter
from assise.rows.columns import Collector
from assise.rows.model import Values
from assise.rows.tree import Tree


class CountingWriters:
    """The writers of jsonb columns and of `_extra`, and how many leaves stand where.

    `columns` collects the same by column.
    """

    def __init__(self, tree: Tree) -> None:
        self.typed = self.read = 0
        self.columns = Collector(tree.layouts)
        dialect = tree.form.dialect
        self.jsonb, self.extra = JsonWriter(dialect), JsonWriter(dialect)

    @property
    def values(self) -> Values:
        """The counts so far."""
        return Values(self.typed, self.read, self.jsonb.leaves, self.extra.leaves)

    def move_to_read(self, leaves: int) -> None:
        """Count as read what was written into `_extra` since it had so many leaves."""
        self.read += self.extra.leaves - leaves
        self.extra.leaves = leaves

    def reset(self, values: Values) -> None:
        """Go back to earlier counts: what was counted since was not kept."""
        self.typed, self.read = values.typed, values.read
        self.jsonb.leaves, self.extra.leaves = values.jsonb, values.extra
