"""The columns and tables of a manifest; a `Manifest` checks what they must fulfil together."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from assise.manifest.keys import Keyed, with_keys
from assise.manifest.layout import IS_EMPTY
from assise.manifest.paths import ELEMENTS, default_path, parse_child_path, parse_path
from assise.manifest.sections import keys_on
from assise.manifest.sections.computed import add_times
from assise.manifest.sections.deletion import add_column
from assise.manifest.sections.servers import ON
from assise.types.names import normalize_type
from assise.types.table import default_kind, is_type

_FIRST_KINDS = {"int32", "int64"}
"""What kind int was called before there were several of ints."""


@with_keys(keys_on("column"))
class Column(Keyed):
    """A column: its type, the path that it reads and the BSON kind that it holds.

    Without `from_` a column of a table reads the field that has the column's own name; with `*` it
    is the one column of a child table whose elements are no documents.
    """

    type: str
    from_: str = Field(default="", validation_alias="from", serialization_alias="from")
    kind: str = ""
    numbers: str | None = None
    legacy_uuids: str | None = None
    absent: str | None = None
    comment: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _normalize(cls, data: object) -> object:
        """The type in its one form, and the kind that it has where none is given."""
        column_type = data.get("type") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(column_type, str):
            return data
        column_type = normalize_type(column_type)
        kind = data.get("kind")
        if is_type(column_type):
            default = default_kind(column_type)
            kind = default if kind is None or (default == "int" and kind in _FIRST_KINDS) else kind
        return {**data, "type": column_type, **({} if kind is None else {"kind": kind})}

    @property
    def is_element(self) -> bool:
        """Whether the column is the elements of its child table."""
        return self.from_ == ELEMENTS and self.kind != "offset"

    @property
    def path(self) -> tuple[str, ...]:
        """The keys that the column reads; none for elements and for kind offset."""
        return () if self.is_element or self.kind == "offset" else parse_path(self.from_)


@with_keys(keys_on("table"))
class Table(Keyed):
    """A table: of a collection's documents, of those in an array of its parent's, or of neither.

    What has neither is born in PostgreSQL: the application writes its rows, and no load does.
    """

    collection: str | None = None
    parent: str | None = None
    from_: str | None = Field(default=None, validation_alias="from", serialization_alias="from")
    primary_key: tuple[str, ...]
    absent: str | None = None
    nulls: tuple[str, ...] | None = None
    documents: tuple[str, ...] | None = None
    columns: dict[str, Column] = Field(default_factory=dict)
    comment: str | None = None

    @property
    def child_path(self) -> tuple[str, ...]:
        """The keys that lead to a child table's array in the parent's document; else none."""
        return parse_child_path(self.from_) if self.from_ is not None else ()

    @property
    def is_born(self) -> bool:
        """Whether the table is born in PostgreSQL, on the server `main`."""
        return self.collection is None and self.parent is None and ON.of(self) is None

    @model_validator(mode="before")
    @classmethod
    def _add_column(cls, data: object) -> object:
        return add_times(add_column(data))

    @field_validator("absent", mode="before")
    @classmethod
    def _name_empty(cls, value: object) -> object:
        return IS_EMPTY if value == [] else value

    @field_validator("primary_key", mode="before")
    @classmethod
    def _list_key(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("columns", mode="before")
    @classmethod
    def _fill_columns(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {name: _fill_column(name, column) for name, column in value.items()}


def _fill_column(name: object, column: object) -> object:
    """`column` with its path; a column that is only a type is written in full."""
    if not isinstance(name, str):
        return column
    path = default_path(name)
    if isinstance(column, str):
        return {"type": column, "from": path}
    if isinstance(column, dict):
        has_path = "from" in column or "from_" in column
        reads_itself = not has_path and column.get("kind") != "offset"
        return {**column, "from": path} if reads_itself else column
    if isinstance(column, Column):
        reads_itself = "from_" not in column.model_fields_set and column.kind != "offset"
        return column.model_copy(update={"from_": path}) if reads_itself else column
    return column
