"""Values of one type as bytes, by msgspec, or by pydantic where its models are in the type."""

from __future__ import annotations

import json
from dataclasses import is_dataclass
from functools import lru_cache
from typing import Any, Protocol, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from assise.cache.keys import digest
from assise.errors import UsageError
from assise.extras import load

_FORMAT = "1"
"""Counts changes of how values are written."""


class Written(Protocol):
    """How values of one type are written, and read."""

    schema: str

    def encode(self, value: object) -> bytes:
        """The bytes of a value."""

    def decode(self, data: bytes | memoryview) -> object:
        """The value of bytes."""


class _Msgspec:
    def __init__(self, kind: object, module: str) -> None:
        msgpack = load(module, extra="redis")
        inspect = load("msgspec.inspect", extra="redis")
        schema = load("msgspec.json", extra="redis").schema(kind)
        self.encode = msgpack.Encoder().encode
        self.decode = msgpack.Decoder(kind).decode
        self.schema = digest(json.dumps([_FORMAT, schema, str(inspect.type_info(kind))]))


class _Pydantic:
    def __init__(self, kind: Any) -> None:  # noqa: ANN401 - any type
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        self._adapter = adapter
        self.schema = digest(json.dumps([_FORMAT, adapter.json_schema(mode="serialization")]))

    def encode(self, value: object) -> bytes:
        return self._adapter.dump_json(value, warnings="error")

    def decode(self, data: bytes | memoryview) -> object:
        return self._adapter.validate_json(bytes(data))


@lru_cache(maxsize=1_000)
def find_values(kind: object, *, is_json: bool = False) -> Written:
    """How values of a type are written: as JSON, which people read, or as MessagePack.

    Raises:
        MissingExtraError: msgspec is not installed. UsageError: the type has no such form.
    """
    try:
        module = "msgspec.json" if is_json else "msgspec.msgpack"
        return _Pydantic(kind) if _has_models(kind, set()) else _Msgspec(kind, module)
    except (TypeError, PydanticSchemaGenerationError, NameError) as error:
        raise UsageError(
            f"values of type {kind} cannot be cached: {str(error).splitlines()[0]}",
            remedy="Use dataclasses, structs of msgspec, models of pydantic, and plain types.",
        ) from error


def _has_models(kind: object, seen: set[object]) -> bool:
    """Whether a type has models of pydantic in it."""
    if isinstance(kind, type) and not get_origin(kind):
        if issubclass(kind, BaseModel):
            return True
        if (is_dataclass(kind) or hasattr(kind, "__struct_fields__")) and kind not in seen:
            seen.add(kind)
            return any(_has_models(each, seen) for each in get_type_hints(kind).values())
    return any(_has_models(each, seen) for each in get_args(kind))


def encode_checked(values: Written, value: object, name: str) -> bytes:
    """The bytes of a value that come back as the same value.

    Raises:
        UsageError: what would come back is another value, or of another type.
    """
    errors = (TypeError, ValueError, OverflowError, load("msgspec", extra="redis").MsgspecError)
    try:
        data = values.encode(value)
        again = values.decode(data)
    except (*errors, ValidationError) as error:
        raise _unfit(name, str(error).splitlines()[0]) from error
    # NaN does not equal itself: its text does.
    if again != value and repr(again) != repr(value):
        raise _unfit(name, "it would come back as another one")
    return data


def _unfit(name: str, why: str) -> UsageError:
    return UsageError(
        f"{name} gave a value that does not fit its type: {why}",
        remedy="Say the exact type: list[Project], not list[dict[str, Any]], where values are no"
        " plain JSON.",
    )


def encode_json(value: object, name: str) -> str:
    """A value as JSON that comes back as the same value.

    Raises:
        UsageError: it is no plain JSON.
    """
    remedy = "Put texts, finite numbers, lists, and dictionaries whose keys are texts."
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{name}: the value is no plain JSON: {error}", remedy=remedy) from error
    if json.loads(text) != value:
        raise UsageError(
            f"{name}: the value is no plain JSON: it would come back as another one", remedy=remedy
        )
    return text
