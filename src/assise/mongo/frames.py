"""Framing of a stream of BSON: documents by their lengths, and runs of bytes without any.

A document has 5 bytes to 16 MiB + 16 KiB and ends in 00. After bytes that cannot be framed, reading
resumes at the first later offset where a document frames, is valid inside, and is followed by
another one or by the end.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple, Protocol, cast, overload

from assise.documents.kinds import ARRAY, BINARY, CODE_WITH_SCOPE, DOCUMENT, REGEX
from assise.documents.reader import OUTSIDE, SKIP, read_code_with_scope, read_int32
from assise.errors import InvalidBsonError
from assise.native import find_native
from assise.rows.model import Document

SMALLEST, LARGEST = 5, (16 << 20) + (16 << 10)
KEPT_WHOLE, KEPT_OF_LONGER = 16 << 20, 64 << 10
"""A run is kept whole up to the first size; of a longer run the first bytes are kept."""

_BLOCK = 1 << 20
_STRIDE = 16 << 10
# A little-endian length from 5 to 16 MiB + 16 KiB. Only its last byte is matched, the others are
# looked back at: so the search passes quickly over all bytes but 0 and 1.
_LENGTH = rb"[\0\x01](?<=[\x05-\xff]\0\0\0|.[\x01-\xff]\0\0|..[\x01-\xff]\0|.[\0-\x40]\0\x01)"
_POSSIBLE_START = re.compile(
    _LENGTH + rb"(?:(?<=\x05\0\0\0)(?=\0)|(?=[" + re.escape(bytes(SKIP)) + rb"]))", re.DOTALL
)
"""The last of four bytes that can be the length of a document, before a type or the end."""


class Stream(Protocol):
    """A source of bytes that frames are read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""


class Run(NamedTuple):
    """`size` bytes at `offset` of the uncompressed source that cannot be framed, and their sha256.

    `raw` is all of them, or the first 64 KiB of a run longer than 16 MiB. `detail` is what is wrong
    with them, where it is known.
    """

    offset: int
    size: int
    raw: bytes
    digest: bytes
    detail: str = ""


PackedPiece = tuple[bytes, int, list[int]]
"""Consecutive documents: the bytes that hold them, their offset, and the borders in them."""


class PackedDocuments(Sequence[Document]):
    """Documents of one collection in pieces of bytes; they are cut out when one is asked for.

    The crate reads them where they are.
    """

    def __init__(self, pieces: Sequence[PackedPiece]) -> None:
        self.pieces = pieces
        self._count = sum(len(borders) - 1 for _, _, borders in pieces)

    @property
    def spans(self) -> list[tuple[bytes, int, int, int]]:
        """Of each piece its bytes, their offset, and the first and the last border."""
        return [(data, base, borders[0], borders[-1]) for data, base, borders in self.pieces]

    def split(self, size: int) -> Iterator[PackedDocuments]:
        """Yield parts that end with the first document at or behind each `size` bytes."""
        for data, base, borders in self.pieces:
            p, last = 0, len(borders) - 1
            while p < last:
                q = min(last, bisect_left(borders, borders[p] + size, p + 1))
                yield PackedDocuments([(data, base, borders[p : q + 1])])
                p = q

    @cached_property
    def _cut(self) -> list[Document]:
        native = find_native()
        cut = native.cut_documents if native else cut_documents
        return [document for piece in self.pieces for document in cut(*piece)]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Document]:
        return iter(self._cut)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._cut == [*other]

    __hash__ = None  # type: ignore[assignment]

    @overload
    def __getitem__(self, index: int) -> Document: ...

    @overload
    def __getitem__(self, index: slice) -> list[Document]: ...

    def __getitem__(self, index: int | slice) -> Document | list[Document]:
        return self._cut[index]


def find_borders(data: bytes, start: int, stop: int) -> list[int]:
    """The borders of consecutive documents in `data`, from `start` on and up to `stop`."""
    # A memoryview ends there without a copy.
    part, p, borders = cast(bytes, memoryview(data)[:stop]), start, [start]
    with suppress(*OUTSIDE):
        while True:
            size: int = read_int32(part, p)[0]
            if not SMALLEST <= size <= LARGEST or part[p + size - 1]:
                break
            p += size
            borders.append(p)
    return borders


