"""The collections of a mongodump folder, or of one `.bson` or `.bson.gz` file, with metadata."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from urllib.parse import unquote

import bson
from bson import json_util

from assise.documents.reader import SKIP
from assise.errors import SourceError, UsageError
from assise.mongo import bson_file
from assise.mongo.bson_file import BsonFile
from assise.mongo.chunks import Chunk
from assise.mongo.frames import LARGEST, SMALLEST
from assise.mongo.names import is_cut, unescape, whole_name
from assise.mongo.source import (
    BUCKETS,
    NO_OPTIONS,
    NOTHING,
    REMEDY_UNREADABLE,
    Collection,
    JsonObject,
    Piece,
    Sample,
    SourceOptions,
    Survey,
    choose_database,
)
from assise.wording import escape

_ENDINGS = (".bson", ".bson.gz")
_METADATA_ENDINGS = (".metadata.json", ".metadata.json.gz")
_PRELUDES = ("prelude.json", "prelude.json.gz")
_PRELUDE_KEYS = ("ServerVersion", "ToolVersion")
_GZIP = b"\x1f\x8b"
_HEAD_BYTES = 16 << 10


@dataclass(frozen=True)
class Dump:
    """The files of one database by the names of their collections; what is ignored, and notes."""

    path: Path
    files: tuple[BsonFile, ...]
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    database: str | None = None
    is_live = False

    @property
    def address(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def name(self) -> str:
        """The database, which is called like its folder, or the collection of the file."""
        is_file = self.path == self.files[0].path
        return self.database or (self.files[0].name if is_file else _stem(self.path))

    @cached_property
    def collections(self) -> tuple[Collection, ...]:
        """The collections by name; their sizes are those of the files."""
        return tuple(Collection(each.name, each.size, str(each.path)) for each in self.files)

    @cached_property
    def _by_name(self) -> dict[str, BsonFile]:
        return {file.name: file for file in self.files}

    def read_metadata(self, collection: str) -> str | None:
        """Return what mongodump wrote of a collection's options and indexes, as JSON text."""
        return read_metadata(self._by_name[collection])

    def prepare(
        self, collections: Sequence[str], size: int, known: Survey, *, is_check: bool = False
    ) -> Survey:
        """Find out nothing: BSON is read in one way."""
        del collections, size, known, is_check
        return NOTHING

    def list_chunks(
        self, collections: Sequence[str], size: int, *, is_read: bool
    ) -> Iterator[Piece]:
        """Yield the chunks of one collection after the other; those of packed files are read."""
        for name in collections:
            file, stop = self._by_name[name], 0
            if is_read or file.is_packed:
                for chunk in bson_file.read_chunks(file, size):
                    stop = chunk.stop
                    yield Piece(name, chunk.start, stop, chunk.position, chunk)
                yield Piece(name, stop, stop, file.size)
            else:
                yield from self.list_bounds([name], size)

    def list_bounds(self, collections: Sequence[str], size: int) -> Iterator[Piece]:
        """Yield the bounds of the chunks of one collection after the other."""
        for name in collections:
            file, stop = self._by_name[name], 0
            for start, stop in bson_file.find_bounds(file, size):
                yield Piece(name, start, stop, stop)
            yield Piece(name, stop, stop, file.size)

    def read_chunk(self, collection: str, start: int, stop: int) -> Chunk:
        """Read one chunk of a file that is not packed."""
        return bson_file.read_chunk(self._by_name[collection], start, stop)

    def read_samples(self, collection: str, size: int, count: int) -> Iterator[Sample]:
        """Read documents from places that are spread over the file."""
        return bson_file.read_samples(self._by_name[collection], size, count)

    def describe(self) -> JsonObject:
        """Name the files: they are not looked for again."""
        files = [[each.name, str(each.path), each.size, each.is_packed] for each in self.files]
        return {"kind": "dump", "path": str(self.path), "files": files}


