"""The model of a manifest: a frozen value whose checks have passed."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assise.manifest.checks import find_problems
from assise.manifest.layout import Layout, derive_layout
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

    @cached_property
    def layout(self) -> Layout:
        """What rows depend on."""
        return derive_layout(self.tables)

    @property
    def roots(self) -> dict[str, str]:
        """The tables of collections -> their collections, in the manifest's order."""
        return self.layout.roots

    def table_of(self, collection: str) -> str:
        """The table of a collection that has one."""
        return self.layout.table_of(collection)