def cut_documents(data: bytes, base: int, borders: list[int]) -> list[Document]:
    """The documents by their borders in `data`, each with its offset; `data` begins at `base`."""
    return [(base + p, data[p:stop]) for p, stop in pairwise(borders)]


def join_documents(documents: Sequence[Document]) -> bytes:
    """The bytes of documents one behind the other."""
    if isinstance(documents, PackedDocuments):
        spans = documents.spans
        return b"".join([memoryview(data)[start:stop] for data, _, start, stop in spans])
    return b"".join([raw for _, raw in documents])


class Window:
    """The part of the stream in memory; `data` is consumed up to position `p`.

    A list of elements ends at the first NUL in the place of a type. Where that is depends only on
    the bytes from its first element on. So a result of one walk holds for every later walk that
    comes to the same position, at any depth, and no element is read twice. `_jumps` has for a
    position the distance to a later element of the same list, -1 where no element can be, 0 where
    nothing is known. `_nuls` has the next NUL for multiples of the stride, as offsets in the
    source.
    """

    def __init__(self, stream: Stream, offset: int) -> None:
        self._stream, self._base = stream, offset
        self.data, self.p, self._is_end = b"", 0, False
        self._jumps = array("i")
        self._nuls: dict[int, int] = {}

    @property
    def offset(self) -> int:
        return self._base + self.p

    def holds(self, stop: int) -> bool:
        """Return whether `data` has the bytes up to `stop`; reads what is missing."""
        if stop <= len(self.data) or self._is_end:
            return stop <= len(self.data)
        blocks = [self.data]
        missing = max(_BLOCK, stop - len(self.data))
        while missing > 0 and not self._is_end:
            blocks.append(self._stream.read(missing))
            missing -= len(blocks[-1])
            self._is_end = not blocks[-1]
        self.data = b"".join(blocks)
        return stop <= len(self.data)

    def take(self, stop: int) -> bytes:
        """Consume the bytes up to `stop`."""
        taken = self.data[self.p : stop]
        self.p = stop
        if stop >= _BLOCK:
            self.data, self.p = self.data[stop:], 0
            self._base += stop
            del self._jumps[:stop]
            for border in [at for at, nul in self._nuls.items() if nul < self._base]:
                del self._nuls[border]
        return taken

    def framed(self, start: int) -> int:
        """Return the end of the document that frames at `start`; 0 for none."""
        if not self.holds(start + 4):
            return 0
        size: int = read_int32(self.data, start)[0]
        stop = start + size
        if not SMALLEST <= size <= LARGEST or not self.holds(stop):
            return 0
        return 0 if self.data[stop - 1] else stop

    def framed_in_a_row(self, limit: int | None = None) -> PackedPiece:
        """Consume consecutive documents as far as `data` holds them, or up to a limit in it."""
        whole, base, native = self.data, self._base, find_native()
        find = native.find_borders if native else find_borders
        borders: list[int] = find(whole, self.p, len(whole) if limit is None else limit)
        self.take(borders[-1])
        return whole, base, borders

    def resumes(self, start: int) -> bool:
        """Return whether reading can go on at `start`."""
        stop = self.framed(start)
        if stop == 0:
            return False
        is_followed = self.framed(stop) > 0 or not self.holds(stop + 1)
        return is_followed and self._ends(start + 4, stop - 1)

    def _ends(self, start: int, last: int) -> bool:
        """Return whether the elements from `start` on are BSON and end at `last`."""
        jumps, p = self._jumps, start
        # Slices of a memoryview do not copy; the functions of documents.reader take it as bytes.
        raw = cast(bytes, memoryview(self.data))
        outer = array("i")
        while True:
            if p >= len(jumps):
                self._grow(p)
            jump = jumps[p]
            if jump > 0:
                p += jump
                continue
            if p < last and not jump:
                after, inside = self._element(raw, p, last)
                if inside and after <= last:
                    outer.extend((start, p, last))
                    start, p, last = inside, inside, after - 1
                    continue
                if after <= last:
                    jumps[p] = after - p if after else -1
                    continue
            # The list is read up to `p`: each of its elements now jumps there in one step.
            while start < p:
                jumps[start], start = p - start, start + jumps[start]
            if not outer:
                return p == last
            after = last + 1 if p == last else 0
            last, p, start = outer.pop(), outer.pop(), outer.pop()
            jumps[p] = after - p if after else -1

    def _grow(self, p: int) -> None:
        """Let the jumps reach `p`. They grow with the walks: a candidate's length may be wrong."""
        missing = p - len(self._jumps)
        self._jumps.frombytes(bytes(_BLOCK + missing * self._jumps.itemsize))

    def _element(self, raw: bytes, p: int, last: int) -> tuple[int, int]:
        """Return the end of the element at `p`, and where its own elements begin or 0.

        The end is 0 if there is no element, and above `last` if it is longer.
        """
        kind = raw[p]
        if kind not in SKIP:
            return 0, 0
        value = self._nul(p + 1) + 1
        try:
            if value > last:
                return last + 1, 0
            if kind == BINARY and value + 5 + read_int32(raw, value)[0] > last:
                return last + 1, 0
            if kind == REGEX:
                options = self._nul(value) + 1
                return options if options > last else self._nul(options) + 1, 0
            after = SKIP[kind](raw, value)
            if kind == CODE_WITH_SCOPE:
                return after, read_code_with_scope(raw, value)[1] + 4
            return after, value + 4 if kind in {DOCUMENT, ARRAY} else 0
        except OUTSIDE:
            return last + 1, 0
        except InvalidBsonError:
            return 0, 0

    def _nul(self, p: int) -> int:
        """Return the position of the first NUL from `p` on; there always is one.

        From the next multiple of 16 KiB on it is searched once, not again for each key.
        """
        border = p + _STRIDE - (self._base + p) % _STRIDE
        nul = self.data.find(0, p, border)
        if nul >= 0:
            return nul
        offset = self._base + border
        if offset not in self._nuls:
            self._nuls[offset] = self._base + self.data.find(0, border)
        return self._nuls[offset] - self._base


