"""One file of Extended JSON: its shape and its dialect, its chunks, and samples of it."""

from __future__ import annotations

import gzip
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self
from zoneinfo import ZoneInfo

from assise.documents.dialects.exact import read_exactly
from assise.documents.dialects.fast import read_document, read_plainly
from assise.documents.dialects.rules import Rules, Version
from assise.documents.reread.reader import read_again
from assise.errors import ExtendedJsonError
from assise.mongo.chunks import Chunk
from assise.mongo.frames import OpenRun, Run, Stream
from assise.mongo.gzip_stream import Content, GzipStream, open_content, packed_file
from assise.mongo.json_text import (
    BLOCK,
    BORDER,
    LARGEST_TEXT,
    MOST_TEXTS,
    WITHIN,
    Text,
    TextReader,
    TextShape,
    find_shape,
)
from assise.mongo.source import Sample
from assise.native import find_native
from assise.rows.model import Document

_SPACE = b" \t\r\n"
_COLON = rb"[\"']?[ \t\r\n]*+:[ \t\r\n]*+"
_SIGNS = {
    Version.V1: re.compile(rb"\$(?:regex|uuid|binary%b[\"']|date%b-?[0-9])" % (_COLON, _COLON)),
    Version.V2: re.compile(
        rb"\$(?:numberInt|numberDouble|regularExpression|dbPointer|uuid|binary%b\{)" % _COLON
    ),
}
"""Where a word may stand that only one dialect has; the document is then read to be sure."""


_HASHED_AT_ONCE = 64
_WORD_BYTES = 64
"""Bytes of what `_SIGNS` finds, at most, unless there is much white space in it."""


@dataclass(frozen=True)
class JsonFile:
    """The file of a collection, and its size in bytes; a packed one is a gzip stream."""

    name: str
    path: Path
    size: int
    is_packed: bool = False


@dataclass(frozen=True)
class JsonForm:
    """How a file is read: how its documents stand, and its dialect.

    `signs` are offsets of documents with a word that only one dialect has, and that word. With
    `is_native` the crate reads what it can for the load, and another reader for the check.
    """

    shape: TextShape
    dialect: Version
    signs: dict[Version, tuple[int, str]]
    is_native: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        signs = {dialect.value: place for dialect, place in self.signs.items()}
        return {
            "shape": self.shape.as_json(),
            "dialect": self.dialect.value,
            "signs": signs,
            "is_native": self.is_native,
        }

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Self:
        """Return the findings that `as_json` described."""
        signs = {Version(key): (place, word) for key, (place, word) in facts["signs"].items()}
        shape, dialect = TextShape.from_json(facts["shape"]), Version(facts["dialect"])
        return cls(shape, dialect, signs, facts.get("is_native", False))


def survey_file(file: JsonFile) -> JsonForm:
    """Read a whole file once, to find its shape and its dialect.

    Raises:
        SourceError: the file cannot be read, or is UTF-16.
    """
    with _open(file) as stream:
        shape = find_shape(stream, str(file.path))
    signs: dict[Version, tuple[int, str]] = {}
    possible = _find_possible(file)
    with _open(file) as stream:
        stream.seek(shape.start)
        for texts in TextReader(stream, shape.start, shape).read() if possible else ():
            if not isinstance(texts, Run):
                _find_signs(texts, signs)
            if possible == signs.keys():
                break
    dialect = Version.V1 if [*signs] == [Version.V1] else Version.V2
    return JsonForm(shape, dialect, signs, find_native() is not None)


def _find_possible(file: JsonFile) -> set[Version]:
    """Return the dialects whose words stand somewhere in a file, be it within a string."""
    missing, kept = dict(_SIGNS), b""
    with _open(file) as stream:
        while missing and (block := stream.read(BLOCK)):
            data = kept + block
            missing = {key: each for key, each in missing.items() if not each.search(data)}
            kept = data[-_WORD_BYTES:]
    return _SIGNS.keys() - missing.keys()


