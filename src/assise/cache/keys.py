"""Keys and tags of a cached call, from its bound arguments.

Two calls share a key only where their arguments are the same values of the same types: None and
'', 1 and '1', ['a:b', 'c'] and ['a', 'b:c'] differ.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from inspect import Parameter, signature
from string import Formatter
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from assise.errors import UsageError

_SELF_TOLD = frozenset({type(None), bool, int, float, str, bytes, UUID, Decimal, date, timedelta})
"""Types whose `repr` says type and value."""

EXACT = frozenset({type(None), bool, int, str, bytes, UUID, date})
"""Types whose equal values are written alike; 0.0 and -0.0, and decimals, are not."""

_PLAIN = frozenset({str, int, UUID})
_END = "\0"
"""Parts the texts of arguments: none of them holds it, as `repr` escapes it."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
_MAX_READABLE = 60


def check_name(name: str) -> None:
    """Check the name of a cached function, which begins its keys.

    Raises:
        UsageError: it holds other characters than letters, digits, `_`, `.` and `-`.
    """
    if not _NAME.fullmatch(name):
        remedy = "Begin with a letter; then letters, digits, _, . and -, at most 100 in all."
        raise UsageError(f"{name!r} cannot be the name of a cached function", remedy=remedy)


def write_argument(value: object, name: str) -> str:
    """The text of an argument in a key; equal texts are equal values of one type.

    Raises:
        UsageError: the value has no such text.
    """
    kind = type(value)
    if kind in _SELF_TOLD:
        return repr(value)
    match value:
        case datetime() | time() if _has_plain_zone(value):
            return f"{kind.__name__}({value.isoformat()},{value.fold},{value.tzinfo!r})"
        case Enum():
            return f"{_name_kind(kind)}.{value.name}"
        case list() | tuple() if kind in {list, tuple}:
            return f"{kind.__name__}({','.join(write_argument(each, name) for each in value)})"
        case set() | frozenset():
            return f"set({','.join(sorted(write_argument(each, name) for each in value))})"
        case dict():
            pairs = (
                f"{write_argument(key, name)}:{write_argument(each, name)}"
                for key, each in value.items()
            )
            return f"dict({','.join(sorted(pairs))})"
    if fields := _list_fields(value):
        pairs = (f"{key}={write_argument(getattr(value, key), name)}" for key in fields)
        return f"{_name_kind(kind)}({','.join(pairs)})"
    raise UsageError(
        f"the argument {name} is of type {kind.__name__}, which cannot be part of a key",
        remedy=f"Pass a plain value, or leave it out of the key: ignore=[{name!r}].",
    )


def _has_plain_zone(value: datetime | time) -> bool:
    return value.tzinfo is None or isinstance(value.tzinfo, timezone | ZoneInfo)


