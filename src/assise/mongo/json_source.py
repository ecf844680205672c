"""Files of Extended JSON as a source: one file, or a folder of them."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from assise.documents.dialects.rules import Version
from assise.errors import SourceError, UsageError
from assise.mongo.chunks import Chunk
from assise.mongo.dump import check_file, check_text, show_name
from assise.mongo.json_file import JsonFile, JsonForm, Reader, survey_file
from assise.mongo.source import (
    NO_OPTIONS,
    REMEDY_UNREADABLE,
    Collection,
    JsonObject,
    Piece,
    Sample,
    SourceOptions,
    Survey,
)
from assise.wording import escape

ENDINGS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
METADATA_ENDINGS = (".metadata.json", ".metadata.json.gz", "prelude.json", "prelude.json.gz")
_DUMPED = [(depth, gz) for depth in ("", "*/") for gz in ("", ".gz")]
_GZIP = b"\x1f\x8b"
_HEAD_BYTES = 16 << 10
_BEFORE = b"\xef\xbb\xbf \t\r\n"


@dataclass
class JsonSource:
    """Files of JSON by the names of their collections; what is ignored, and notes.

    `zone` is the name of the zone of dates that have none.
    """

    path: Path
    files: tuple[JsonFile, ...]
    ignored: tuple[str, ...] = ()
    zone: str | None = None
    notes: list[str] = field(default_factory=list)
    is_live = False

    def __post_init__(self) -> None:
        self._findings: dict[str, JsonForm] = {}
        self._readers: dict[str, Reader] = {}
        self._is_check = False

    @property
    def address(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def name(self) -> str:
        """The name of the folder, or that of the file without its ending."""
        return stem(self.path)

    @cached_property
    def collections(self) -> tuple[Collection, ...]:
        """The collections by name; their sizes are those of the files."""
        return tuple(Collection(each.name, each.size, str(each.path)) for each in self.files)

    @cached_property
    def _by_name(self) -> dict[str, JsonFile]:
        return {file.name: file for file in self.files}

    def read_metadata(self, collection: str) -> str | None:
        """Return None: JSON has neither options nor indexes."""
        del collection
        return None

    def prepare(
        self, collections: Sequence[str], size: int, known: Survey, *, is_check: bool = False
    ) -> Survey:
        """Find out the dialect of each file, which is read once for that."""
        del size
        for name in collections:
            if name in known:
                self._findings[name] = JsonForm.from_json(known[name])
            elif name not in self._findings:
                self._findings[name] = survey_file(self._by_name[name])
                self.notes += self._list_notes(name)
        self._is_check = is_check
        self._readers.clear()
        return {name: self._findings[name].as_json() for name in collections}

    def _list_notes(self, name: str) -> Iterator[str]:
        signs = self._findings[name].signs
        if len(signs) == len(Version):
            (old_at, old), (new_at, new) = signs[Version.V1], signs[Version.V2]
            yield (
                f"{escape(name)}: words of two versions of Extended JSON, {new} of version 2 at byte"
                f" {new_at:,} and {old} of version 1 at byte {old_at:,}: it is read as version 2."
                " Split the file where they meet."
            )

    def _reader(self, name: str) -> Reader:
        if name not in self._readers:
            zone = find_zone(self.zone)
            file, findings = self._by_name[name], self._findings[name]
            self._readers[name] = Reader(file, findings, zone, is_check=self._is_check)
        return self._readers[name]

    def list_chunks(
        self, collections: Sequence[str], size: int, *, is_read: bool
    ) -> Iterator[Piece]:
        """Yield the chunks of one collection after the other; those of packed files are read."""
        for name in collections:
            reader, stop = self._reader(name), 0
            if is_read or self._by_name[name].is_packed:
                for chunk in reader.read_chunks(size):
                    stop = chunk.stop
                    yield Piece(name, chunk.start, stop, chunk.position, chunk)
                yield self._end(name, stop)
            else:
                yield from self.list_bounds([name], size)

    def list_bounds(self, collections: Sequence[str], size: int) -> Iterator[Piece]:
        """Yield the bounds of the chunks of one collection after the other."""
        for name in collections:
            stop = 0
            for start, stop in self._reader(name).find_bounds(size):
                yield Piece(name, start, stop, stop)
            yield self._end(name, stop)

    def _end(self, name: str, stop: int) -> Piece:
        problems = []
        if self._reader(name).is_cut:
            problems.append(f"the array of {escape(name)} has no end: the file is cut")
        size = self._by_name[name].size
        return Piece(name, stop, stop, size, problems=tuple(problems))

    def read_chunk(self, collection: str, start: int, stop: int) -> Chunk:
        """Read one chunk of a file that is not packed."""
        return self._reader(collection).read_chunk(start, stop)

    def read_samples(self, collection: str, size: int, count: int) -> Iterator[Sample]:
        """Read documents from places that are spread over the file."""
        return self._reader(collection).read_samples(size, count)

    def describe(self) -> JsonObject:
        """Name the files, and how each is read."""
        return {
            "kind": "json",
            "path": str(self.path),
            "files": [
                [each.name, str(each.path), each.size, each.is_packed] for each in self.files
            ],
            "zone": self.zone,
            "findings": {name: each.as_json() for name, each in self._findings.items()},
            "is_check": self._is_check,
        }


def rebuild_json(facts: JsonObject) -> JsonSource:
    """Return the source that `JsonSource.describe` described."""
    files = [JsonFile(name, Path(path), *rest) for name, path, *rest in facts["files"]]
    source = JsonSource(Path(facts["path"]), tuple(files), zone=facts["zone"])
    source.prepare([*facts["findings"]], 0, facts["findings"], is_check=facts["is_check"])
    return source


def is_json(path: Path) -> bool:
    """Say whether a file is JSON, by its name or its first bytes; or a folder, by names alone.

    A folder with the files of a dump in it, or in a folder inside, is a dump.
    """
    if path.name.endswith(ENDINGS) and not path.is_dir():
        return True
    with suppress(OSError, zlib.error):
        if not path.is_dir():
            return path.is_file() and _read_head(path).lstrip(_BEFORE).startswith((b"{", b"["))
        dumped = chain.from_iterable(path.glob(f"{depth}*.bson{gz}") for depth, gz in _DUMPED)
        return any(map(_is_data, path.iterdir())) and next(dumped, None) is None
    return False


def open_json(path: Path, options: SourceOptions = NO_OPTIONS) -> JsonSource:
    """Open a file of JSON, or the files of a folder.

    Raises:
        SourceError: a file cannot be read, or two are one collection. UsageError: no such zone,
            or options that JSON has no use for.
    """
    path = path.absolute()
    check_text(str(path))
    find_zone(options.zone)
    options.check({"zone"}, f"{path} is JSON")
    try:
        entries = sorted(path.iterdir()) if path.is_dir() else [path]
        data = [path] if entries == [path] else [each for each in entries if _is_data(each)]
        files = sorted(map(_make_file, data), key=_name)
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror}", remedy=REMEDY_UNREADABLE
        ) from error
    for one, other in pairwise(files):
        if one.name == other.name:
            raise SourceError(
                f"{one.path.name} and {other.path.name} are both the collection {one.name!r}",
                remedy="Move one of them elsewhere.",
            )
    ignored = [
        show_name(each.name) + os.sep * each.is_dir() for each in entries if each not in data
    ]
    selected = set(options.select([file.name for file in files]))
    chosen = tuple(file for file in files if file.name in selected)
    return JsonSource(path, chosen, tuple(ignored), options.zone)


def find_zone(name: str | None) -> ZoneInfo | None:
    """Return a time zone by its name.

    Raises:
        UsageError: there is none of this name.
    """
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"no time zone has the name {escape(name)!r}",
            remedy="Give a name of the IANA database: --zone Europe/Paris.",
        ) from error


def stem(path: Path) -> str:
    """Return the name of a file without the endings that say that it is JSON."""
    name = path.name.removesuffix(".gz")
    for ending in (".json", ".jsonl", ".ndjson", ".txt"):
        name = name.removesuffix(ending)
    return name


def _name(file: JsonFile) -> str:
    return file.name


def _is_data(entry: Path) -> bool:
    name = entry.name
    return name.endswith(ENDINGS) and not name.endswith(METADATA_ENDINGS) and name[0] != "."


def _make_file(path: Path) -> JsonFile:
    check_text(path.name)
    check_file(path)
    if not stem(path):
        message = f"the name of {path} is not that of a collection"
        raise SourceError(message, remedy="Rename the file.")
    with path.open("rb") as stream:
        is_packed = stream.read(len(_GZIP)) == _GZIP
    return JsonFile(stem(path), path, path.stat().st_size, is_packed)


def _read_head(path: Path) -> bytes:
    """Read the first bytes of the content of a file that may be packed."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    return zlib.decompressobj(wbits=31).decompress(head) if head.startswith(_GZIP) else head
