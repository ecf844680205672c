"""The model of a manifest: a frozen value whose checks have passed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from assise.manifest.checks import find_problems
from assise.manifest.keys import Keyed, with_keys
from assise.manifest.problems import Place, Replaced, UnsoundError
from assise.manifest.sections import keys_on
from assise.manifest.table import Column, Table

__all__ = ["Column", "Manifest", "Table"]


@with_keys(keys_on("manifest"))
class Manifest(Keyed):
    """The tables of a database and where their rows come from.

    Raises:
        pydantic.ValidationError: a check failed; `assise.manifest.read` turns it into a
            ManifestError with file and line.
    """

    assise: Literal[1]
    name: str
    postgres: str = Field(default="embedded", repr=False)
    tables: dict[str, Table]

    _replaced: Mapping[Place, Replaced] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = list(find_problems(self, self.tables))
        if problems:
            raise UnsoundError(problems)
        return self

    def model_post_init(self, context: object) -> None:
        """Keep the texts of the file in which variables were replaced, which `context` holds."""
        if isinstance(context, dict):
            self._replaced = context

    @property
    def replaced(self) -> Mapping[Place, Replaced]:
        """The values in which variables were replaced, as they stand in the file."""
        return self._replaced

    def as_json(self) -> str:
        """One line of JSON, which `model_validate_json` reads: the manifest, with all kinds."""
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
