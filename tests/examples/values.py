"""The documents of Devora as values of Python, read by the tests' own walker."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TypeVar

from bson import Decimal128
from tests.oracle.walk import Value, parse

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

T = TypeVar("T")
Raw = dict[str, list[Value]]
Plain = dict[str, object]


def read_documents(data: bytes) -> Iterator[Value]:
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from("<i", data, at)
        yield parse(data[at : at + size])
        at += size


def as_document(value: Value) -> Plain:
    return {key.decode(): as_plain(each) for key, each in value.fields}


def as_plain(value: Value) -> object:
    plain: dict[str, Callable[[], object]] = {
        "document": lambda: as_document(value),
        "array": lambda: [as_plain(each) for _, each in value.fields],
        "string": lambda: value.content.decode(errors="surrogateescape"),
        "objectid": value.content.hex,
        "int32": lambda: Decimal(value.number),
        "double": lambda: Decimal(repr(struct.unpack("<d", value.content)[0])),
        "decimal": lambda: Decimal128.from_bid(value.content).to_decimal(),
        "date": lambda: EPOCH + dt.timedelta(milliseconds=value.number),
        "bool": lambda: bool(value.number),
        "null": lambda: None,
    }
    return plain[value.kind]()


def as_list(value: object) -> list[Plain]:
    assert isinstance(value, list)
    return value


def as_moment(value: object) -> dt.datetime:
    return (
        dt.datetime.fromisoformat(value) if isinstance(value, str) else as_kind(value, dt.datetime)
    )


def as_kind(value: object, kind: type[T]) -> T:
    assert isinstance(value, kind)
    return value


def as_amount(value: object) -> Decimal:
    """A price, also one that was written for people."""
    return (
        Decimal(value.split()[0].replace(",", "."))
        if isinstance(value, str)
        else as_kind(value, Decimal)
    )
