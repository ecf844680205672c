"""A mongodump folder, or one `.bson` or `.bson.gz` file, as collections that are read in chunks."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote_to_bytes

from assise.errors import SourceError
from assise.mongo.frames import Frame, read_frames

_ENDINGS = (".bson", ".bson.gz")
_SERVERS_OWN = {"admin", "config", "local"}


@dataclass(frozen=True)
class Collection:
    """A collection of a dump: its name and its file, with the file's size in bytes (compressed as it is)."""

    name: str
    file: Path
    size: int


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
    """Consecutive frames of one collection: source bytes from `start` to `stop`, and the sha256 over them.

    Bounds depend on the source and on the size asked for alone.
    """

    start: int
    stop: int
    digest: str
    frames: tuple[Frame, ...]


def open_dump(path: Path) -> Dump:
    """The dump at `path`: a database's folder, a folder with one database's folder in it, or one file.

    Raises:
        SourceError: there is no dump, there is more than one database, or two files are one collection.
    """
    path = path.absolute()
    _check_text(str(path))
    try:
        if not path.exists():
            raise SourceError(f"{path} does not exist", remedy="Give a mongodump folder or a .bson or .bson.gz file.")
        return _open_folder(path) if path.is_dir() else _open_file(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def _check_text(name: str) -> None:
    """Names go into the manifest and the ledger, which are UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(name).decode(errors="backslashreplace")
        raise SourceError(f"the name {shown} is not UTF-8", remedy="Rename the file or folder.") from error


def _open_file(path: Path) -> Dump:
    if not path.name.endswith(_ENDINGS):
        raise SourceError(f"{path} is no .bson or .bson.gz file", remedy="Give a mongodump folder or a .bson or .bson.gz file.")
    return Dump(path, (_collection(path),), ())


def _open_folder(path: Path) -> Dump:
    files = sorted(file for file in path.iterdir() if file.is_file() and file.name.endswith(_ENDINGS))
    databases = sorted(folder for folder in path.iterdir() if folder.is_dir() and _has_collections(folder))
    data = [file for file in files if file.name.split(".bson")[0] != "oplog"]
    if data or (files and not databases):
        return _database(path, files)
    users = [folder for folder in databases if folder.name not in _SERVERS_OWN] or databases
    if not users:
        raise SourceError(f"{path} holds no .bson files", remedy="Give the folder that mongodump wrote, such as dump/app.")
    if len(users) > 1:
        names = ", ".join(folder.name for folder in users)
        raise SourceError(f"{path} holds {len(users)} databases: {names}", remedy=f"Name one of them: {path / users[0].name}")
    folders = [entry.name + "/" for entry in sorted(path.iterdir()) if entry.is_dir() and entry != users[0]]
    found = _open_folder(users[0])
    return Dump(path, found.collections, (*folders, *(file.name for file in files), *found.ignored))


def _has_collections(folder: Path) -> bool:
    return any(file.is_file() and file.name.endswith(_ENDINGS) for file in folder.iterdir())


def _database(path: Path, files: list[Path]) -> Dump:
    collections = sorted((_collection(file) for file in files), key=lambda collection: collection.name)
    for one, other in pairwise(collections):
        if one.name == other.name:
            raise SourceError(f"{one.file.name} and {other.file.name} are both the collection {one.name!r}", remedy="Move one of them elsewhere.")
    folders = sorted(entry.name + "/" for entry in path.iterdir() if entry.is_dir())
    views = sorted(file.name for file in path.iterdir() if ".metadata.json" in file.name and _data_file(file) is None and "system." not in file.name)
    return Dump(path, tuple(collections), (*folders, *views))


def _data_file(metadata: Path) -> Path | None:
    stem = metadata.name.split(".metadata.json")[0]
    return next((file for ending in _ENDINGS if (file := metadata.with_name(stem + ending)).exists()), None)


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
    found = _parse_metadata(_metadata_file(collection.file))
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


def read_chunks(collection: Collection, size: int, start: int = 0) -> Iterator[Chunk]:
    """The chunks of a collection of at least `size` source bytes each (the last may be smaller), from offset `start` on.

    Raises:
        SourceError: the file cannot be read, or its gzip stream is broken; the remedy says how far it could be read.
    """
    read = start
    try:
        with _open(collection.file) as stream:
            _skip(stream, start, is_packed=collection.file.suffix == ".gz")
            for chunk in _group(read_frames(stream, start), size, start):
                yield chunk
                read = chunk.stop
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(
            f"{collection.file} is a broken gzip stream: {error}",
            remedy=f"The first {read:,} bytes of its content could be read. Take the dump again, or unpack what there is to a .bson file.",
        ) from error
    except OSError as error:
        raise SourceError(f"{collection.file} cannot be read: {error.strerror}") from error


def _open(file: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(file)) if file.suffix == ".gz" else file.open("rb", buffering=0)


def _skip(stream: BinaryIO, size: int, *, is_packed: bool) -> None:
    if not is_packed:
        stream.seek(size)
        return
    while size > 0 and (block := stream.read(min(size, 1 << 20))):
        size -= len(block)


def _group(frames: Iterator[Frame], size: int, start: int) -> Iterator[Chunk]:
    group: list[Frame] = []
    digest = sha256()
    for frame in frames:
        group.append(frame)
        digest.update(frame.raw if frame.is_document else frame.digest)
        stop = frame.offset + frame.size
        if stop - start >= size:
            yield Chunk(start, stop, digest.hexdigest(), tuple(group))
            group, start, digest = [], stop, sha256()
    if group:
        yield Chunk(start, group[-1].offset + group[-1].size, digest.hexdigest(), tuple(group))
