"""The collections of a mongodump folder, or of one `.bson` or `.bson.gz` file, with metadata."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote_to_bytes

from assise.errors import SourceError

REMEDY_UNREADABLE = "Let this user read it, or copy it to a disk without errors."

_ENDINGS = (".bson", ".bson.gz")
_SERVERS_OWN = {"admin", "config", "local"}

BUCKETS = "system.buckets."
"""The prefix of a collection that holds the data of a time series.

Its metadata file has the name of the time series itself.
"""


@dataclass(frozen=True)
class Collection:
    """A collection of a dump: its name, its file, and the size of the file in bytes."""

    name: str
    file: Path
    size: int

    @property
    def is_packed(self) -> bool:
        """Whether the file can only be read from its beginning."""
        return self.file.suffix == ".gz"


@dataclass(frozen=True)
class Dump:
    """The collections of one database by name, and the ignored files and folders."""

    path: Path
    collections: tuple[Collection, ...]
    ignored: tuple[str, ...]

    def collection(self, name: str) -> Collection:
        """Return the collection of this name.

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


def open_dump(path: Path) -> Dump:
    """Open the dump at `path`: the folder of a database, the folder above one, or one file.

    Raises:
        SourceError: there is no dump or more than one database, or two files are one collection.
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
                f"{path} is not a .bson or .bson.gz file",
                remedy="Give a mongodump folder or a .bson or .bson.gz file.",
            )
        return Dump(path, (_collection(path),), ())
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror}", remedy=REMEDY_UNREADABLE
        ) from error


def _check_text(name: str) -> None:
    """Refuse a name that is not UTF-8, as the manifest and the ledger are."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(name).decode(errors="backslashreplace")
        message = f"the name {shown} is not UTF-8"
        raise SourceError(message, remedy="Rename the file or folder.") from error


def _open_folder(path: Path) -> Dump:
    files = _bson_files(path)
    folders = _folders(path)
    databases = [folder for folder in folders if _bson_files(folder)]
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
    ignored = [folder.name + "/" for folder in folders if folder != users[0]]
    ignored += [file.name for file in files]
    inner = _open_folder(users[0])
    return Dump(path, inner.collections, (*ignored, *inner.ignored))


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir())


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
    ignored = [folder.name + "/" for folder in _folders(path)]
    for file in sorted(path.iterdir()):
        is_metadata = ".metadata.json" in file.name and not file.name.startswith("system.")
        if is_metadata and _data_file(file) is None:
            ignored.append(_describe_metadata(file))
    return Dump(path, tuple(collections), tuple(ignored))


def _describe_metadata(file: Path) -> str:
    """Describe metadata without data: of a view, or of a collection whose data are missing."""
    found = _parse_metadata(file.with_name(file.name.removesuffix(".gz")))
    options = found and found[1].get("options")
    is_view = isinstance(options, dict) and "viewOn" in options
    return file.name if is_view else f"{file.name} (its .bson is missing)"


def _data_file(metadata: Path) -> Path | None:
    stem = metadata.name.split(".metadata.json")[0]
    names = [prefix + stem + ending for prefix in ("", BUCKETS) for ending in _ENDINGS]
    files = map(metadata.with_name, names)
    return next(filter(Path.exists, files), None)


def _collection(file: Path) -> Collection:
    _check_text(file.name)
    stem = file.name.removesuffix(".gz").removesuffix(".bson")
    name = _name_in_metadata(_metadata_file(file))
    try:
        name = name or unquote_to_bytes(stem).decode()
    except UnicodeDecodeError:
        name = stem
    if not name or "\0" in name:
        raise SourceError(
            f"the name of {file} is not that of a collection", remedy="Rename the file."
        )
    return Collection(name, file, file.stat().st_size)


def read_metadata(collection: Collection) -> str | None:
    """Return what mongodump wrote of a collection's options and indexes, as JSON text.

    None when there is nothing that can be read.
    """
    file = _metadata_file(collection.file)
    time_series = file.with_name(file.name.removeprefix(BUCKETS))
    found = _parse_metadata(time_series) or _parse_metadata(file)
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
    """Return the full name of a collection, which mongodump may cut in the name of the file."""
    found = _parse_metadata(file)
    name = found[1].get("collectionName") if found else None
    return name if isinstance(name, str) and name else None
