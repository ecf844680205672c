"""Documents that every kind of source holds in the contract tests, and places to break them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from uuid import UUID

import bson
from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp
from tests.oracle.values import (
    Element,
    write_array,
    write_binary,
    write_document,
    write_scoped,
    write_text,
)

Held = Mapping[str, list[bytes]]
"""Collections by name, each with its documents as raw BSON."""

DOUBLES = [0.0, -0.0, 1.0, 0.1, 9.99, 1e16, 1e22, 5e-324, 1.7976931348623157e308]
DOUBLES += [float("inf"), float("-inf"), float("nan"), 2.0**53, -1.5]
INTS = [0, 1, -1, 2**31 - 1, -(2**31)]
LONGS = [0, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
DATES = [0, 1, 120, -1, 1_706_695_200_123, 253_402_300_799_999, 253_402_300_800_000]
DATES += [-62_135_596_800_000, 2**63 - 1, -(2**63)]
TEXTS = ["", "Œuvre déjà", "😀", "\"'`\\/", "\b\f\n\r\t\x1f\x7f", "a\0b", "\u2028", '{"$oid": 1}']
DECIMALS = ["1", "1.00", "-0", "0E+3", "9.999999999999999999999999999999999E+6144", "NaN"]
DECIMALS += ["Infinity", "1E-6176"]
ID = ObjectId("507f1f77bcf86cd799439011")
A_UUID = UUID("73ffd264-44b3-4c69-90e8-e7d1dfc035d4")


def _int32(number: int) -> Element:
    return 0x10, struct.pack("<i", number)


def _text(text: str) -> Element:
    return 0x02, write_text(text.encode())


def _int64(code: int, number: int) -> Element:
    return code, struct.pack("<q", number)


INNER = write_document([(b"a", _int32(1)), (b"o", (0x07, ID.binary))])
VALUES: list[Element] = [
    *((0x01, struct.pack("<d", number)) for number in DOUBLES),
    *map(_int32, INTS),
    *(_int64(0x12, number) for number in LONGS),
    *(_int64(0x09, number) for number in DATES),
    *map(_text, TEXTS),
    *((0x13, Decimal128(text).bid) for text in DECIMALS),
    *((0x05, write_binary(subtype, A_UUID.bytes)) for subtype in (0, 3, 4, 5, 128)),
    (0x03, INNER),
    (0x03, write_document([])),
    (0x04, write_array([_int32(1), (0x0A, b""), _text("x"), (0x04, write_array([]))])),
    (0x04, write_array([])),
    (0x06, b""),
    (0x07, ID.binary),
    (0x08, b"\0"),
    (0x08, b"\1"),
    (0x0A, b""),
    (0x0B, b"a+/b\0imx\0"),
    (0x0C, write_text(b"app.users") + ID.binary),
    (0x0D, write_text(b"function() { return 1; }")),
    (0x0E, write_text(b"symbol")),
    (0x0F, write_scoped(b"f()", INNER)),
    (0x11, struct.pack("<II", 7, 1_706_695_200)),
    (0x7F, b""),
    (0xFF, b""),
]
"""A value of every kind of BSON, most of them at their edges."""


@cache
def _make_users(count: int) -> tuple[bytes, ...]:
    return tuple(_users(count))


def _users(count: int) -> Iterator[bytes]:
    for n in range(count):
        user: dict[str, object] = {
            "_id": ObjectId(struct.pack(">IQ", 1_700_000_000 + n, n)),
            "name": f"Zoé {n}",
            "price": n if n % 2 else n + 0.25,
            "born": bson.datetime_ms.DatetimeMS(1_600_000_000_000 + n),
            "tags": [f"t{i}" for i in range(n % 3)],
            "orders": [{"sku": f"s{i}", "amount": Int64((1 << 40) + i)} for i in range(n % 4)],
            "address": {"city": "Liège", "zip": None if n % 7 else "4000"},
        }
        if n % 11 == 0:
            user |= {"hash": Binary(b"\0\1" * (n % 5)), "like": Regex("^a", 0)}
        if n % 13 == 0:
            user |= {"seen": Timestamp(n, 1), "key": Binary.from_uuid(A_UUID)}
        yield bson.encode(user)


def _with_value(n: int, value: Element) -> bytes:
    return write_document([(b"_id", _int32(n)), (b"v", value), (b"n", _int32(n // 3))])


def carry_all(_document: bytes) -> bool:
    """Say that a document comes through as it is."""
    return True


def make_held(documents: int, carries: Callable[[bytes], bool] = carry_all) -> Held:
    """Three collections, of which one is small, with so many documents in all.

    `carries` says of a document whether its value may be among those of the collection `values`.
    """
    carried = [value for value in VALUES if carries(_with_value(0, value))]
    values, few = documents // 4, min(10, documents // 20)
    users = documents - values - few
    notes = [bson.encode({"_id": f"note {n}", "text": "x" * n}) for n in range(few)]
    mixed = [_with_value(n, carried[n % len(carried)]) for n in range(values)]
    return {"notes": notes, "users": [*_make_users(users)], "values": mixed}


def cuts(size: int, count: int, *, seed: int) -> list[int]:
    """Places at which a file of so many bytes is cut: drawn, and both ends."""
    drawn = random.Random(seed).sample(range(size), min(size, count - 2))
    return sorted({0, size - 1, *drawn})


def change(content: bytes, chance: random.Random) -> bytes:
    """The content with one to three of its bytes changed."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(changed))
        changed[place] = chance.choice([0, 1, 5, 0xFF, ord('"'), ord("{"), chance.randrange(256)])
    return bytes(changed)