def rebuild_dump(facts: JsonObject) -> Dump:
    """Return the dump that `Dump.describe` described."""
    files = [BsonFile(name, Path(path), *rest) for name, path, *rest in facts["files"]]
    return Dump(Path(facts["path"]), tuple(files))


def is_dump(path: Path) -> bool:
    """Say whether a path is a dump: files by their names or bytes, folders by their files.

    The files lie in the folder, or in folders of it.
    """
    if path.name.endswith(_ENDINGS) and not path.is_dir():
        return True
    with suppress(OSError):
        if path.is_dir():
            folders = [path, *filter(Path.is_dir, path.iterdir())]
            return any(map(_is_data, chain.from_iterable(map(Path.iterdir, folders))))
    with suppress(OSError, zlib.error), path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if head.startswith(_GZIP):
            head = zlib.decompressobj(wbits=31).decompress(head)
        length = int.from_bytes(head[:4], "little")
        is_framed = min(length, len(head)) >= SMALLEST and length <= LARGEST
        if is_framed and (length == SMALLEST or head[4] in SKIP):
            return length > len(head) or head[length - 1] == 0
    return False


def open_dump(path: Path, options: SourceOptions = NO_OPTIONS) -> Dump:
    """Open the dump at `path`: the folder of a database, the folder above one, or one file.

    Raises:
        SourceError: there is no dump, two files are one collection, or what should be the file of a
            collection cannot be read.
        UsageError: there is more than one database, or not the one that the options name.
    """
    path = path.absolute()
    options.check({"database"} if path.is_dir() else {}, f"{path} is a dump")
    try:
        if path.is_dir():
            return _open_folder(path, options)
        file = _make_file(path)
        options.select([file.name])
        return Dump(path, (file,), (), tuple(_list_notes([file])))
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror}", remedy=REMEDY_UNREADABLE
        ) from error


def check_text(name: str) -> None:
    """Refuse a name that is not UTF-8, as the manifest and the ledger are."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        message = f"the name {show_name(name)} is not UTF-8"
        raise SourceError(message, remedy="Rename the file or folder.") from error


def show_name(name: str) -> str:
    """Return a file's name on one line, also one that is not UTF-8."""
    return escape(os.fsencode(name).decode(errors="backslashreplace"))


def _open_folder(path: Path, options: SourceOptions) -> Dump:
    entries = sorted(path.iterdir())
    files = [entry for entry in entries if _is_data(entry)]
    if any(_stem(file) != "oplog" for file in files):
        return _open_database(path, entries, options)
    folders = [entry for entry in entries if entry.is_dir() and not _is_hidden(entry)]
    databases = [folder for folder in folders if any(map(_is_data, folder.iterdir()))]
    if files and not databases:
        return _open_database(path, entries, options)
    if not databases:
        raise SourceError(
            f"{path} holds no .bson or JSON files",
            remedy="Give the folder that mongodump wrote, such as dump/app, or one with JSON files.",
        )
    by_name = {folder.name: folder for folder in databases}
    folder = by_name[choose_database([*by_name], options, address=str(path))]
    told = _tell_preludes(entries)
    others = [entry for entry in entries if entry != folder and entry not in told]
    inner = _open_database(folder, sorted(folder.iterdir()), options)
    ignored = (*_list_ignored(others), *inner.ignored)
    notes = (*told.values(), *_note_oplog(entries), *inner.notes)
    return replace(inner, path=path, ignored=ignored, notes=notes, database=folder.name)


def _note_oplog(entries: list[Path]) -> list[str]:
    """Say what it means that the changes during a dump are not read."""
    logs = [entry.name for entry in entries if _is_data(entry) and _stem(entry) == "oplog"]
    meaning = "is not applied: each document is as it was when mongodump read it"
    return [f"{name} {meaning}" for name in logs]


