"""Fingerprints of many documents: in the crate, and in Python those that it declines."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from assise.documents.equality import fingerprint
from assise.errors import InvalidBsonError
from assise.native import find_native


def read_fingerprints(documents: Sequence[bytes], *, is_native: bool = True) -> list[bytes]:
    """Return the fingerprint of each document; of one that is not BSON no bytes."""
    module = find_native() if is_native else None
    found = module.fingerprint(documents) if module else None
    return [
        digest or _read(raw)
        for digest, raw in zip(found or [None] * len(documents), documents, strict=True)
    ]


def _read(raw: bytes) -> bytes:
    with suppress(InvalidBsonError):
        return fingerprint(raw)
    return b""
