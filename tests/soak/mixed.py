"""Dumps of many small documents with random shapes, children and dirt of all kinds.

They are written as a stream, which says what is to be rejected.
"""

from __future__ import annotations

import datetime as dt
import gzip
import struct
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import bson
from bson import Binary, Code, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp
from tests.scenes.hostile import (
    DUPLICATE,
    NOT_BSON,
    document,
    double,
    field,
    int32,
    int64,
    nested,
    string,
)

Maker = Callable[[Random], object]
Shape = list[tuple[str, float, Maker]]
"""Fields: key, the share of documents that have it, its value."""

LETTERS = "abcdefghijklmnopqrstuvwxyz    éßñ€漢字🙂\"\\'\n\t$."
DIRT_EVERY = 250
TAIL = 5


def draw_text(rng: Random) -> str:
    return "".join(rng.choices(LETTERS, k=rng.randrange(20)))


def draw_date(rng: Random) -> dt.datetime:
    return dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=rng.randrange(10**11))


SCALARS: list[Maker] = [
    draw_text,
    draw_date,
    lambda rng: rng.randrange(-1000, 1000),
    lambda rng: rng.randrange(-(1 << 63), 1 << 63),
    lambda rng: rng.choice([rng.randrange(100), rng.randrange(10_000) / 100]),
    lambda rng: rng.choice(
        [
            rng.gauss(0, 1e6),
            rng.random() * 1e-300,
            -0.0,
            float("nan"),
            float("inf"),
            1e16,
        ]
    ),
    lambda rng: rng.random() < 0.5,
    lambda rng: ObjectId(rng.randbytes(12)),
    lambda rng: Decimal128(
        f"{rng.randrange(-(10**9), 10**9)}E{rng.choice([0, -2, -2, -2, -30, 5])}"
    ),
    lambda rng: Binary(rng.randbytes(rng.randrange(8)), rng.choice([0, 0, 0, 5, 128])),
    lambda rng: Binary(rng.randbytes(16), 4),
    lambda rng: rng.choice(
        [
            Regex("a.b", "i"),
            Code("f()"),
            Code("g()", {"x": 1}),
            Timestamp(7, rng.randrange(9)),
            MinKey(),
            MaxKey(),
        ]
    ),
]

# Fields that pymongo does not write.
DIRT: list[Callable[[Random], bytes]] = [
    lambda rng: int32("x", 1) + string("x", "twice") + int32("x", rng.randrange(9)),
    lambda _: field(0x02, "x", b"\x03\0\0\0\xff\xfe\0"),
    lambda _: string("x", "a\0b"),
    lambda _: b"\x10\xff\xfe\0\x01\0\0\0",
    lambda _: field(0x06, "x") + string("", "the empty key"),
    lambda _: field(0x0E, "x", b"\x02\0\0\0s\0"),
    lambda rng: field(0x0C, "x", b"\x02\0\0\0c\0" + rng.randbytes(12)),
    lambda rng: int64(
        "x",
        rng.choice([-(1 << 63), (1 << 63) - 1, -62_135_596_800_001, 253_402_300_800_000]),
        kind=0x09,
    ),
    lambda rng: field(0x01, "x", struct.pack("<Q", 0x7FF8000000000000 + rng.randrange(1, 99))),
    lambda rng: field(0x13, "x", rng.randbytes(16)),
    lambda rng: field(0x03, "x", nested(rng.randrange(90, 130))),
    lambda _: field(0x05, "x", b"\x07\0\0\0\x02\x03\0\0\0abc"),
    lambda rng: field(
        0x03,
        "x",
        document(string("$oid", "no id"), double("a.b", rng.random())),
    ),
    lambda rng: field(
        0x04,
        "x",
        document(int32("7", 1), int32("0", rng.randrange(9))),
    ),
    lambda rng: string("x", bytes(rng.choices(range(1, 128), k=3_000))),
]

