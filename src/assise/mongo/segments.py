"""The parts of a mongodump archive in their order: whole documents, broken bytes, ends.

After its prelude an archive is a row of segments. Each has a header, documents of one collection
and a terminator; those of several collections are interleaved. A header with `EOF` ends its
collection and has the CRC-64 of all its documents. The format: common/archive/spec.md of
mongo-tools 100. Where bytes cannot be framed, reading goes on at the first later terminator that is
followed by a header or by the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import bson

from assise.documents.reader import check_document
from assise.errors import InvalidBsonError
from assise.mongo.frames import Window

MAGIC = b"\x6d\xe2\x99\x81"
"""The first bytes of every archive."""

TERMINATOR = b"\xff\xff\xff\xff"
LARGEST_HEADER = 16 << 10
"""Bytes of the longest header of a segment: a database's and a collection's name fit in 1 KiB."""

LARGEST_PRELUDE = 32 << 20
"""Bytes of all metadata that are read of an archive."""

_BLOCK = 1 << 20
_HELD_BACK = len(TERMINATOR) + LARGEST_HEADER
_BORDER = re.compile(re.escape(TERMINATOR) + rb"(?=..\0\0\x02db\0)", re.DOTALL)
_FIRST_KEY = re.compile(rb"\x02db\0(?<=..\0\0\x02db\0)", re.DOTALL)
"""The first key of a header, four bytes after its beginning."""

_HEADER_KEYS = {"db", "collection", "EOF", "CRC"}


class Namespace(NamedTuple):
    """A database and a collection in it; the oplog has no database."""

    database: str
    collection: str

    def __str__(self) -> str:
        return f"{self.database}.{self.collection}" if self.database else self.collection


@dataclass(frozen=True)
class Header:
    """The header of a segment. `crc` is here when it ends its collection and has one.

    One that is not whole lacks a key that mongodump writes.
    """

    namespace: Namespace
    is_end: bool = False
    crc: int | None = None
    unknown: tuple[str, ...] = ()
    is_whole: bool = True


class Whole(NamedTuple):
    """Whole documents of one collection, one after the other: the borders of each in `data`."""

    namespace: Namespace
    data: bytes
    borders: list[int]


class BrokenSegment:
    """Bytes that cannot be framed as documents: a stream, from `offset` in the archive on.

    They stand in a segment of `namespace`; None where its header cannot be read. There are none
    where the archive ends without a terminator.
    """

    def __init__(self, window: Window, namespace: Namespace | None) -> None:
        self._window, self.namespace, self.offset = window, namespace, window.offset
        self._searched, self._stop = window.offset, -1

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        window = self._window
        while self._stop < 0 and self._searched <= window.offset:
            self._search()
        known = self._searched if self._stop < 0 else self._stop
        return window.take(window.p + max(0, min(size, known - window.offset)))

    def drain(self) -> int:
        """Skip what is left of it, and return how many bytes that were."""
        return sum(map(len, iter(lambda: self.read(_BLOCK), b"")))

    def _search(self) -> None:
        """Look for the end in the next block."""
        window = self._window
        # A terminator and the header behind it are looked at in one piece.
        is_last = not window.holds(window.p + _BLOCK + _HELD_BACK)
        data, base = window.data, window.offset - window.p
        last = len(data) if is_last else len(data) - _HELD_BACK
        for match in _FIRST_KEY.finditer(data, self._searched - base + 4):
            start = match.start() - 4
            header = _peek(window, start)
            if start < last and header is not None and header.is_whole:
                before = start - len(TERMINATOR)
                has_terminator = before >= window.p and data.startswith(TERMINATOR, before)
                self._stop = base + (before if has_terminator else start)
                return
        self._searched = base + last
        if is_last:
            has_terminator = data.endswith(TERMINATOR) and last - len(TERMINATOR) >= window.p
            self._stop = base + last - (len(TERMINATOR) if has_terminator else 0)


ArchivePart = Header | Whole | BrokenSegment
"""What stands in an archive after its prelude."""


def read_parts(window: Window) -> Iterator[ArchivePart]:
    """Yield what follows the prelude. What is not read of a broken part is skipped."""
    while window.holds(window.p + 1):
        header = _peek(window, window.p)
        if header is None:
            yield from _read_broken(window, None)
            continue
        window.take(window.framed(window.p))
        yield header
        while not skip_terminator(window):
            row = _read_row(window, header.namespace)
            if row is None:
                yield from _read_broken(window, header.namespace)
                break
            yield row


def _read_broken(window: Window, namespace: Namespace | None) -> Iterator[BrokenSegment]:
    """Yield what cannot be framed, up to the next segment."""
    broken = BrokenSegment(window, namespace)
    yield broken
    broken.drain()
    skip_terminator(window)


def _read_row(window: Window, namespace: Namespace) -> Whole | None:
    """Consume consecutive documents as far as the window holds them; None where there is none.

    A length that is wrong may lead beyond the end of the segment. So a document in which a segment
    seems to end is one only if it is valid inside.
    """
    stop = window.framed(window.p)
    if not stop:
        return None
    border = _BORDER.search(window.data, window.p)
    if border is None or stop <= border.start():
        data, _, borders = window.framed_in_a_row(border.start() if border else None)
        return Whole(namespace, data, borders)
    try:
        check_document(window.data[window.p : stop])
    except InvalidBsonError:
        return None
    raw = window.take(stop)
    return Whole(namespace, raw, [0, len(raw)])


@dataclass(frozen=True)
class Prelude:
    """The beginning of an archive: its header, and one document for each collection.

    `broken_at` is where it cannot be read any further, as an offset in the archive.
    """

    header: Mapping[str, object]
    collections: Sequence[Mapping[str, object]]
    broken_at: int | None = None


def read_prelude(window: Window) -> Prelude | None:
    """Consume what follows the magic number, up to the first segment; None without a header."""
    header = _read_document(window)
    if header is None:
        return None
    found: list[Mapping[str, object]] = []
    size = 0
    while not skip_terminator(window):
        before = window.offset
        collection = _read_document(window)
        size += window.offset - before
        if collection is None or size > LARGEST_PRELUDE:
            BrokenSegment(window, None).drain()
            skip_terminator(window)
            return Prelude(header, found, before)
        found.append(collection)
    return Prelude(header, found)


def _read_document(window: Window) -> Mapping[str, object] | None:
    """Consume one document; None where there is none that can be decoded."""
    stop = window.framed(window.p)
    found = _decode(window.data[window.p : stop]) if stop else None
    if found is not None:
        window.take(stop)
    return found


def _decode(raw: bytes) -> Mapping[str, object] | None:
    try:
        return bson.decode(raw)
    except bson.errors.BSONError:
        return None


def skip_terminator(window: Window) -> bool:
    """Consume a terminator; say whether there was one."""
    if not (window.holds(window.p + 4) and window.data.startswith(TERMINATOR, window.p)):
        return False
    window.take(window.p + len(TERMINATOR))
    return True


def _peek(window: Window, start: int) -> Header | None:
    """Return the header of a segment at `start` of the window's data."""
    stop = window.framed(start) if window.holds(start + 4) else 0
    if not 0 < stop - start <= LARGEST_HEADER:
        return None
    found = _decode(window.data[start:stop]) or {}
    database, collection = found.get("db"), found.get("collection")
    is_end, crc = found.get("EOF", False), found.get("CRC")
    if not (isinstance(database, str) and isinstance(collection, str) and collection):
        return None
    if not (isinstance(is_end, bool) and isinstance(crc, int | None)):
        return None
    unknown = tuple(key for key in found if key not in _HEADER_KEYS)
    is_whole = found.keys() >= _HEADER_KEYS
    return Header(Namespace(database, collection), is_end, crc, unknown, is_whole)
