"""Values of requests and answers: what each type of column takes, and how JSON has it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from types import GenericAlias
from typing import Annotated, Any, Literal, Optional
from uuid import UUID

from pydantic import (
    AllowInfNan,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    create_model,
)

from assise.errors import RequestError
from assise.schema import resources
from assise.types.names import read_modifiers

JsonMap = dict[str, Any]
"""A JSON Schema, or an object."""

MAX_DEPTH = 100
MAX_PROBLEMS = 100
"""Of one body that are named: each is made a text of, and sent."""


@dataclass(frozen=True)
class ValueKind:
    """A type of columns: what requests give, its JSON Schema in answers, an example.

    is_ordered: whether it can be compared. is_leakproof: whether the server compares it before it
    has applied the rules, so that an index serves the comparison.
    """

    python: Any
    shown: JsonMap
    example: object
    is_ordered: bool = True
    is_leakproof: bool = True


def _integer(bits: int) -> ValueKind:
    low, high = -(1 << bits), (1 << bits) - 1
    shown = {"type": "integer", "minimum": low, "maximum": high}
    return ValueKind(Annotated[int, Field(ge=low, le=high, strict=True)], shown, 7)


_NUMBER: JsonMap = {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}
_MOMENT: JsonMap = {"type": "string"}
KINDS = {
    "uuid": ValueKind(
        UUID, {"type": "string", "format": "uuid"}, "507f1f77-bcf8-86cd-8799-439011000000"
    ),
    "text": ValueKind(str, {"type": "string"}, "a text"),
    "varchar": ValueKind(str, {"type": "string"}, "a"),
    "citext": ValueKind(str, {"type": "string"}, "a text", is_leakproof=False),
    "bool": ValueKind(bool, {"type": "boolean"}, True),
    "int2": _integer(15),
    "int4": _integer(31),
    "int8": _integer(63),
    "float8": ValueKind(Annotated[float, AllowInfNan(False)], _NUMBER, 1.5),
    "numeric": ValueKind(
        Annotated[Decimal, Field(max_digits=1_000)], _NUMBER, 12.5, is_leakproof=False
    ),
    "timestamptz": ValueKind(AwareDatetime, _MOMENT, "2026-01-31T12:00:00Z"),
    "date": ValueKind(date, {"type": "string"}, "2026-01-31"),
    "bytea": ValueKind(
        Annotated[str, Field(pattern=r"^\\x([0-9a-fA-F]{2})*$")], {"type": "string"}, "\\x00", False
    ),
    "jsonb": ValueKind(JsonValue, {}, {"a": 1}, is_ordered=False, is_leakproof=False),
}


def find_kind(column_type: str) -> ValueKind:
    """What holds of the values of a type, or of the elements of an array."""
    return KINDS[read_modifiers(column_type.removesuffix("[]"))[0]]


def is_array(column_type: str) -> bool:
    """Whether a column holds arrays."""
    return column_type.endswith("[]")


def python_type(field: resources.ServedColumn) -> Any:  # noqa: ANN401 - a type
    """What a request gives for a column."""
    base, modifiers = read_modifiers(field.type.removesuffix("[]"))
    found = KINDS[base].python
    if field.values:
        found = _list_values(field)
    elif base == "varchar":
        found = Annotated[str, Field(max_length=modifiers[0])]
    elif base == "numeric" and modifiers:
        found = Annotated[Decimal, Field(max_digits=modifiers[0], decimal_places=modifiers[1])]
    return GenericAlias(list, (found | None,)) if is_array(field.type) else found


def _list_values(field: resources.ServedColumn) -> Any:  # noqa: ANN401 - a type
    """The listed values, as a request gives them."""
    base = read_modifiers(field.type)[0]
    if base in {"text", "varchar", "citext"}:
        return Literal[field.values]
    if base.startswith("int"):
        return Literal[tuple(map(int, field.values))]
    return KINDS[base].python


@lru_cache(1 << 10)
def _adapter(field: resources.ServedColumn) -> TypeAdapter[Any]:
    """Reads one value of a query or a path."""
    base = resources.ServedColumn(field.name, field.type.removesuffix("[]"))
    return TypeAdapter(python_type(base))


def read_text(field: resources.ServedColumn, text: str) -> object:
    """A value of a query or a path, which are texts.

    Raises:
        RequestError: it is no value of the column's type.
    """
    base = read_modifiers(field.type)[0]
    try:
        if "\0" in text:
            raise ValueError(text)
        if base.startswith("int"):
            return _adapter(field).validate_python(_read_whole(text))
        return _adapter(field).validate_strings(text)
    except ValueError:
        remedy = "In a URL a + is written %2B." if base == "timestamptz" else ""
        raise RequestError(f"{field.name}: this is no {field.type}", remedy=remedy) from None


def _read_whole(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,19}", text):
        raise ValueError(text)
    return int(text)


def make_model(
    name: str, fields: Mapping[str, resources.ServedColumn], *, is_new: bool
) -> type[BaseModel]:
    """The model of a body; that of a new row has what it needs, that of a change one field."""
    given: JsonMap = {}
    for number, field in enumerate(fields.values()):
        found = python_type(field)
        can_be_null = not field.is_required
        kind: Any = Optional[found] if can_be_null else found  # noqa: UP045 - a type at run time
        default = ... if is_new and field.is_required else None
        given[f"f{number}"] = (kind, Field(default, alias=field.name))
    config = ConfigDict(
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        title=name,
        json_schema_extra={"minProperties": 0 if is_new else 1},
    )
    return create_model(name, __config__=config, **given)


def read_body(
    adapter: TypeAdapter[Any], fields: Mapping[str, resources.ServedColumn], body: bytes
) -> list[JsonMap]:
    """The columns that each object of a body gives, as parameters of a statement.

    Raises:
        RequestError: it is no JSON; or a field is unknown, missing or of another type.
    """
    try:
        found = adapter.validate_json(body)
    except ValidationError as error:
        if error.error_count() > MAX_PROBLEMS:
            raise RequestError(
                f"the body does not fit in {error.error_count():,} places", status=422
            ) from None
        if error.errors()[0]["type"] == "json_invalid":
            raise RequestError("the body is no JSON, or is nested too deeply") from None
        raise RequestError(
            "the body does not fit", status=422, problems=describe_problems(error)
        ) from None
    return [_list_given(each, fields) for each in (found if isinstance(found, list) else [found])]


def _list_given(found: BaseModel, fields: Mapping[str, resources.ServedColumn]) -> JsonMap:
    given = found.model_fields_set
    return {
        field.name: write_parameter(field, getattr(found, f"f{number}"))
        for number, field in enumerate(fields.values())
        if f"f{number}" in given
    }


def describe_problems(error: ValidationError) -> dict[str, str]:
    """What is wrong, by the field; what was given is not repeated."""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False, include_input=False, include_context=False):
        place = ".".join(map(str, each["loc"])) or "body"
        found.setdefault(place, each["msg"])
    return found


def write_parameter(field: resources.ServedColumn, value: object) -> object:
    """A value as psycopg sends it."""
    if field.type != "jsonb" or value is None:
        return value
    check_depth(value)
    return json.dumps(value)


def check_depth(value: object) -> None:
    """Check that a body is not nested deeper than the server may take.

    Raises:
        RequestError: it is.
    """
    todo = [(value, 0)]
    while todo:
        each, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise RequestError("the body is nested too deeply")
        inner = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        todo += [(item, depth + 1) for item in inner]


def describe_field(field: resources.ServedColumn) -> JsonMap:
    """The JSON Schema of a column in answers."""
    kind = find_kind(field.type)
    if field.type == "jsonb":
        return {}
    shown = kind.shown
    if is_array(field.type):
        # An array of PostgreSQL may have several dimensions.
        shown = {"type": "array"}
    return {"anyOf": [shown, {"type": "null"}]}


def example_of(field: resources.ServedColumn) -> object:
    """A value that the column takes."""
    if field.values:
        is_int = read_modifiers(field.type)[0].startswith("int")
        return int(field.values[0]) if is_int else field.values[0]
    example = find_kind(field.type).example
    return [example] if is_array(field.type) else example
