"""Digests of the documents of a live source, as they were when they were loaded.

Of each document 24 bytes are kept: a hash of its key (8 bytes of BLAKE2b) and its fingerprint, which
equal documents share. So verify tells whether rows are what was loaded after the source has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b

from assise.documents.fingerprints import read_fingerprints
from assise.native import find_native
from assise.postgres.connection import Connection
from assise.transfer import ledger
from assise.types.wire import Cell

KEY_BYTES, RECORD_BYTES = 8, 24

Digests = Mapping[bytes, bytes]
"""The fingerprints of documents by the hashes of their keys."""


def hash_key(key: bytes) -> bytes:
    """Return the 8 bytes that stand for a key; two of 2^64 pairs of keys share them."""
    return blake2b(key, digest_size=KEY_BYTES).digest()


def hash_keys(keys: Sequence[bytes], *, is_native: bool = True) -> list[bytes]:
    """Return the 8 bytes of each key."""
    module = find_native() if is_native else None
    return (module and module.hash_keys(keys)) or [*map(hash_key, keys)]


def read_number(hashed: bytes) -> int:
    """Return the hash of a key as a signed integer of 64 bits."""
    return int.from_bytes(hashed, "big", signed=True)


def pack_digests(keys: Iterable[Cell], documents: Sequence[bytes]) -> bytes:
    """Return the digests of documents with these keys."""
    pairs = zip(hash_keys([*keys]), read_fingerprints(documents), strict=True)
    return b"".join([part for pair in pairs for part in pair])


def split_digests(content: bytes) -> dict[bytes, bytes]:
    """Return what was written."""
    starts = range(0, len(content), RECORD_BYTES)
    return {content[p : p + KEY_BYTES]: content[p + KEY_BYTES : p + RECORD_BYTES] for p in starts}


def join_digests(digests: Digests) -> bytes:
    """Return digests as `split_digests` takes them."""
    return b"".join([key + digest for key, digest in digests.items()])


def write_digests(
    connection: Connection, load: ledger.Load, collection: str, start: int, digests: Digests
) -> None:
    """Keep these digests of the chunk at `start` in place of those that it has."""
    parameters = {"load_id": load.id, "collection": collection, "start": start}
    content = join_digests(digests)
    connection.execute(ledger.QUERIES["write_digests"], {**parameters, "digests": content})


def renew_digests(
    connection: Connection, load: ledger.Load, collection: str, renewed: Mapping[int, Digests]
) -> None:
    """Keep the digests of documents that were written again, by the starts of their chunks."""
    for start, changed in renewed.items():
        for digests in read_digests(connection, load, collection, start):
            write_digests(connection, load, collection, start, {**digests, **changed})


def read_digests(
    connection: Connection, load: ledger.Load, collection: str, start: int | None = None
) -> Iterator[dict[bytes, bytes]]:
    """Yield the digests of the chunks of a live collection, or of the one at `start`."""
    parameters = {"load_id": load.id, "collection": collection, "start": start}
    for (digests,) in connection.execute(ledger.QUERIES["digests"], parameters):
        if isinstance(digests, bytes):
            yield split_digests(digests)
