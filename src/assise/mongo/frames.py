"""A stream of BSON framed into documents by their lengths, and into runs of bytes that cannot be framed.

The rule is DESIGN section 2's: a document has 5 bytes to 16 MiB + 16 KiB and ends in 00. Behind bytes that cannot be framed reading
goes on at the first later offset where a document frames, is valid inside, and is followed by another one or by the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from assise.documents.reader import check_document, read_int32
from assise.errors import InvalidBsonError

SMALLEST, LARGEST = 5, (16 << 20) + (16 << 10)
KEPT_WHOLE, KEPT_OF_LONGER = 16 << 20, 64 << 10
"""A run of bytes that cannot be framed is kept whole up to the first size; of a longer one its first bytes are kept."""

_BLOCK = 1 << 20
_POSSIBLE_LENGTH = re.compile(rb"[\0\x01](?<=[\x05-\xff]\0\0\0|.[\x01-\xff]\0\0|..[\x01-\xff]\0|.[\0-\x40]\0\x01)", re.DOTALL)
"""The last of every four bytes that can be the length of a document; looking for it alone passes over the others quickly."""


class Stream(Protocol):
    """What frames are read from."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, none at the end."""


@dataclass(frozen=True, slots=True)
class Frame:
    """`size` bytes at `offset` of the uncompressed source: a framed document, or a run that cannot be framed.

    `raw` is all of them, but for a run longer than 16 MiB, of which `raw` is the first 64 KiB.
    """

    offset: int
    size: int
    raw: bytes
    digest: bytes
    is_document: bool


def frame_sha256(frame: Frame) -> str:
    """The sha256 of all bytes of a frame, in hexadecimal."""
    return (frame.digest or sha256(frame.raw).digest()).hex()


class _Window:
    """The part of the stream that is looked at; `p` is the position in `data` up to which it is consumed."""

    def __init__(self, stream: Stream, offset: int) -> None:
        self._stream, self._base = stream, offset
        self.data, self.p, self.is_end = b"", 0, False

    @property
    def offset(self) -> int:
        return self._base + self.p

    def holds(self, size: int) -> bool:
        """Whether `size` bytes lie behind `p`, after reading as much as is needed."""
        missing = size - (len(self.data) - self.p)
        if missing <= 0 or self.is_end:
            return missing <= 0
        blocks = [self.data[self.p :]]
        while missing > 0 and not self.is_end:
            block = self._stream.read(max(_BLOCK, missing))
            blocks.append(block)
            missing -= len(block)
            self.is_end = not block
        self._base += self.p
        self.data, self.p = b"".join(blocks), 0
        return missing <= 0

    def framed(self, skip: int = 0) -> int:
        """The size of the document that frames `skip` bytes behind `p`; 0 when none does."""
        if not self.holds(skip + 4):
            return 0
        size: int = read_int32(self.data, self.p + skip)[0]
        if not SMALLEST <= size <= LARGEST or not self.holds(skip + size) or self.data[self.p + skip + size - 1]:
            return 0
        return size


class _Run:
    """Bytes that cannot be framed, gathered."""

    def __init__(self, offset: int) -> None:
        self.offset, self.size = offset, 0
        self._digest, self._kept = sha256(), bytearray()

    def add(self, block: bytes) -> None:
        self.size += len(block)
        self._digest.update(block)
        self._kept += block[: max(0, KEPT_WHOLE + 1 - len(self._kept))]

    def frame(self) -> Frame:
        kept = bytes(self._kept if self.size <= KEPT_WHOLE else self._kept[:KEPT_OF_LONGER])
        return Frame(self.offset, self.size, kept, self._digest.digest(), is_document=False)


def read_frames(stream: Stream, offset: int = 0) -> Iterator[Frame]:
    """The frames of a stream, whose first byte lies at `offset` of the source; together they are all of its bytes."""
    window = _Window(stream, offset)
    while window.holds(1):
        size = window.framed()
        if not size:
            yield _read_run(window)
            continue
        raw = window.data[window.p : window.p + size]
        yield Frame(window.offset, size, raw, b"", is_document=True)
        window.p += size


def _read_run(window: _Window) -> Frame:
    run = _Run(window.offset)
    _consume(window, run, 1)
    while window.holds(4):
        found = _POSSIBLE_LENGTH.search(window.data, window.p + 3)
        if found is None:
            _consume(window, run, len(window.data) - window.p - 3)
            continue
        _consume(window, run, found.start() - 3 - window.p)
        if _resumes(window):
            return run.frame()
        _consume(window, run, 1)
    _consume(window, run, len(window.data) - window.p)
    return run.frame()


def _consume(window: _Window, run: _Run, size: int) -> None:
    run.add(window.data[window.p : window.p + size])
    window.p += size


def _resumes(window: _Window) -> bool:
    size = window.framed()
    if not size or (window.holds(size + 1) and not window.framed(size)):
        return False
    try:
        check_document(window.data, window.p, window.p + size)
    except InvalidBsonError:
        return False
    return True
