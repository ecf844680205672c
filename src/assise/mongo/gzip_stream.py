"""A gzip stream that may be broken: its content, to the last byte that can be unpacked."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

PACKED_BYTES = 16 << 10


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