def _find_signs(texts: list[Text], signs: dict[Version, tuple[int, str]]) -> None:
    missing = [_SIGNS[dialect] for dialect in Version if dialect not in signs]
    for offset, text in texts:
        if b"$" in text and any(pattern.search(text) for pattern in missing):
            # Version 1 reads the words of both.
            rules = Rules(Version.V1)
            _read_text(offset, text, partial(read_exactly, rules=rules))
            for dialect, word in rules.signs.items():
                signs.setdefault(dialect, (offset, word))
            missing = [_SIGNS[dialect] for dialect in Version if dialect not in signs]


class _Part(NamedTuple):
    """Texts and runs between two offsets, and how far the file was read for them."""

    start: int
    stop: int
    texts: list[Text]
    runs: list[Run]
    position: int


class Reader:
    """Reads the documents of a file by what was found out about it.

    `zone` is that of dates without one. With `is_check` the second reader reads them. `is_cut` says,
    after all chunks, that the file is an array without an end.
    """

    def __init__(
        self, file: JsonFile, findings: JsonForm, zone: ZoneInfo | None, *, is_check: bool
    ) -> None:
        self._file, self._shape = file, findings.shape
        self._dialect, self._zone, self._is_check = findings.dialect, zone, is_check
        self._is_native = findings.is_native
        self.is_cut = False

    def read_chunks(self, size: int) -> Iterator[Chunk]:
        """Read the chunks of at least `size` source bytes; the last may be smaller.

        Raises:
            SourceError: the file cannot be read.
        """
        if self._has_lines:
            for start, stop in self._find_lines(size):
                yield self.read_chunk(start, stop)
        else:
            yield from map(self._read, self._cut(size))

    def find_bounds(self, size: int) -> Iterator[tuple[int, int]]:
        """Find where the chunks of `read_chunks` begin and end, without reading their values.

        Raises:
            SourceError: the file cannot be read.
        """
        if self._has_lines:
            yield from self._find_lines(size)
        else:
            yield from ((part.start, part.stop) for part in self._cut(size))

    @property
    def _has_lines(self) -> bool:
        return self._shape.is_lines and not self._file.is_packed

    def _find_lines(self, size: int) -> Iterator[tuple[int, int]]:
        """Find the bounds of chunks where documents begin at lines: nothing between is read."""
        start = 0
        with _open(self._file) as stream:
            while (stop := self._find_line(stream, start + size)) != start:
                if stop - start > LARGEST_TEXT or _may_be_many(stream, start, stop):
                    # Documents follow each other without an end of line, or are very short.
                    stop = next(self._cut(size, start, self._shape.as_frames())).stop
                yield start, stop
                start = stop

    def _find_line(self, stream: Content, least: int) -> int:
        """Find the first line at `least` or later that begins a document; or the end, or too far."""
        begin = max(0, least - len("}\r\n"))
        if begin >= stream.seek(0, os.SEEK_END):
            return stream.tell()
        stream.seek(begin)
        data = b""
        while begin < least + LARGEST_TEXT and (block := stream.read(BLOCK)):
            data += block
            for border in BORDER.finditer(data):
                if begin + border.end() >= least:
                    return begin + border.end()
            kept = data[-len("}\r\n") :]
            begin, data = begin + len(data) - len(kept), kept
        return begin + len(data)

    def read_chunk(self, start: int, stop: int) -> Chunk:
        """Read one chunk of a file that is not packed, by its bounds.

        Raises:
            SourceError: the file cannot be read.
        """
        begin = max(start, self._shape.start)
        with _open(self._file) as stream:
            stream.seek(begin)
            reader = TextReader(_Limited(stream, stop - begin), begin, self._shape)
            texts, runs = list[Text](), list[Run]()
            for item in reader.read():
                if isinstance(item, Run):
                    runs.append(item)
                else:
                    texts += item
        return self._read(_Part(start, stop, texts, runs, stop))

    def read_samples(self, size: int, count: int) -> Iterator[Sample]:
        """Read documents of about `size` source bytes from up to `count` places of the file.

        Raises:
            SourceError: the file cannot be read.
        """
        if self._file.is_packed or self._file.size <= count * size:
            for part in islice(self._cut(size), count):
                growth = part.stop / part.position
                share = (part.stop - part.start) / (self._file.size * growth)
                yield self._read(part).documents, share
            return
        yield from self._read_spread(size, count)

    def _read_spread(self, size: int, count: int) -> Iterator[Sample]:
        total = self._file.size
        head = self._shape.head.encode("latin-1")
        for begin in range(0, total, -(-total // count)):
            start = max(begin, self._shape.start)
            with _open(self._file) as stream:
                stream.seek(start)
                data = stream.read(2 * size)
            if begin:
                found = data.find(head)
                data = data[found + head.index(b"{") :] if found >= 0 else b""
            # The last text is cut.
            reader = TextReader(io.BytesIO(data), start, self._shape)
            texts = [each for item in reader.read() if not isinstance(item, Run) for each in item]
            part = _Part(start, start + len(data), texts[:-1], [], start)
            documents = self._read(part).documents
            read = sum(len(text) for _, text in part.texts)
            if documents:
                yield documents, read / total

    def _cut(self, size: int, start: int = 0, shape: TextShape | None = None) -> Iterator[_Part]:
        """Cut the file into parts of at least `size` bytes; each begins with a text or a run.

        A part that has very many of them is smaller.
        """
        shape = shape or self._shape
        texts, runs = list[Text](), list[Run]()
        with _open(self._file) as stream:
            tell = partial(_position, stream)
            begin = max(start, shape.start)
            stream.seek(begin)
            reader = TextReader(stream, begin, shape)
            for offset, item in _one_by_one(reader.read()):
                is_full = len(texts) + len(runs) == MOST_TEXTS
                if is_full or (offset - start >= size and (texts or runs)):
                    yield _Part(start, offset, texts, runs, tell(offset))
                    start, texts, runs = offset, [], []
                if isinstance(item, Run):
                    runs.append(item)
                else:
                    texts.append(item)
            stop = reader.offset
            ends_broken = bool(runs) and runs[-1].offset + runs[-1].size == stop
            self.is_cut = reader.is_cut and not ends_broken
            if start < stop:
                yield _Part(start, stop, texts, runs, tell(stop))

    def _read(self, part: _Part) -> Chunk:
        rules = Rules(self._dialect, self._zone)
        documents, runs = list[Document](), part.runs
        read = self._read_one(rules)
        for (offset, text), known in zip(part.texts, self._read_plain(part.texts), strict=True):
            if known is not None:
                documents.append((offset, known))
                continue
            if len(text) <= LARGEST_TEXT:
                try:
                    documents.append((offset, read(text)))
                    continue
                except ExtendedJsonError as error:
                    if _is_one(text):
                        runs.append(_make_run(offset, text, error.message))
                        continue
            found, broken = _read_text(offset, text, read)
            documents += found
            runs += broken
        runs.sort()
        digest = sha256()
        for start in range(0, len(part.texts), _HASHED_AT_ONCE):
            digest.update(
                b"".join([text for _, text in part.texts[start : start + _HASHED_AT_ONCE]])
            )
        for run in part.runs:
            digest.update(run.digest)
        guesses = {guess.value: count for guess, count in rules.guesses.items() if count}
        return Chunk(
            part.start,
            part.stop,
            digest.hexdigest(),
            documents,
            runs,
            part.position,
            guesses=guesses,
        )

    def _read_plain(self, texts: list[Text]) -> Iterable[bytes | None]:
        """Read the documents of which neither way has anything to say; None for the others.

        Load and check never read a text in the same way: where the crate reads for the load, the
        scanner of `json` reads for the check.
        """
        if self._is_native and self._is_check:
            return (read_plainly(text) for _, text in texts)
        native = find_native() if self._is_native else None
        found: list[bytes | None] = native.read_texts(texts) if native else [None] * len(texts)
        return found

    def _read_one(self, rules: Rules) -> Callable[[bytes], bytes]:
        if self._is_check:
            return partial(read_again, is_old=rules.is_old, zone=rules.zone)
        return partial(read_exactly if self._is_native else read_document, rules=rules)


def _one_by_one(items: Iterable[list[Text] | Run]) -> Iterator[tuple[int, Text | Run]]:
    for item in items:
        if isinstance(item, Run):
            yield item.offset, item
        else:
            for text in item:
                yield text[0], text


def _read_text(
    offset: int, text: bytes, read: Callable[[bytes], bytes]
) -> tuple[list[Document], list[Run]]:
    """Read a text that should be one document; several ones and what is none are told apart."""
    stripped = text.lstrip(_SPACE)
    offset += len(text) - len(stripped)
    stripped = stripped.rstrip(_SPACE)
    if not stripped:
        return [], []
    if len(stripped) > LARGEST_TEXT:
        return [], [_make_run(offset, stripped, f"a text of over {LARGEST_TEXT:,} bytes")]
    try:
        return [(offset, read(stripped))], []
    except ExtendedJsonError as error:
        detail = error.message
    documents, runs = list[Document](), list[Run]()
    for item in TextReader(io.BytesIO(stripped), offset, WITHIN).read():
        if isinstance(item, Run):
            runs.append(item)
        elif item == [(offset, stripped)]:
            runs.append(_make_run(offset, stripped, detail))
        else:
            for part in item:
                found, broken = _read_text(*part, read)
                documents += found
                runs += broken
    return documents, runs


def _is_one(text: bytes) -> bool:
    """Say whether a text without white space around it can hold no second document."""
    is_enclosed = text.startswith(b"{") and text.endswith(b"}")
    return is_enclosed and text.count(b"{") == text.count(b"}") == 1


def _make_run(offset: int, text: bytes, detail: str) -> Run:
    run = OpenRun(offset)
    run.add(text)
    return run.run(detail)


def _may_be_many(stream: Content, start: int, stop: int) -> bool:
    """Say whether there may be more documents between two offsets than are read together."""
    stream.seek(start)
    part, count = _Limited(stream, stop - start), 0
    while block := part.read(BLOCK):
        count += block.count(b"}")
    return count > MOST_TEXTS


class _Limited:
    """The next `size` bytes of a stream."""

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream, self._left = stream, size

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(min(size, self._left))
        self._left -= len(block)
        return block


def _position(stream: Content, offset: int) -> int:
    """Return where an offset of the content is in the file, about."""
    if not isinstance(stream, gzip.GzipFile):
        return offset
    packed = packed_file(stream).tell()
    return packed * offset // max(1, stream.tell())


def _open(file: JsonFile) -> AbstractContextManager[Content]:
    """Open the content of a file."""
    return open_content(
        file.path,
        is_packed=file.is_packed,
        count=_count_readable,
        advice=f"Export it again, or unpack what there is: `zcat FILE > {file.name}.jsonl`.",
    )


def _count_readable(path: Path) -> tuple[int, int]:
    """Count the documents that a broken gzip stream gives, and find where the last one ends."""
    count = stop = 0
    # Version 1 reads the words of both.
    read = partial(read_document, rules=Rules(Version.V1))
    with path.open("rb") as packed:
        shape = find_shape(GzipStream(packed), str(path))
    with path.open("rb") as packed:
        stream = GzipStream(packed)
        left = shape.start
        while left and (block := stream.read(left)):
            left -= len(block)
        for texts in TextReader(stream, shape.start, shape).read():
            for offset, text in texts if not isinstance(texts, Run) else ():
                documents, _ = _read_text(offset, text, read)
                if documents:
                    count, stop = count + len(documents), offset + len(text.rstrip(_SPACE))
    return count, stop
