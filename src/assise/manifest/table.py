"""The columns and tables of a manifest. What they must fulfil together is checked as part of a `Manifest`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from assise.manifest.paths import format_path, is_nameable, parse_child_path, parse_path
from assise.manifest.types import KINDS, default_kind


class Column(BaseModel):
    """A column: its type, the path that it reads and the BSON kind that it holds.

    Without `from_` a column of a table reads the field that has the column's own name.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True
    )

    type: str
    from_: str = Field(default="", validation_alias="from", serialization_alias="from")
    kind: str = ""
    comment: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_kind(cls, data: object) -> object:
        if not isinstance(data, dict) or "kind" in data:
            return data
        column_type = data.get("type")
        return (
            {**data, "kind": default_kind(column_type)}
            if isinstance(column_type, str) and column_type in KINDS
            else data
        )

    @property
    def path(self) -> tuple[str, ...]:
        """The keys that the column reads; none for kind offset."""
        return () if self.kind == "offset" else parse_path(self.from_)


class Table(BaseModel):
    """A table: of a collection's documents, or of the documents in an array of its parent's documents."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True
    )

    collection: str | None = None
    parent: str | None = None
    from_: str | None = Field(default=None, validation_alias="from", serialization_alias="from")
    primary_key: tuple[str, ...]
    columns: dict[str, Column] = Field(default_factory=dict)
    comment: str | None = None

    @property
    def child_path(self) -> tuple[str, ...]:
        """The keys, in the parent's document, of the array that a child table holds; none for a collection's table."""
        return parse_child_path(self.from_) if self.from_ is not None else ()

    @field_validator("primary_key", mode="before")
    @classmethod
    def _list_key(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("columns", mode="before")
    @classmethod
    def _fill_columns(cls, value: object) -> object:
        return (
            {name: _fill_column(name, column) for name, column in value.items()}
            if isinstance(value, dict)
            else value
        )


def default_path(name: str) -> str:
    """The path of a column that names none: the field with the column's own name."""
    return format_path((name,)) if is_nameable(name) else name


def _fill_column(name: object, column: object) -> object:
    """`column` with its path; a column that is only a type is written in full."""
    if not isinstance(name, str):
        return column
    if isinstance(column, str):
        return {"type": column, "from": default_path(name)}
    if (
        isinstance(column, dict)
        and not {"from", "from_"} & column.keys()
        and column.get("kind") != "offset"
    ):
        return {**column, "from": default_path(name)}
    if (
        isinstance(column, Column)
        and "from_" not in column.model_fields_set
        and column.kind != "offset"
    ):
        return column.model_copy(update={"from_": default_path(name)})
    return column
