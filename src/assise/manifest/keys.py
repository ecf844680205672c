"""A key of the manifest as data: reader, writer, JSON Schema and reference page follow from it."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model

from assise.manifest.problems import Place, Problem

if TYPE_CHECKING:
    from assise.manifest.table import Table

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
On = Literal["manifest", "table", "column"]
Affects = Literal["rows", "schema", "nothing"]
Tables = Mapping[str, "Table"]
Schema = bool | int | float | str | list["Schema"] | dict[str, "Schema"] | None


class Keyed(BaseModel):
    """A mapping of the manifest whose keys are known: a frozen value."""

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        hide_input_in_errors=True,
    )


def no_problems(place: Place, value: object, tables: Tables) -> Iterator[Problem]:
    """The check of a key whose values need none beyond their type."""
    del place, value, tables
    return iter(())


@dataclass(frozen=True)
class Key(Generic[T]):
    """A key: where it stands, what it means, and which part of a load it changes.

    `check` gets the place of a value, the value and all tables. `affects` says what a change of the
    value asks for: `rows` are loaded again, `schema` is changed in place, `nothing` is done.

    type: the type of its values: a frozen pydantic model, or a plain type. None for the keys
        of Assise's core: `Manifest`, `Table` and `Column` have a field for each of them.
    missing: the remedy where a required key is missing.
    default: in words, what holds where an optional key is not given.
    schema: the JSON Schema of its values, where the type does not give it.
    is_secret: its texts stay as they are written until they are used, and no error shows them.
    written: the value for the file, given the place and all tables; None leaves the key out.
    is_block: of a table: its list is written behind the columns, one item a line; of the manifest:
        its mapping is written behind the plain keys, one entry a line.
    """

    name: str
    on: On
    _: KW_ONLY
    help: str
    affects: Affects
    type: type[T] | None = None
    check: Callable[[Place, T, Tables], Iterator[Problem]] = no_problems
    missing: str = ""
    default: str = ""
    schema: Mapping[str, Schema] | None = None
    is_secret: bool = False
    written: Callable[[Place, T, Tables], object] | None = None
    is_block: bool = False

    @property
    def field(self) -> str:
        """The field of the model; that of another package's key cannot hide a method."""
        is_taken = self.type is not None or keyword.iskeyword(self.name)
        return f"{self.name}_" if is_taken else self.name

    def of(self, entry: Keyed) -> T | None:
        """The value in a manifest, table or column; None where the key is not given."""
        value: T | None = getattr(entry, self.field)
        return value


AnyKey = Key[Any]


class PlainWord(str):
    """A word that is written without quotes, though YAML takes it for no text."""

    __slots__ = ()


NULL = PlainWord("null")


def with_keys(keys: Iterable[AnyKey]) -> Callable[[type[Model]], type[Model]]:
    """Decorate a model: give it a field for each of `keys` that has a type."""
    fields: dict[str, Any] = {
        key.field: (key.type | None, Field(default=None, alias=key.name, repr=not key.is_secret))
        for key in keys
        if key.type is not None
    }

    def decorate(model: type[Model]) -> type[Model]:
        if not fields:
            return model
        return create_model(
            model.__name__,
            __base__=model,
            __module__=model.__module__,
            __doc__=model.__doc__,
            **fields,
        )

    return decorate