def _tell_preludes(entries: list[Path]) -> dict[Path, str]:
    """Say what mongodump wrote of itself and its server, by the file; nothing of what is broken."""
    found = {}
    for entry in entries:
        parsed = _parse_metadata(entry) if entry.name in _PRELUDES else None
        server, tool = (parsed[1].get(key) for key in _PRELUDE_KEYS) if parsed else (None, None)
        if isinstance(server, str) and isinstance(tool, str):
            by = f", by mongodump {escape(tool)}" if tool else ""
            found[entry] = f"a dump of MongoDB {escape(server)}{by}"
    return found


def _is_hidden(entry: Path) -> bool:
    """Say whether others have put a file there, such as macOS its `._users.bson`.

    No collection's name begins with a dot.
    """
    return entry.name.startswith(".") and entry.name not in _ENDINGS


def _is_data(entry: Path) -> bool:
    return entry.name.endswith(_ENDINGS) and not _is_hidden(entry)


def _stem(file: Path) -> str:
    return file.name.removesuffix(".gz").removesuffix(".bson")


def _open_database(path: Path, entries: list[Path], options: SourceOptions) -> Dump:
    if options.database not in {None, path.name}:
        raise UsageError(
            f"{path} is the folder of one database, {path.name!r}, not of {options.database!r}",
            remedy=f"Give the folder of {options.database!r}, or the one above, or leave --db out.",
        )
    found = sorted(map(_make_file, filter(_is_data, entries)), key=lambda each: each.name)
    for one, other in pairwise(found):
        if one.name == other.name:
            raise SourceError(
                f"{one.path.name} and {other.path.name} are both the collection {one.name!r}",
                remedy="Move one of them elsewhere.",
            )
    files = [each for each in found if not is_servers_own(each.name)]
    told = _tell_preludes(entries)
    read = {*told, *(file.path for file in files)}
    ignored = _list_ignored([entry for entry in entries if entry not in read])
    if not files:
        raise SourceError(
            f"{path} holds only collections of MongoDB's own: {', '.join(ignored)}",
            remedy="Name a file to read it all the same, or give the folder of another database.",
        )
    selected = set(options.select([file.name for file in files]))
    chosen = tuple(file for file in files if file.name in selected)
    return Dump(path, chosen, tuple(ignored), (*told.values(), *_list_notes(files)))


def is_servers_own(name: str) -> bool:
    return name.removeprefix("$admin.").startswith("system.") and not name.startswith(BUCKETS)


def _list_ignored(entries: list[Path]) -> list[str]:
    """Name what is not read: folders, then files."""
    folders = [show_name(entry.name) + "/" for entry in entries if entry.is_dir()]
    files = [_describe_file(entry) for entry in entries if not entry.is_dir()]
    return folders + [described for described in files if described]


def _describe_file(file: Path) -> str:
    """Describe a file that holds no documents of a collection; nothing for metadata that belong."""
    shown = show_name(file.name)
    if _is_hidden(file):
        return shown
    if _is_data(file):
        views = _list_views(file) if _stem(file) == "system.views" else []
        return f"{shown} ({'; '.join(views)})" if views else shown
    if not file.name.endswith(_METADATA_ENDINGS):
        return shown
    if _data_file(file) is not None:
        return ""
    found = _parse_metadata(file.with_name(file.name.removesuffix(".gz")))
    options = found and found[1].get("options")
    if isinstance(options, dict) and "viewOn" in options:
        return f"{shown} ({describe_view(options)})"
    is_own = file.name.startswith("system.")
    return shown if is_own else f"{shown} (its .bson is missing)"


def describe_view(view: Mapping[str, object]) -> str:
    return f"view on {view['viewOn']}: {json_util.dumps(view.get('pipeline', []))}"


def _list_views(file: Path) -> list[str]:
    """List the views of a database; nothing where the file cannot be read."""
    try:
        content = file.read_bytes()
        content = gzip.decompress(content) if content.startswith(_GZIP) else content
        views = bson.decode_all(content)
        return [f"{view['_id']}, {describe_view(view)}" for view in views]
    except (OSError, EOFError, zlib.error, bson.errors.BSONError, KeyError):
        return []


