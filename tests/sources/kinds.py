"""The kinds of sources under contract: each writes the same collections in its own form."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.dumps import write_dump
from tests.sources.held import Held

Write = Callable[[Path, Held], Path]
"""Write collections below a folder of the test; return what `open_source` is given."""


def carry_all(_document: bytes) -> bool:
    """Say that a document comes through as it is."""
    return True


@dataclass(frozen=True)
class Kind:
    """A kind of source.

    `carries` says of a document whether it comes through as it is: others are not written.
    `is_single` says that it holds one collection, which is called `users`. So many `documents` are
    compared in tables.
    """

    name: str
    write: Write
    carries: Callable[[bytes], bool] = carry_all
    is_single: bool = False
    documents: int = 2_000

    def hold(self, held: Held) -> Held:
        """Return what it can hold of some collections."""
        names = ["users"] if self.is_single else [*held]
        return {name: [*filter(self.carries, held[name])] for name in names}


def _write_folder(folder: Path, held: Held) -> Path:
    return write_dump(folder / "app", held)


def _write_packed_folder(folder: Path, held: Held) -> Path:
    return write_dump(folder / "app", held, is_packed=True)


def _write_databases(folder: Path, held: Held) -> Path:
    write_dump(folder / "dump" / "admin", {"system.version": [b"\5\0\0\0\0"]})
    write_dump(folder / "dump" / "app", held)
    return folder / "dump"


def _write_file(folder: Path, held: Held) -> Path:
    return write_dump(folder, held) / "users.bson"


def _write_packed_file(folder: Path, held: Held) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "users.bson.gz"
    # In two members, as tools that pack in parallel write it.
    content = b"".join(held["users"])
    middle = len(content) // 2
    file.write_bytes(gzip.compress(content[:middle]) + gzip.compress(content[middle:]))
    return file


KINDS = [
    Kind("folder", _write_folder, documents=20_000),
    Kind("packed folder", _write_packed_folder),
    Kind("folder above", _write_databases),
    Kind("file", _write_file, is_single=True),
    Kind("packed file", _write_packed_file, is_single=True),
]
