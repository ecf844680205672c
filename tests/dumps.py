"""Dumps for tests: files of raw BSON, written by hand or with pymongo's `bson`."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path

import bson


def confirm(_question: str) -> bool:
    """Agrees to everything that a load would create."""
    return True


def write_dump(
    folder: Path,
    collections: Mapping[str, Iterable[bytes | Mapping[str, object]]],
    *,
    is_packed: bool = False,
) -> Path:
    """A database's folder.

    Each collection a file of documents, given as raw BSON or as pymongo's `bson` encodes them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, documents in collections.items():
        content = b"".join(
            item if isinstance(item, bytes) else bson.encode(item) for item in documents
        )
        path = folder / f"{name}.bson{'.gz' if is_packed else ''}"
        path.write_bytes(gzip.compress(content) if is_packed else content)
    return folder
