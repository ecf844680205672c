"""The model of a manifest: a frozen value whose checks have passed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from assise.manifest.checks import find_problems
from assise.manifest.derive import derive_layout
from assise.manifest.keys import Keyed, with_keys
from assise.manifest.layout import Layout
from assise.manifest.names import list_schemas
from assise.manifest.problems import Place, Replaced, UnsoundError
from assise.manifest.sections import keys_on
from assise.manifest.sections.postgres import EMBEDDED, Postgres
from assise.manifest.sections.servers import MAIN, ON
from assise.manifest.sections.views import VIEWS
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
    postgres: Postgres = Field(default=EMBEDDED, repr=False)
    legacy_uuids: str | None = None
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

    @cached_property
    def layout(self) -> Layout:
        """What rows depend on: those of the server `main`."""
        tables = {name: table for name, table in self.tables.items() if ON.of(table) is None}
        return derive_layout(tables, legacy_uuids=self.legacy_uuids or "")

    def on(self, server: str) -> Manifest:
        """The manifest with the tables of one server alone, such as `main`."""
        tables = {
            name: each for name, each in self.tables.items() if (ON.of(each) or MAIN) == server
        }
        found = self.model_copy(update={"tables": tables})
        for name in ("layout", "born"):
            vars(found).pop(name, None)
        return found

    @cached_property
    def born(self) -> dict[str, Table]:
        """The tables that are born in PostgreSQL, by name."""
        return {name: table for name, table in self.tables.items() if table.is_born}

    @property
    def schemas(self) -> list[str]:
        """The schemas that the names of tables and views give, each once."""
        return list_schemas([*self.tables, *(VIEWS.of(self) or {})])

    def extra_of(self, table: str) -> str:
        """The name of our jsonb column of a table; empty where it has none."""
        layout = self.layout.tables.get(table)
        return layout.extra if layout is not None else ""

    @property
    def roots(self) -> dict[str, str]:
        """The tables of collections -> their collections, in the manifest's order."""
        return self.layout.roots

    def table_of(self, collection: str) -> str:
        """The table of a collection that has one."""
        return self.layout.table_of(collection)