class OpenRun:
    """A run of bytes that cannot be framed while it is being read."""

    def __init__(self, offset: int) -> None:
        self.offset, self.size = offset, 0
        self._digest, self._kept = sha256(), bytearray()

    def add(self, block: bytes) -> None:
        self.size += len(block)
        self._digest.update(block)
        room = max(0, KEPT_WHOLE + 1 - len(self._kept))
        self._kept += block[:room]

    def run(self, detail: str = "") -> Run:
        kept = bytes(self._kept if self.size <= KEPT_WHOLE else self._kept[:KEPT_OF_LONGER])
        return Run(self.offset, self.size, kept, self._digest.digest(), detail)


def read_frames(stream: Stream, offset: int = 0) -> Iterator[PackedDocuments | Run]:
    """Yield the documents of a stream, some at a time, and the runs between them.

    They are all bytes of the stream, whose first byte is at `offset` of the source.
    """
    for frames in _read(stream, offset):
        yield frames if isinstance(frames, Run) else PackedDocuments([frames])


def read_stops(stream: Stream, offset: int = 0) -> Iterator[Sequence[int]]:
    """Yield the offsets where the documents and runs of `read_frames` end, some at a time."""
    for frames in _read(stream, offset):
        if isinstance(frames, Run):
            yield [frames.offset + frames.size]
        else:
            _, base, borders = frames
            yield [base + stop for stop in borders[1:]]


def _read(stream: Stream, offset: int) -> Iterator[PackedPiece | Run]:
    window = Window(stream, offset)
    while window.holds(window.p + 1):
        yield window.framed_in_a_row() if window.framed(window.p) else _read_run(window)


def _read_run(window: Window) -> Run:
    run = OpenRun(window.offset)
    while window.holds(window.p + SMALLEST):
        stop = min(len(window.data), window.p + _BLOCK)
        for match in _POSSIBLE_START.finditer(window.data, window.p + 3, stop):
            start = match.start() - 3
            if window.resumes(start):
                run.add(window.take(start))
                return run.run()
        run.add(window.take(stop - 4))
    run.add(window.take(len(window.data)))
    return run.run()
