"""A stream of BSON framed into documents by their lengths, and into runs of bytes that cannot be framed.

A document has 5 bytes to 16 MiB + 16 KiB and ends in 00. Behind bytes that cannot be framed reading
goes on at the first later offset where a document frames, is valid inside, and is followed by another one or by the end.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple, Protocol, cast

from assise.documents.kinds import ARRAY, BINARY, CODE_WITH_SCOPE, DOCUMENT, REGEX
from assise.documents.reader import OUTSIDE, SKIP, read_code_with_scope, read_int32
from assise.errors import InvalidBsonError

SMALLEST, LARGEST = 5, (16 << 20) + (16 << 10)
KEPT_WHOLE, KEPT_OF_LONGER = 16 << 20, 64 << 10
"""A run of bytes that cannot be framed is kept whole up to the first size; of a longer one its first bytes are kept."""

_BLOCK = 1 << 20
_STRIDE = 16 << 10
_LENGTH = rb"[\0\x01](?<=[\x05-\xff]\0\0\0|.[\x01-\xff]\0\0|..[\x01-\xff]\0|.[\0-\x40]\0\x01)"
_POSSIBLE_START = re.compile(
    _LENGTH + rb"(?:(?<=\x05\0\0\0)(?=\0)|(?=[" + re.escape(bytes(SKIP)) + rb"]))", re.DOTALL
)
"""The last of four bytes that can be the length of a document, where a type or the end follows; looking for it passes over others quickly."""


class Stream(Protocol):
    """What frames are read from."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, none at the end."""


Document = tuple[int, bytes]
"""A framed document: its offset in the uncompressed source, and its bytes."""


class Run(NamedTuple):
    """`size` bytes at `offset` of the uncompressed source that cannot be framed, and their sha256.

    `raw` is all of them, but for a run longer than 16 MiB, of which `raw` is the first 64 KiB.
    """

    offset: int
    size: int
    raw: bytes
    digest: bytes


