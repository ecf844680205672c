"""What an archive holds, by one pass over it: collections, their sizes, and what is wrong.

Checksums are compared with `fastcrc`, which the extra `archive` brings.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Self, cast

from assise import extras
from assise.errors import MissingExtraError, SourceError
from assise.mongo.frames import Stream, Window
from assise.mongo.gzip_stream import GzipStream
from assise.mongo.segments import (
    MAGIC,
    ArchivePart,
    BrokenSegment,
    Header,
    Namespace,
    Prelude,
    Whole,
    read_parts,
    read_prelude,
)
from assise.mongo.source import REMEDY_UNREADABLE
from assise.wording import count_of, escape

GZIP = b"\x1f\x8b"
REMEDY_CHANGED = "Leave it as it is."
REMEDY_BROKEN = "Take the dump again, or copy the file again, if that is possible."

_HEAD_BYTES = 16 << 10
_FORMAT = "0.1"
_BLOCK = 1 << 20
_MASK = (1 << 64) - 1

_Checksum = Callable[[bytes | memoryview, int], int]


def is_archive(path: Path) -> bool:
    """Say whether a path is that of an archive, by its first bytes."""
    head = b""
    with suppress(OSError, zlib.error), path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if head.startswith(GZIP):
            head = zlib.decompressobj(wbits=31).decompress(head)
    return head.startswith(MAGIC)


@dataclass
class Extent:
    """The documents of one collection: their bytes, their number, and what is wrong with them."""

    size: int = 0
    documents: int = 0
    is_ended: bool = False
    goes_on: bool = False
    problems: list[str] = field(default_factory=list)

    @classmethod
    def missing(cls, name: str) -> Self:
        """Return what stands of a collection of which the archive has the name alone."""
        return cls(problems=[f"{escape(name)} is missing: the archive is cut before it begins"])


@dataclass(frozen=True)
class Contents:
    """The prelude of an archive, its collections in the order of their first segments, and notes.

    `problems` are those of the whole archive.
    """

    prelude: Prelude
    extents: dict[Namespace, Extent]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def survey_archive(path: Path) -> Contents:
    """Read an archive once; a file that stays as it is, is not read again.

    Raises:
        SourceError: it cannot be read, or is no archive.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return _survey(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=4)
def _survey(path: Path, size: int, _changed_ns: int) -> Contents:
    with read_archive(path) as archive:
        return _Survey(path, size, archive).contents()


@dataclass(frozen=True)
class OpenArchive:
    """An archive that is being read: its prelude, and the parts after it."""

    prelude: Prelude
    parts: Iterator[ArchivePart]
    stream: Stream


@contextmanager
def read_archive(path: Path) -> Iterator[OpenArchive]:
    """Open an archive and read its prelude.

    Raises:
        SourceError: it cannot be read, or is no archive.
    """
    try:
        with path.open("rb", buffering=0) as file:
            is_packed = file.read(2) == GZIP
            file.seek(0)
            stream = GzipStream(file) if is_packed else file
            window = Window(stream, 0)
            window.holds(len(MAGIC))
            prelude = read_prelude(window) if window.take(len(MAGIC)) == MAGIC else None
            if prelude is None:
                raise SourceError(
                    f"{path} is no archive that can be read: its beginning cannot be read",
                    remedy=REMEDY_BROKEN,
                )
            yield OpenArchive(prelude, read_parts(window), stream)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"{path} cannot be read: {error.strerror}", remedy=REMEDY_UNREADABLE)


