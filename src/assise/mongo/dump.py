"""A mongodump folder, or one `.bson` or `.bson.gz` file, as collections that are read in chunks."""

from __future__ import annotations

import gzip
import io
import json
import os
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice, pairwise
from pathlib import Path
from typing import IO, cast
from urllib.parse import unquote_to_bytes

from assise.errors import SourceError
from assise.mongo.frames import LARGEST, SMALLEST, Document, Run, Stream, read_frames, read_stops

_ENDINGS = (".bson", ".bson.gz")
_SERVERS_OWN = {"admin", "config", "local"}
_READABLE = "Let this user read it, or copy it to a disk that is whole."

BUCKETS = "system.buckets."
"""Before the name of a time series: the collection that holds its data. Its metadata go by the name of the time series."""

SEARCHED_BYTES = 1 << 20
"""How far the beginning of a document is looked for behind a place in the middle of a file, at least."""

USUAL_HEAD = b"\x07_id\0"
"""Type and key of the first field of most documents: an ObjectId."""


@dataclass(frozen=True)
class Collection:
    """A collection of a dump: its name and its file, with the file's size in bytes (compressed as it is)."""

    name: str
    file: Path
    size: int

    @property
    def is_packed(self) -> bool:
        """Whether the file can only be read from its beginning."""
        return self.file.suffix == ".gz"


@dataclass(frozen=True)
class Dump:
    """The collections of one database, by name, and what was found beside them and is not read."""

    path: Path
    collections: tuple[Collection, ...]
    ignored: tuple[str, ...]

    def collection(self, name: str) -> Collection:
        """The collection of this name.

        Raises:
            SourceError: the dump has none.
        """
        for collection in self.collections:
            if collection.name == name:
                return collection
        raise SourceError(
            f"{self.path} holds no collection {name!r}, which the manifest has",
            remedy="Take its table out of the manifest, or name the dump that holds it.",
        )


@dataclass(frozen=True)
class Chunk:
    """Consecutive documents and runs of one collection: source bytes from `start` to `stop`, and the sha256 over them.

    Bounds depend on the source and on the size asked for alone. `position` is how far the file, packed as it may be, was read.
    """

    start: int
    stop: int
    digest: str
    documents: list[Document]
    runs: list[Run]
    position: int


def open_dump(path: Path) -> Dump:
    """The dump at `path`: a database's folder, a folder with one database's folder in it, or one file.

    Raises:
        SourceError: there is no dump, there is more than one database, or two files are one collection.
    """
    path = path.absolute()
    _check_text(str(path))
    try:
        if not path.exists():
            raise SourceError(
                f"{path} does not exist",
                remedy="Give a mongodump folder or a .bson or .bson.gz file.",
            )
        if path.is_dir():
            return _open_folder(path)
        if not path.name.endswith(_ENDINGS):
            raise SourceError(
                f"{path} is no .bson or .bson.gz file",
                remedy="Give a mongodump folder or a .bson or .bson.gz file.",
            )
        return Dump(path, (_collection(path),), ())
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}", remedy=_READABLE) from error