class _Window:
    """The part of the stream that is looked at; `p` is the position in `data` up to which it is consumed.

    Where a list of elements ends depends only on the bytes from its first one on: at the first NUL in the place of a type. So what one walk has
    found holds for every later one that comes to the same position, at whatever depth, and no element is read twice. `_jumps` has for a position
    the distance to a later element of the same list, -1 where no element can be, or 0.
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
        """Whether `data` has the bytes up to `stop`, after reading as much as is needed."""
        if stop <= len(self.data) or self._is_end:
            return stop <= len(self.data)
        blocks, missing = [self.data], max(_BLOCK, stop - len(self.data))
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
            self.data, self.p, self._base = self.data[stop:], 0, self._base + stop
            del self._jumps[:stop]
            self._nuls = {border: nul for border, nul in self._nuls.items() if nul >= self._base}
        return taken

    def framed(self, start: int) -> int:
        """Where the document ends that frames at `start`; 0 when none does."""
        if start + 4 > len(self.data) and not self.holds(start + 4):
            return 0
        size: int = read_int32(self.data, start)[0]
        if (
            not SMALLEST <= size <= LARGEST
            or (start + size > len(self.data) and not self.holds(start + size))
            or self.data[start + size - 1]
        ):
            return 0
        return start + size

    def framed_in_a_row(self) -> tuple[bytes, int, list[int]]:
        """Consume documents that frame one behind the other, as far as `data` holds them: `data`, its offset, and in it each border of a document."""
        data, base, p, borders = self.data, self._base, self.p, [self.p]
        with suppress(*OUTSIDE):
            while (
                SMALLEST <= (size := read_int32(data, p)[0]) <= LARGEST and not data[p + size - 1]
            ):
                p += size
                borders.append(p)
        self.take(p)
        return data, base, borders

    def resumes(self, start: int) -> bool:
        """Whether reading can go on at `start`."""
        stop = self.framed(start)
        return (
            stop > 0
            and (self.framed(stop) > 0 or not self.holds(stop + 1))
            and self._ends(start + 4, stop - 1)
        )

    def _ends(self, start: int, last: int) -> bool:
        """Whether the elements from `start` on are BSON and end at `last`."""
        jumps, p = self._jumps, start
        raw = cast(bytes, memoryview(self.data))
        outer = array("i")
        while True:
            while (jump := jumps[p] if p < len(jumps) else self._grow(p)) > 0:
                p += jump
            if p < last and not jump:
                after, inside = self._element(raw, p, last)
                if inside and after <= last:
                    outer.extend((start, p, last))
                    start, p, last = inside, inside, after - 1
                    continue
                if after <= last:
                    jumps[p] = after - p if after else -1
                    continue
            while start < p:
                jumps[start], start = p - start, start + jumps[start]
            if not outer:
                return p == last
            after = last + 1 if p == last else 0
            last, p, start = outer.pop(), outer.pop(), outer.pop()
            jumps[p] = after - p if after else -1

    def _grow(self, p: int) -> int:
        """Let the jumps reach `p`, from where none is known: only as far as walks come, because the length of a candidate says nothing."""
        self._jumps.frombytes(bytes(_BLOCK + (p - len(self._jumps)) * self._jumps.itemsize))
        return 0

    def _element(self, raw: bytes, p: int, last: int) -> tuple[int, int]:
        """Where the element at `p` ends (0 when it is none, anything above `last` when it is longer), and where its own elements begin or 0."""
        kind = raw[p]
        if kind not in SKIP:
            return 0, 0
        value = self._nul(p + 1) + 1
        try:
            if value > last or (kind == BINARY and value + 5 + read_int32(raw, value)[0] > last):
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
        """The first NUL from `p` on; there is one. Behind the next multiple of 16 KiB it is looked for once, not for each key."""
        border = p + _STRIDE - (self._base + p) % _STRIDE
        nul = self.data.find(0, p, border)
        if nul >= 0:
            return nul
        if self._base + border not in self._nuls:
            self._nuls[self._base + border] = self._base + self.data.find(0, border)
        return self._nuls[self._base + border] - self._base


class _Gathered:
    """Bytes that cannot be framed, gathered."""

    def __init__(self, offset: int) -> None:
        self.offset, self.size = offset, 0
        self._digest, self._kept = sha256(), bytearray()

    def add(self, block: bytes) -> None:
        self.size += len(block)
        self._digest.update(block)
        self._kept += block[: max(0, KEPT_WHOLE + 1 - len(self._kept))]

    def run(self) -> Run:
        kept = bytes(self._kept if self.size <= KEPT_WHOLE else self._kept[:KEPT_OF_LONGER])
        return Run(self.offset, self.size, kept, self._digest.digest())


def read_frames(stream: Stream, offset: int = 0) -> Iterator[list[Document] | Run]:
    """Documents, some at a time, and the runs between them, of a stream whose first byte lies at `offset` of the source: all of its bytes."""
    for found in _read(stream, offset):
        if isinstance(found, Run):
            yield found
        else:
            data, base, borders = found
            yield [(base + p, data[p:stop]) for p, stop in pairwise(borders)]


def read_stops(stream: Stream, offset: int = 0) -> Iterator[int]:
    """Where the documents and runs end that `read_frames` gives."""
    for found in _read(stream, offset):
        if isinstance(found, Run):
            yield found.offset + found.size
        else:
            _, base, borders = found
            yield from [base + stop for stop in borders[1:]]


def _read(stream: Stream, offset: int) -> Iterator[tuple[bytes, int, list[int]] | Run]:
    window = _Window(stream, offset)
    while window.holds(window.p + 1):
        yield window.framed_in_a_row() if window.framed(window.p) else _read_run(window)


def _read_run(window: _Window) -> Run:
    run = _Gathered(window.offset)
    while window.holds(window.p + SMALLEST):
        stop = min(len(window.data), window.p + _BLOCK)
        for found in _POSSIBLE_START.finditer(window.data, window.p + 3, stop):
            if window.resumes(found.start() - 3):
                run.add(window.take(found.start() - 3))
                return run.run()
        run.add(window.take(stop - 4))
    run.add(window.take(len(window.data)))
    return run.run()
