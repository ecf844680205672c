"""What the fields of a collection that stays in MongoDB must hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation

from bson import Decimal128, Int64
from pydantic import model_validator

from assise.manifest.keys import Keyed, Schema
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.mongo_indexes import check_field
from assise.wording import nearest, show

NUMBERS = ("int", "long", "double", "decimal", "number")
TYPES = (
    *("string", "objectId", "bool", "date", "object", "array", "binData", "timestamp"),
    *NUMBERS,
    "point",
)
"""The types of MongoDB by their names, and `point`, which is a Point of GeoJSON.

https://www.mongodb.com/docs/manual/reference/bson-types/
"""

Limit = int | float
_LIMITS = {"min": NUMBERS, "max": NUMBERS, "min_length": ("string",), "max_length": ("string",)}
_LIMITS |= {"pattern": ("string",), "min_items": ("array",), "max_items": ("array",)}


class FieldRule(Keyed):
    """What a field must hold: a type of BSON, and limits. A text stands for `{type: …}`.

    `references` is the collection whose `_id` it holds; nothing checks that, and a plan tells what
    would be orphaned.
    """

    type: str | None = None
    required: bool = False
    nullable: bool = False
    min: Limit | None = None
    max: Limit | None = None
    enum: tuple[str, ...] = ()
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    pattern: str | None = None
    references: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _write_out(cls, value: object) -> object:
        return {"type": value} if isinstance(value, str) else value

    @property
    def kind(self) -> str:
        """The type; a list of values without one has texts."""
        return self.type or ("string" if self.enum else "")

    @property
    def values(self) -> list[object]:
        """The allowed values in the field's type."""
        return [read_value(each, self.kind) for each in self.enum]


def read_value(text: str, kind: str) -> object:
    """A text of the manifest as a value of a type.

    Raises:
        ValueError: it is none.
    """
    if kind == "int":
        return int(text)
    if kind == "long":
        return Int64(text)
    if kind == "decimal":
        return Decimal128(_read_decimal(text))
    if kind in {"double", "number"}:
        return float(text)
    return text


def _read_decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error


def check_fields(
    place: Place, fields: Mapping[str, FieldRule], tables: object = None
) -> Iterator[Problem]:
    """What no validator could say, or no document could fulfil."""
    del tables
    for path, rule in fields.items():
        at = (*place, path)
        yield from check_field(at, path)
        yield from _check_rule(at, rule)
        steps = path.split(".")
        for end in range(1, len(steps)):
            outer = ".".join(steps[:end])
            above = fields.get(outer)
            wanted = "array" if steps[end] == "*" else "object"
            if above is not None and above.type != wanted:
                message = f"lies inside {show(outer)}, which is no {wanted}"
                yield Problem(at, message, remedy=f"Give that the type {wanted}.")


def _check_rule(place: Place, rule: FieldRule) -> Iterator[Problem]:
    if rule.type is not None and rule.type not in TYPES:
        remedy = nearest(rule.type, TYPES)
        yield Problem((*place, "type"), "is no type of MongoDB", show(rule.type), remedy)
        return
    for name, kinds in _LIMITS.items():
        if getattr(rule, name) is not None and rule.kind not in kinds:
            remedy = f"Give the field the type {' or '.join(kinds)}, or remove the limit."
            message = f"is no limit of {rule.kind or 'any type'}"
            yield Problem((*place, name), message, remedy=remedy)
    for low, high in (("min", "max"), ("min_length", "max_length"), ("min_items", "max_items")):
        least, most = getattr(rule, low), getattr(rule, high)
        if least is not None and most is not None and least > most:
            yield Problem((*place, low), f"is above {high}", str(least), "Exchange the two.")
    try:
        values = rule.values
    except (ValueError, OverflowError):
        remedy = "Give values that the field can have."
        yield Problem((*place, "enum"), f"has a value that is no {rule.kind}", "", remedy)
        return
    if len(set(map(str, values))) < len(values):
        yield Problem((*place, "enum"), "has a value twice", remedy="Keep one of them.")


_NUMBER: Schema = {"type": "number"}
_INTEGER: Schema = {"type": "integer"}
_TEXT: Schema = {"type": "string"}
FIELD_SCHEMA: Schema = {
    "anyOf": [
        _TEXT,
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "type": _TEXT,
                "required": {"type": "boolean"},
                "nullable": {"type": "boolean"},
                "min": _NUMBER,
                "max": _NUMBER,
                "enum": {"type": "array", "items": {"anyOf": [_TEXT, _NUMBER]}},
                "min_length": _INTEGER,
                "max_length": _INTEGER,
                "min_items": _INTEGER,
                "max_items": _INTEGER,
                "pattern": _TEXT,
                "references": _TEXT,
            },
        },
    ]
}


def write_field(rule: FieldRule) -> object:
    """A rule as a person writes it."""
    if rule.type is not None and rule.model_fields_set <= {"type"}:
        return rule.type
    return rule.model_dump(mode="json", exclude_unset=True)