def _check_text(name: str) -> None:
    """Names go into the manifest and the ledger, which are UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(name).decode(errors="backslashreplace")
        raise SourceError(
            f"the name {shown} is not UTF-8", remedy="Rename the file or folder."
        ) from error


def _open_folder(path: Path) -> Dump:
    files = _bson_files(path)
    databases = sorted(
        folder for folder in path.iterdir() if folder.is_dir() and _bson_files(folder)
    )
    data = [file for file in files if file.name.split(".bson")[0] != "oplog"]
    if data or (files and not databases):
        return _database(path, files)
    users = [folder for folder in databases if folder.name not in _SERVERS_OWN] or databases
    if not users:
        raise SourceError(
            f"{path} holds no .bson files",
            remedy="Give the folder that mongodump wrote, such as dump/app.",
        )
    if len(users) > 1:
        names = ", ".join(folder.name for folder in users)
        raise SourceError(
            f"{path} holds {len(users)} databases: {names}",
            remedy=f"Name one of them: {path / users[0].name}",
        )
    folders = [
        entry.name + "/" for entry in sorted(path.iterdir()) if entry.is_dir() and entry != users[0]
    ]
    found = _open_folder(users[0])
    return Dump(path, found.collections, (*folders, *(file.name for file in files), *found.ignored))


def _bson_files(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.iterdir() if file.is_file() and file.name.endswith(_ENDINGS)
    )


def _database(path: Path, files: list[Path]) -> Dump:
    collections = sorted(
        (_collection(file) for file in files), key=lambda collection: collection.name
    )
    for one, other in pairwise(collections):
        if one.name == other.name:
            raise SourceError(
                f"{one.file.name} and {other.file.name} are both the collection {one.name!r}",
                remedy="Move one of them elsewhere.",
            )
    folders = sorted(entry.name + "/" for entry in path.iterdir() if entry.is_dir())
    alone = sorted(
        file
        for file in path.iterdir()
        if ".metadata.json" in file.name
        and _data_file(file) is None
        and not file.name.startswith("system.")
    )
    return Dump(path, tuple(collections), (*folders, *map(_describe_alone, alone)))


def _describe_alone(metadata: Path) -> str:
    """Metadata without data: of a view, or of a collection whose data are missing."""
    found = _parse_metadata(metadata.with_name(metadata.name.removesuffix(".gz")))
    options = found and found[1].get("options")
    is_view = isinstance(options, dict) and "viewOn" in options
    return metadata.name + ("" if is_view else " (its .bson is missing)")


def _data_file(metadata: Path) -> Path | None:
    stem = metadata.name.split(".metadata.json")[0]
    names = [prefix + stem + ending for prefix in ("", BUCKETS) for ending in _ENDINGS]
    return next((file for name in names if (file := metadata.with_name(name)).exists()), None)


def _collection(file: Path) -> Collection:
    _check_text(file.name)
    stem = file.name.removesuffix(".gz").removesuffix(".bson")
    name = _name_in_metadata(_metadata_file(file))
    try:
        name = name or unquote_to_bytes(stem).decode()
    except UnicodeDecodeError:
        name = stem
    if not name or "\0" in name:
        raise SourceError(f"the name of {file} is that of no collection", remedy="Rename the file.")
    return Collection(name, file, file.stat().st_size)


def read_metadata(collection: Collection) -> str | None:
    """What mongodump wrote of a collection's options and indexes, as JSON text; None where there is nothing that can be read."""
    file = _metadata_file(collection.file)
    found = _parse_metadata(file.with_name(file.name.removeprefix(BUCKETS))) or _parse_metadata(
        file
    )
    return found[0] if found else None


def _metadata_file(file: Path) -> Path:
    return file.with_name(file.name.removesuffix(".gz").removesuffix(".bson") + ".metadata.json")


def _parse_metadata(file: Path) -> tuple[str, dict[str, object]] | None:
    try:
        if file.exists():
            content = file.read_bytes()
        elif (packed := file.with_name(file.name + ".gz")).exists():
            content = gzip.decompress(packed.read_bytes())
        else:
            return None
        text = content.decode()
        parsed = json.loads(text)
    except (ValueError, OSError, EOFError, zlib.error, RecursionError):
        return None
    return (text, parsed) if isinstance(parsed, dict) and "\0" not in text else None


def _name_in_metadata(file: Path) -> str | None:
    """The full name of a collection: mongodump cuts long names in the file's name and keeps them here."""
    found = _parse_metadata(file)
    name = found[1].get("collectionName") if found else None
    return name if isinstance(name, str) and name else None


def read_chunks(collection: Collection, size: int) -> Iterator[Chunk]:
    """The chunks of a collection of at least `size` source bytes each; the last may be smaller.

    Raises:
        SourceError: the file cannot be read, or its gzip stream is broken; the remedy says how far it could be read.
    """
    read = 0
    with _open(collection, lambda: read) as stream:
        tell = cast(IO[bytes], stream.fileobj).tell if isinstance(stream, gzip.GzipFile) else None
        for chunk in _group(read_frames(stream), size, 0, tell):
            yield chunk
            read = chunk.stop


def find_bounds(collection: Collection, size: int) -> Iterator[tuple[int, int]]:
    """Where the chunks begin and end that `read_chunks` gives, in a fraction of its time.

    Raises:
        SourceError: the file cannot be read.
    """
    start = stop = 0
    with _open(collection, lambda: stop) as stream:
        for stop in read_stops(stream):
            if stop - start >= size:
                yield start, stop
                start = stop
    if start < stop:
        yield start, stop