def _name_kind(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _list_fields(value: object) -> Sequence[str]:
    """The fields of a dataclass, a struct of msgspec or a model of pydantic."""
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    fields = getattr(type(value), "__struct_fields__", None)
    return fields or [*getattr(type(value), "model_fields", ())]


def write_tag_value(value: object, field: str) -> str:
    """The text of a value in a tag: what PostgreSQL's `::text` gives for it; None is empty.

    Raises:
        UsageError: the two would differ.
    """
    if type(value) in _PLAIN:
        return str(value)
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case Enum():
            return write_tag_value(value.value, field)
        case str() | int() | UUID():
            return str(value)
    raise UsageError(
        f"{field} is of type {type(value).__name__}, which cannot be part of a tag",
        remedy="Tags take texts, whole numbers, UUIDs, true and false.",
    )


class Template:
    """A name with fields, as `projects:{user_id}`."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            parts = [*Formatter().parse(text)]
        except ValueError as error:
            raise UsageError(f"{text!r}: {error}", remedy="Write name:{field}.") from error
        for _, field, form, conversion in parts:
            if field is not None and (not field.isidentifier() or form or conversion):
                raise UsageError(
                    f"{text!r}: {{{field}}} is not the name of a field",
                    remedy="Write name:{field}.",
                )
        self.parts = [(literal, field) for literal, field, _, _ in parts]
        self.fields = [field for _, field in self.parts if field is not None]
        self.names = frozenset(self.fields)

    def fill(self, values: Mapping[str, object]) -> str:
        """The name with its fields filled in.

        Raises:
            UsageError: a field has no value, or one that a tag cannot take.
        """
        texts = []
        for literal, field in self.parts:
            texts.append(literal)
            if field is not None:
                if field not in values:
                    raise UsageError(f"{self.text!r}: {field} has no value")
                texts.append(write_tag_value(values[field], field))
        return "".join(texts)


class Signature:
    """How a function's arguments are bound: found once, so that a call costs no `inspect`.

    Raises:
        UsageError: it has no such argument to ignore.
    """

    def __init__(self, function: Callable[..., object], ignored: Sequence[str]) -> None:
        parameters = signature(function).parameters
        kinds = {each.kind: name for name, each in parameters.items()}
        self.rest = kinds.get(Parameter.VAR_POSITIONAL)
        self.others = kinds.get(Parameter.VAR_KEYWORD)
        self.names = [name for name in parameters if name not in {self.rest, self.others}]
        only = [name for name, each in parameters.items() if each.kind is Parameter.KEYWORD_ONLY]
        self.positions = len(self.names) - len(only)
        self.all = [*self.names, *filter(None, (self.rest, self.others))]
        self.defaults = {
            name: each.default
            for name, each in parameters.items()
            if each.default is not Parameter.empty
        }
        for name in ignored:
            if name not in parameters:
                raise UsageError(f"ignore names {name!r}, which is no argument of the function")

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[object] | None:
        """The arguments in the order of `all`; None for a call that the function will refuse."""
        given = len(args)
        if given > self.positions and self.rest is None:
            return None
        values, used = [*args[: self.positions]], 0
        try:
            for name in self.names[given:] if given < self.positions else self._list_only():
                if name in kwargs:
                    values.append(kwargs[name])
                    used += 1
                else:
                    values.append(self.defaults[name])
        except KeyError:
            return None
        if self.rest is not None:
            values.append(args[self.positions :])
        if self.others is not None:
            values.append({name: each for name, each in kwargs.items() if name not in self.names})
        elif used != len(kwargs):
            return None
        return values

    def _list_only(self) -> Sequence[str]:
        return self.names[self.positions :]


def digest(text: str) -> str:
    """32 hexadecimal digits that stand for a text."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class KeyMaker:
    """The key of a call: the function's name, what its tags name, and a hash of everything.

    schema: stands for the type of the value, so that new code never reads an old shape.

    Raises:
        UsageError: a tag names what is no argument.
    """

    def __init__(
        self,
        name: str,
        tags: Sequence[str],
        *,
        call: Signature,
        ignored: Sequence[str],
        schema: str,
    ) -> None:
        self._name, self._schema = name, schema
        places = {each: number for number, each in enumerate(call.all)}
        self._hashed = [(places[each], each) for each in call.all if each not in ignored]
        templates = [Template(tag) for tag in tags]
        fields = dict.fromkeys(field for tag in templates for field in tag.fields)
        for field in fields:
            if field not in places:
                raise UsageError(
                    f"the tags of {name} name {field!r}, which is no argument of the function"
                )
        self._shown = [(places[field], field) for field in fields]
        self._tags = templates

    def make(self, values: Sequence[object], caller: str = "") -> tuple[str, list[str]]:
        """Key and tags of a call; `caller` is what else the value depends on, as the tenant.

        Raises:
            UsageError: an argument cannot be part of a key, or of a tag.
        """
        texts = [self._schema, caller]
        for place, name in self._hashed:
            value = values[place]
            plain = type(value) in _SELF_TOLD
            texts.append(repr(value) if plain else write_argument(value, name))
        shown = {field: write_tag_value(values[place], field) for place, field in self._shown}
        readable = "".join([f"{text[:_MAX_READABLE]}:" for text in shown.values()])
        tags = [tag.fill(shown) if tag.fields else tag.text for tag in self._tags]
        return f"{self._name}:{readable}{digest(_END.join(texts))}", tags
