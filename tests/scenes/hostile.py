"""What the tests of hostile sources share.

Raw BSON written by hand, and the command with all that it says and leaves behind.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from assise.cli.run import run

Query = Callable[..., list[tuple[object, ...]]]

LARGEST = (16 << 20) + (16 << 10)
"""The most bytes that a document has."""

NOT_BSON, DUPLICATE, LIMIT, MISFIT = 1, 2, 4, 5


def document(*fields: bytes) -> bytes:
    """A document, or the value of one, or of an array, around the bytes of its fields."""
    body = b"".join(fields)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def field(kind: int, key: str, value: bytes = b"") -> bytes:
    """One field: type byte, key, bytes of the value."""
    return bytes([kind]) + key.encode() + b"\0" + value


def string(key: str, text: str | bytes) -> bytes:
    """A field with a string."""
    content = text if isinstance(text, bytes) else text.encode()
    return field(
        0x02,
        key,
        struct.pack("<i", len(content) + 1) + content + b"\0",
    )


def int32(key: str, number: int) -> bytes:
    """A field with an int32."""
    return field(0x10, key, struct.pack("<i", number))


def int64(key: str, number: int, kind: int = 0x12) -> bytes:
    """A field with eight bytes: an int64, or a date (kind 9)."""
    return field(kind, key, struct.pack("<q", number))


def double(key: str, number: float) -> bytes:
    """A field with a double."""
    return field(0x01, key, struct.pack("<d", number))


def with_list(elements: bytes) -> bytes:
    """A document with an array; `elements` is the array's value."""
    return document(int32("_id", 1), field(0x04, "list", elements))


def with_map(*fields: bytes) -> bytes:
    """A document with a document of these fields."""
    return document(int32("_id", 1), field(0x03, "map", document(*fields)))


def numbered(count: int) -> list[bytes]:
    """Documents with nothing but their `_id`s, numbers from 0."""
    return [document(int32("_id", n)) for n in range(count)]


def start_of(parts: list[bytes], number: int) -> int:
    """Where a part stands in a file of all of them."""
    return sum(map(len, parts[:number]))


def nested(levels: int) -> bytes:
    """The value of a document with `levels` documents, each but the last with the one field `a`."""
    size = 8 * levels - 3
    heads = b"".join([struct.pack("<i", size - 8 * i) + b"\x03a\0" for i in range(levels - 1)])
    return heads + b"\x05\0\0\0\0" + b"\0" * (levels - 1)


GOOD = [document(int32("_id", number), string("name", f"user {number}")) for number in range(20)]
JUNK = b"\xde\xad\xbe\xef\x00" * 80


def write_manifest(folder: Path, tables: str) -> None:
    """A manifest with these tables, in flow style."""
    (folder / "assise.yaml").write_text(f"assise: 1\nname: app\ntables: {{{tables}}}\n")


def random_text(size: int, seed: int) -> str:
    """Text that PostgreSQL cannot compress much."""
    return "".join(
        random.Random(seed).choices(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", k=size
        )
    )


@dataclass(frozen=True)
class Expected:
    """A reject as it must stand in assise.reject; `kept` is what is kept of `raw`."""

    collection: str
    offset: int
    reason: int
    raw: bytes
    kept: int | None = None

    def row(self) -> tuple[object, ...]:
        return (
            self.collection,
            self.offset,
            len(self.raw),
            self.reason,
            sha256(self.raw).hexdigest(),
            self.raw[: self.kept],
        )


def expect(
    collection: str, parts: list[bytes], numbers: Iterable[int], reason: int
) -> list[Expected]:
    """The parts of a file with these numbers, as rejects of one reason."""
    return [Expected(collection, start_of(parts, n), reason, parts[n]) for n in numbers]


@dataclass(frozen=True)
class Outcome:
    """What a command gave: its exit code, the JSON that it printed, and what it said."""

    code: int
    printed: Any
    log: str

    @property
    def report(self) -> dict[str, Any]:
        """The report of a migration, empty where none was printed."""
        return self.printed or {}

    def count(self, name: str) -> dict[str, int]:
        """A figure of every collection."""
        return {collection["name"]: collection[name] for collection in self.report["collections"]}

    def tables(self) -> list[str]:
        """The tables of all collections."""
        return [name for collection in self.report["collections"] for name in collection["tables"]]


@dataclass(frozen=True)
class Command:
    """Runs the command line in a project's folder, against the test's database."""

    folder: Path
    database: str
    read: Callable[[], tuple[str, str]]
    query: Query

    def run(self, *arguments: str) -> Outcome:
        """A command, whatever becomes of it."""
        code = run([*arguments, "-f", str(self.folder), "--to", self.database, "--json"])
        out, log = self.read()
        return Outcome(code, json.loads(out) if out else None, log)

    def refuse(self, source: Path, *words: str, code: int = 1) -> Outcome:
        """A migration that ends with an error, whose message has these words.

        Nothing stands on stdout.
        """
        outcome = self.run("migrate", str(source), "--yes")
        assert (outcome.code, outcome.report) == (code, {}), outcome.log
        missing = [word for word in ("error: ", *words) if word not in outcome.log]
        assert not missing, f"{missing} not in {outcome.log}"
        return outcome

    def migrate(
        self, source: Path, documents: int, rejects: list[Expected] | None = None, *words: str
    ) -> Outcome:
        """A migration that ends well.

        Its counts add up, its rejects are these, with their bytes, and all else is equal.
        """
        expected = rejects or []
        outcome = self.run("migrate", str(source), "--yes")
        assert outcome.code == (3 if expected else 0), outcome.log
        report = outcome.report
        assert (report["documents"], report["rejected"]) == (documents, len(expected))
        assert report["loaded"] == documents - len(expected)
        assert report["verified"] == {
            "equal": report["loaded"],
            "different": 0,
            "missing": 0,
            "extra": 0,
        }
        for collection in report["collections"]:
            assert collection["documents"] == collection["loaded"] + collection["rejected"]
        columns = "collection, start_offset, size, reason, sha256, raw"
        found = self.query(
            f'SELECT {columns} FROM assise.reject ORDER BY collection COLLATE "C", start_offset'
        )
        assert found == [reject.row() for reject in expected]
        details = [str(detail) for (detail,) in self.query("SELECT detail FROM assise.reject")]
        missing = [
            word for word in words if not any(word in text for text in (outcome.log, *details))
        ]
        assert not missing, f"{missing} not in {outcome.log}, {details}"
        return outcome
