"""The model of a manifest: a frozen value whose checks have passed."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assise.manifest.checks import find_problems
from assise.manifest.problems import UnsoundError
from assise.manifest.table import Column, Table

__all__ = ["Column", "Manifest", "Table"]


class Manifest(BaseModel):
    """The tables of a database and where their rows come from.

    Raises:
        pydantic.ValidationError: a check failed; `assise.manifest.file` turns it into a ManifestError with file and line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    assise: Literal[1]
    name: str
    postgres: str = Field(default="embedded", repr=False)
    tables: dict[str, Table]

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = find_problems(self.name, self.postgres, tables=self.tables)
        if problems:
            raise UnsoundError(problems)
        return self

    def as_json(self) -> str:
        """As one line of JSON, which `model_validate_json` reads: what the manifest says, and the kind of every column."""
        return self.model_dump_json(by_alias=True, exclude_unset=True)

    @property
    def roots(self) -> dict[str, str]:
        """The tables of collections -> their collections, in the manifest's order."""
        return {
            name: table.collection
            for name, table in self.tables.items()
            if table.collection is not None
        }

    def table_of(self, collection: str) -> str:
        """The table of a collection that has one."""
        return next(table for table, name in self.roots.items() if name == collection)

    def tree(self, root: str) -> tuple[str, ...]:
        """The table `root` and all tables below it, level by level."""
        found = [root]
        for name in found:
            found.extend(self.children(name))
        return tuple(found)

    def children(self, table: str) -> list[str]:
        """The child tables of `table`, in the manifest's order."""
        return [name for name, other in self.tables.items() if other.parent == table]

    def root(self, table: str) -> str:
        """The collection's table above `table`, or `table` itself."""
        parent = self.tables[table].parent
        return table if parent is None else self.root(parent)

    def key_column(self, table: str) -> Column:
        """The column that holds the key of the collection that `table` belongs to."""
        root = self.tables[self.root(table)]
        return root.columns[root.primary_key[0]]

    def extra_name(self, table: str) -> str:
        """The name of our jsonb column, which gives way to the table's other columns."""
        taken = {*self.tables[table].columns, *self.tables[table].primary_key}
        name, number = "_extra", 1
        while name in taken:
            number += 1
            name = f"_extra_{number}"
        return name