# _ids: each document's number makes another one; None: some documents have none, and the key is the
# offset.
IDS: list[Callable[[int], object] | None] = [
    lambda n: ObjectId(f"{n:024x}"),
    lambda n: n,
    lambda n: (n << 32) - 7,
    lambda n: n / 4,
    lambda n: f"key {n}",
    lambda n: Binary(uuid.UUID(int=n).bytes, 4),
    lambda n: [
        n,
        f"key {n}",
        ObjectId(f"{n:024x}"),
        {"b": n, "a": "x"},
        n + 0.5,
    ][n % 5],
    None,
]


def make_array(maker: Maker) -> Maker:
    return lambda rng: [maker(rng) for _ in range(rng.choice([0, 1, 1, 2, 3]))]


def make_document(shape: Shape) -> Callable[[Random], dict[str, object]]:
    """A document of a shape: fields are missing, now and then null or of any other kind."""

    def make(rng: Random) -> dict[str, object]:
        return {
            key: maker(rng)
            if (draw := rng.random()) < 0.96
            else None
            if draw < 0.985
            else rng.choice(SCALARS)(rng)
            for key, share, maker in shape
            if rng.random() < share
        }

    return make


def draw_shape(rng: Random, depth: int = 0) -> Shape:
    """Some fields, of which some are documents and arrays of them.

    At the root there is an array of documents.
    """
    shape: Shape = []
    for n in range(rng.randrange(2, 5) + (not depth)):
        is_child = n == depth == 0
        is_document = is_child or rng.random() < (0.4, 0.3, 0.2, 0)[depth]
        maker = make_document(draw_shape(rng, depth + 1)) if is_document else rng.choice(SCALARS)
        key = f"{rng.choice(['name', 'fullName', 'a b', 'x.y', 'Größe', '$set', 'order', 'id'])}{n}"
        shape.append(
            (
                key,
                rng.choice([1, 1, 0.9, 0.3, 0.005]),
                make_array(maker) if is_child or rng.random() < 0.2 else maker,
            )
        )
    return shape


def draw_collection(rng: Random, count: int, rejects: Counter[int]) -> Iterator[bytes]:
    """`count` documents and rejects; dirt stands far enough apart that each is one reject."""
    make, identify = make_document(draw_shape(rng)), rng.choice(IDS)
    for n in range(count - TAIL):
        if n % DIRT_EVERY == DIRT_EVERY - 1:
            kind = rng.choice(["run", "not BSON", "again"])
            rejects[DUPLICATE if kind == "again" else NOT_BSON] += (
                kind != "again" or identify is not None
            )
            again = (
                {"_id": identify(rng.randrange(n // DIRT_EVERY + 1) * DIRT_EVERY)}
                if identify
                else {}
            )
            yield {
                "run": b"\xff" * 4 + rng.randbytes(rng.randrange(300)),
                "not BSON": document(field(0x08, "a", b"\2")),
            }.get(kind, bson.encode({**again, **make(rng)}))
            continue
        head = {"_id": identify(n)} if identify else {"_id": n} if n % 100 else {}
        raw = bson.encode({**head, **make(rng)})
        yield document(raw[4:-1], rng.choice(DIRT)(rng)) if rng.random() < 0.02 else raw
    for n in range(count - TAIL, count):
        yield bson.encode({"_id": identify(n) if identify else n})


def write_mixed(
    folder: Path, rng: Random, *, count: int, is_packed: bool
) -> dict[str, Counter[int]]:
    """A dump of three collections with `count` documents and rejects in all.

    The rejects of each collection, by reason.
    """
    folder.mkdir(parents=True)
    rejects = {name: Counter[int]() for name in ("orders", "events", "things")}
    for name, found in rejects.items():
        path = folder / f"{name}.bson{'.gz' if is_packed else ''}"
        with gzip.open(path, "wb", compresslevel=1) if is_packed else path.open("wb") as file:
            for raw in draw_collection(
                rng,
                count // 3 + (name == "orders") * (count % 3),
                found,
            ):
                file.write(raw)
    return rejects