def _data_file(metadata: Path) -> Path | None:
    stem = metadata.name.split(".metadata.json")[0]
    names = [prefix + stem + ending for prefix in ("", BUCKETS) for ending in _ENDINGS]
    files = map(metadata.with_name, names)
    return next(filter(Path.exists, files), None)


def _make_file(file: Path) -> BsonFile:
    check_text(file.name)
    check_file(file)
    stem = _stem(file)
    given = _name_in_metadata(_metadata_file(file))
    name = whole_name(stem, given) if given else unescape(stem)
    if not name or "\0" in name:
        raise SourceError(
            f"the name of {file} is not that of a collection", remedy="Rename the file."
        )
    try:
        size = file.stat().st_size
        return BsonFile(name, file, size, _is_gzip(file, size))
    except OSError as error:
        raise SourceError(
            f"{file} cannot be read: {error.strerror}", remedy=REMEDY_UNREADABLE
        ) from error


def check_file(file: Path) -> None:
    """Refuse what has the name of a collection's file and is no file."""
    if file.is_file():
        return
    what = "is a folder" if file.is_dir() else "is not a regular file"
    if not file.exists():
        what = "is a link to a file that is missing"
    raise SourceError(
        f"{file} {what}, so that its collection cannot be read",
        remedy="Put the file there, or move the name elsewhere to do without the collection.",
    )


def _is_gzip(file: Path, size: int) -> bool:
    """Say whether a file is a gzip stream: by its first bytes, whatever its ending.

    One document in 65,536 begins with the mark of gzip, as its length: unpacking tells.
    """
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
        if not head.startswith(_GZIP):
            length = int.from_bytes(head[:4], "little")
            stream.seek(max(length - 1, 0))
            is_document = SMALLEST <= length <= size and stream.read(1) == b"\0"
            return file.name.endswith(".gz") and not is_document
    if file.name.endswith(".gz"):
        return True
    try:
        zlib.decompressobj(wbits=31).decompress(head)
    except zlib.error:
        return False
    return True


def _list_notes(files: list[BsonFile]) -> Iterator[str]:
    """Tell which files are read as a collection that their name does not name, or hold JSON."""
    for each in files:
        stem = _stem(each.path)
        if bson_file.is_json(each):
            name, packed = show_name(each.path.name), ".gz" if each.is_packed else ""
            yield f"{name} begins like JSON, not BSON: name it {escape(stem)}.json{packed}"
        if each.name not in {unescape(stem), unquote(stem)} and not is_cut(stem):
            metadata = show_name(_metadata_file(each.path).name)
            yield (
                f"{show_name(each.path.name)} is read as the collection {escape(each.name)},"
                f" as {metadata} says"
            )


def read_metadata(file: BsonFile) -> str | None:
    """Return what mongodump wrote of a collection's options and indexes, as JSON text.

    None when there is nothing that can be read.
    """
    metadata = _metadata_file(file.path)
    time_series = metadata.with_name(metadata.name.removeprefix(BUCKETS))
    found = _parse_metadata(time_series) or _parse_metadata(metadata)
    return found[0] if found else None


def _metadata_file(file: Path) -> Path:
    return file.with_name(f"{_stem(file)}.metadata.json")


def _parse_metadata(file: Path) -> tuple[str, dict[str, object]] | None:
    try:
        if not file.exists():
            file = file.with_name(file.name + ".gz")
        content = file.read_bytes()
        text = (gzip.decompress(content) if content.startswith(_GZIP) else content).decode()
        parsed = json.loads(text)
    except (ValueError, OSError, EOFError, zlib.error, RecursionError):
        return None
    return (text, parsed) if isinstance(parsed, dict) and "\0" not in text else None


def _name_in_metadata(file: Path) -> str | None:
    """Return the full name of a collection, which mongodump may cut in the name of the file."""
    found = _parse_metadata(file)
    name = found[1].get("collectionName") if found else None
    return name if isinstance(name, str) and name else None
