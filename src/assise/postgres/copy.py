"""Rows of binary COPY on their way to the server."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL = b"\xff\xff"
_BLOCK_BYTES, _SLICE_BYTES = 1 << 20, 4 << 20


def write_rows(copy: psycopg.Copy, rows: Iterable[bytes]) -> None:
    """Write rows, each with its count of cells and its cells, and what stands around them."""
    block, size = [_HEAD], 0
    for row in rows:
        block.append(row)
        size += len(row)
        if size >= _BLOCK_BYTES:
            _write(copy, block)
            block, size = [], 0
    _write(copy, [*block, _TAIL])


def _write(copy: psycopg.Copy, block: list[bytes]) -> None:
    # Small rows go together, large ones in slices: psycopg copies what it is given, and a row may
    # have a hundred MB.
    joined = block[0] if len(block) == 1 else b"".join(block)
    for start in range(0, len(joined), _SLICE_BYTES):
        copy.write(joined[start : start + _SLICE_BYTES])
