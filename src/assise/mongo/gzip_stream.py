"""The content of files that may be packed, and of a broken gzip stream to its last whole byte."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from assise.errors import SourceError
from assise.mongo.source import REMEDY_UNREADABLE
from assise.wording import count_of

PACKED_BYTES = 16 << 10

Content = gzip.GzipFile | io.FileIO
"""The content of a file, packed or not."""


@contextmanager
def open_content(
    path: Path, *, is_packed: bool, count: Callable[[Path], tuple[int, int]], advice: str
) -> Iterator[Content]:
    """Open the content of a file.

    Of a broken gzip stream `count` gives the documents that can be read, and where the last one
    ends; `advice` is the rest of the remedy.

    Raises:
        SourceError: the file cannot be read, or what is read of it in the block is broken.
    """
    try:
        with gzip.GzipFile(path) if is_packed else path.open("rb", buffering=0) as stream:
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        documents, stop = count(path)
        readable = f"Of it {count_of(documents, 'document')} can be read, up to byte {stop:,}."
        raise SourceError(
            f"{path} is a broken gzip stream: {error}", remedy=f"{readable} {advice}"
        ) from error
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror}", remedy=REMEDY_UNREADABLE
        ) from error


def packed_file(stream: gzip.GzipFile) -> IO[bytes]:
    """Return the packed file of a gzip stream."""
    return cast(IO[bytes], stream.fileobj)


class GzipStream:
    """The content of a gzip file, of one or more members.

    `fault` says what is wrong with it, once it is read up to there; nothing is read after a fault.
    """

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._blocks = self._unpack()
        self._rest = b""
        self.fault = ""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        block = self._rest or next(self._blocks, b"")
        self._rest = block[size:]
        return block[:size]

    def _unpack(self) -> Iterator[bytes]:
        unpacker, is_inside = zlib.decompressobj(wbits=31), False
        while block := self._packed.read(PACKED_BYTES):
            # Zeros may fill the file after a member.
            while block := block if is_inside else block.lstrip(b"\0"):
                before, is_inside = unpacker.copy(), True
                try:
                    content = unpacker.decompress(block)
                except zlib.error as error:
                    self.fault = str(error)
                    # An error takes along what the call has unpacked before it.
                    with suppress(zlib.error):
                        yield from filter(None, map(before.decompress, _split(block)))
                    return
                if content:
                    yield content
                block = unpacker.unused_data
                if unpacker.eof:
                    unpacker, is_inside = zlib.decompressobj(wbits=31), False
        if is_inside:
            self.fault = "it ends too early"


def _split(block: bytes) -> Iterator[bytes]:
    return (block[p : p + 1] for p in range(len(block)))
