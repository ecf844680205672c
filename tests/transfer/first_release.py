"""A database as the first release, commit 91e9be5, left it: its dump, and the sources of its loads.

`data/first_release.sql` is what `pg_dump --inserts` printed. Its loads, each made by that release:
`app` is finished and has rejects, child rows and values that fit no column; `half` was stopped
after two of its chunks; `plain` has keys that are no ObjectIds, and nothing in it was rejected.
Later releases must go on with all three.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from tests.dumps import write_dump

DUMP = Path(__file__).with_name("data") / "first_release.sql"
NAMES = ("app", "half", "plain")
CHUNK_BYTES = 4096
"""Of every load of the dump."""

START = dt.datetime(2024, 2, 29, 12, 30, 15, 125_000, tzinfo=dt.UTC)
GARBAGE = b"\x07\x01\x01\x01 no document \xfe"
ODD: list[object] = [
    *[7, Int64(7), 7.5, float("nan"), -0.0, "7", True, None, START],
    *[ObjectId(f"{7:024x}"), [], {}, [1, "a"], {"a": {"b": []}}],
    *[Decimal128("1.50"), Decimal128("NaN"), Binary(b"x", 5), Binary.from_uuid(UUID(int=7))],
    *[Code("f()"), Code("f()", {"a": 1}), Regex("a", "i"), Timestamp(1, 2)],
    *[MinKey(), MaxKey(), DBRef("c", 1), "\0", "é"],
]
"""Values of every kind, of which no column takes all."""
COLUMNS = "name age visits score paid born ref token blob price tags address items".split()
"""Fields of users that hold one of those values now and then."""


def write_sources(folder: Path) -> dict[str, Path]:
    """The dumps of the three loads, by name."""
    return {
        "app": write_dump(folder / "app", {"users": _users(), "events": _events()}),
        "half": write_dump(folder / "half", {"orders": _orders()}),
        "plain": write_dump(folder / "plain", {"codes": _codes()}),
    }


def _users() -> Iterator[dict[str, object] | bytes]:
    for n in range(40):
        parts = [{"p": n}] * (n % 2)
        items = [{"sku": f"s{i}", "count": i, "parts": parts} for i in range(n % 3)]
        user: dict[str, object] = {
            "_id": ObjectId(f"65b9f0a0{n:016x}"),
            "name": f"user {n}",
            "age": n,
            "visits": Int64(n << 33),
            "score": n / 8,
            "paid": n % 2 == 0,
            "born": START + dt.timedelta(days=n),
            "ref": ObjectId(f"65b9f0a1{n:016x}"),
            "token": Binary.from_uuid(UUID(int=n)),
            "blob": Binary(bytes([n])),
            "price": Decimal128(f"{n}.50"),
            "tags": ["a", "b"][: n % 3],
            "address": {"city": f"city {n % 3}", "zip": None if n % 4 else str(n)},
            "items": items,
            "mixed": n if n % 2 else str(n),
        }
        if n < len(ODD):
            user |= {COLUMNS[n % len(COLUMNS)]: ODD[n], "rare": ODD[n]}
        yield user
        if n in {5, 25}:
            yield user | {"again": True}
    yield GARBAGE


def _events() -> Iterator[dict[str, object] | bytes]:
    for n in range(30):
        yield {"_id": n, "kind": "click", "at": n / 8, "odd": ODD[n % len(ODD)]}
    yield b"\x0c\0\0\0\x08a\0\x02\0\0\0\0"


def _orders() -> Iterator[dict[str, object]]:
    for n in range(120):
        lines = [{"sku": f"s{i}", "count": i} for i in range(n % 3)]
        yield {
            "_id": ObjectId(f"65b9f0a2{n:016x}"),
            "total": n * 1.25,
            "lines": lines,
            "text": "x" * 60,
        }


def _codes() -> Iterator[dict[str, object]]:
    keys: list[object] = [
        "a",
        "b",
        1,
        1.5,
        Decimal128("2.50"),
        ObjectId(f"{1:024x}"),
        {"a": 1, "b": "2"},
        START,
        None,
        True,
    ]
    for n, key in enumerate(keys):
        yield {"_id": key, "n": n}


def restore(conninfo: str) -> None:
    """Restore the dump into an empty database, as if its rows had been loaded there.

    The rows are written by one transaction, which becomes that of all chunks.
    """
    with psycopg.connect(conninfo) as connection:
        connection.execute(DUMP.read_bytes())
        connection.execute("UPDATE assise.chunk SET xid = pg_current_xact_id()")


def write_manifest(conninfo: str, name: str, folder: Path) -> Path:
    """Write the manifest of a load, as its ledger has it, to a new folder."""
    folder.mkdir()
    with psycopg.connect(conninfo) as connection:
        ((text,),) = connection.execute(
            "SELECT manifest FROM assise.load WHERE name = %s", [name]
        ).fetchall()
    (folder / "assise.yaml").write_text(text)
    return folder