class _Survey:
    """The pass over an archive."""

    def __init__(self, path: Path, size: int, archive: OpenArchive) -> None:
        self._path, self._size, self._archive = path, size, archive
        self._checksum = find_checksum()
        self._extents: dict[Namespace, Extent] = {}
        self._checksums: dict[Namespace, int] = {}
        self._unknown: dict[str, None] = {}
        self._lost: list[str] = []

    def contents(self) -> Contents:
        for part in self._archive.parts:
            match part:
                case Header():
                    self._read_header(part)
                case Whole(namespace, data, borders):
                    content = memoryview(data)[borders[0] : borders[-1]]
                    self._add(namespace, content, len(borders) - 1)
                case BrokenSegment():
                    self._read_broken(part)
        for namespace, extent in self._extents.items():
            if not extent.is_ended:
                extent.problems.append(
                    f"{escape(namespace.collection)} has no end: the archive is cut or broken, and"
                    f" {count_of(extent.documents, 'document')} of it can be read"
                )
            if extent.goes_on:
                extent.problems.append(f"{escape(namespace.collection)} goes on after its end")
        problems, notes = tuple(self._list_problems()), tuple(self._list_notes())
        return Contents(self._archive.prelude, self._extents, problems, notes)

    def _read_header(self, header: Header) -> None:
        extent = self._extents.setdefault(header.namespace, Extent())
        self._unknown.update(dict.fromkeys(header.unknown))
        if not header.is_end:
            return
        found = self._checksums.pop(header.namespace, 0)
        if self._checksum and header.crc is not None and found != header.crc & _MASK:
            extent.problems.append(
                f"{escape(header.namespace.collection)} is not as it was dumped: the checksum of"
                f" its documents was {header.crc & _MASK:016x}, and is {found:016x}"
            )
        extent.is_ended = True

    def _add(self, namespace: Namespace, content: bytes | memoryview, documents: int) -> None:
        extent = self._extents[namespace]
        extent.goes_on |= extent.is_ended
        extent.size += len(content)
        extent.documents += documents
        if self._checksum:
            before = self._checksums.get(namespace, 0)
            self._checksums[namespace] = self._checksum(content, before)

    def _read_broken(self, broken: BrokenSegment) -> None:
        size = 0
        for block in iter(lambda: broken.read(_BLOCK), b""):
            if broken.namespace:
                self._add(broken.namespace, block, 0)
            elif not size and block.startswith(MAGIC):
                offset = broken.offset
                raise SourceError(
                    f"{self._path} is two archives, one after the other: the second one begins at"
                    f" byte {offset:,} of the uncompressed file",
                    remedy=f"Split it: `head -c {offset}` gives the first,"
                    f" `tail -c +{offset + 1}` the second.",
                )
            size += len(block)
        if not size and broken.namespace:
            self._lost.append("the archive is cut: it ends without a terminator")
        elif size and not broken.namespace:
            self._lost.append(
                f"{size:,} bytes from byte {broken.offset:,} of the archive on belong to no"
                " collection: the header before them cannot be read. They are not loaded"
            )

    def _list_problems(self) -> Iterator[str]:
        stream, prelude = self._archive.stream, self._archive.prelude
        if isinstance(stream, GzipStream) and stream.fault:
            yield f"the archive is a broken gzip stream ({stream.fault}): what can be unpacked is read"
        if prelude.broken_at is not None:
            yield (
                f"the prelude of the archive cannot be read from byte {prelude.broken_at:,} on:"
                " options and indexes of some collections are not known"
            )
        yield from self._lost

    def _list_notes(self) -> Iterator[str]:
        version = self._archive.prelude.header.get("version")
        if version != _FORMAT:
            yield f"the archive has version {version} of its format, of which {_FORMAT} is known"
        if self._unknown:
            yield f"the archive has headers with keys that are not known: {', '.join(self._unknown)}"
        if not self._checksum:
            yield (
                "the checksums of the archive are not compared: `pip install 'assise[archive]'`"
                " brings what is needed"
            )


def find_checksum() -> _Checksum | None:
    """Return CRC-64 as mongodump writes it, which is called XZ elsewhere; None without fastcrc."""
    try:
        return cast(_Checksum, extras.load("fastcrc.crc64", extra="archive").xz)
    except MissingExtraError:
        return None