def read_chunk(collection: Collection, start: int, stop: int) -> Chunk:
    """One chunk of a file that is not packed, by its bounds.

    Raises:
        SourceError: the file cannot be read, or has changed since the bounds were found.
    """
    with _open(collection, lambda: start) as stream:
        stream.seek(start)
        chunks = list(_group(read_frames(_Part(stream, stop - start), start), stop - start, start))
    if [(chunk.start, chunk.stop) for chunk in chunks] != [(start, stop)]:
        raise SourceError(
            f"{collection.file} has changed between bytes {start:,} and {stop:,} while it was read",
            remedy="Leave it as it is.",
        )
    return chunks[0]


def read_samples(
    collection: Collection, size: int, count: int
) -> Iterator[tuple[list[Document], float]]:
    """Documents of at least `size` source bytes from up to `count` places spread over a file, each time with the share of the source that they are.

    A small file is read whole, a packed one from its beginning on.

    Raises:
        SourceError: the file cannot be read.
    """
    read = 0
    with _open(collection, lambda: read) as stream:
        if isinstance(stream, gzip.GzipFile) or collection.size <= count * size:
            for chunk in islice(
                _group(read_frames(_Part(stream, LARGEST + count * size)), size, 0), count
            ):
                growth = (
                    stream.tell() / cast(IO[bytes], stream.fileobj).tell()
                    if isinstance(stream, gzip.GzipFile)
                    else 1
                )
                yield chunk.documents, (chunk.stop - chunk.start) / (collection.size * growth)
                read = chunk.stop
            return
        head, largest = USUAL_HEAD, 0
        for start in range(0, collection.size, -(-collection.size // count)):
            stream.seek(start)
            begin = (
                start + _find_document(stream.read(max(SEARCHED_BYTES, 2 * largest)), head)
                if start
                else 0
            )
            if begin < start:
                continue
            stream.seek(begin)
            chunks = _group(read_frames(_Part(stream, LARGEST + size), begin), size, begin)
            for chunk in islice((chunk for chunk in chunks if chunk.documents), 1):
                if start == 0:
                    first = chunk.documents[0][1]
                    head = first[4 : first.find(b"\0", 5) + 1]
                largest = max(largest, *(len(raw) for _, raw in chunk.documents))
                yield chunk.documents, (chunk.stop - chunk.start) / collection.size


def _find_document(data: bytes, head: bytes) -> int:
    """Where the first document of `data` begins that has this type and key in front, and so has the next one; -1 for none."""
    p = data.find(head, 4)
    while p >= 0 and not data.startswith(
        head, p + max(SMALLEST, int.from_bytes(data[p - 4 : p], "little"))
    ):
        p = data.find(head, p + 1)
    return max(p - 4, -1)


class _Part:
    """The next `size` bytes of a stream."""

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream, self._left = stream, size

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(min(size, self._left))
        self._left -= len(block)
        return block


@contextmanager
def _open(collection: Collection, read: Callable[[], int]) -> Iterator[gzip.GzipFile | io.FileIO]:
    """A collection's content; where it cannot be read any further, the error says how much of it was `read`."""
    file = collection.file
    try:
        with (
            gzip.GzipFile(file) if collection.is_packed else file.open("rb", buffering=0) as stream
        ):
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(
            f"{file} is a broken gzip stream: {error}",
            remedy=f"Its documents up to byte {read():,} could be read. Take the dump again, or unpack what there is to a .bson file.",
        ) from error
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {error.strerror}", remedy=_READABLE) from error


def _group(
    frames: Iterator[list[Document] | Run],
    size: int,
    start: int,
    tell: Callable[[], int] | None = None,
) -> Iterator[Chunk]:
    documents, runs, digest, stop = list[Document](), list[Run](), sha256(), start

    def end() -> Chunk:
        return Chunk(start, stop, digest.hexdigest(), documents, runs, tell() if tell else stop)

    for found in frames:
        p, count = 0, 1 if isinstance(found, Run) else len(found)
        while p < count:
            if isinstance(found, Run):
                runs.append(found)
                digest.update(found.digest)
                stop, p = found.offset + found.size, 1
            else:
                q = bisect_left(found, start + size, p, key=_end_of) + 1
                documents += found[p:q]
                digest.update(b"".join([raw for _, raw in found[p:q]]))
                stop, p = _end_of(documents[-1]), q
            if stop - start >= size:
                yield end()
                documents, runs, digest, start = [], [], sha256(), stop
    if start < stop:
        yield end()


def _end_of(document: Document) -> int:
    return document[0] + len(document[1])
