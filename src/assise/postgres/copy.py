"""Rows of binary COPY on their way to the server."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from assise.types.wire import COPY_HEAD, COPY_TAIL

_BLOCK_BYTES, _SLICE_BYTES = 1 << 20, 1 << 16


def write_rows(copy: psycopg.Copy, rows: Iterable[bytes]) -> None:
    """Write rows, each with its count of cells and its cells, and what stands around them.

    A piece may hold many rows. Small ones go together, large ones in slices: psycopg copies what it
    is given, and a row may have a hundred MB.
    """
    block, size = [COPY_HEAD], 0
    for row in rows:
        if len(row) >= _BLOCK_BYTES:
            copy.write(b"".join(block))
            for start in range(0, len(row), _SLICE_BYTES):
                copy.write(memoryview(row)[start : start + _SLICE_BYTES])
            block, size = [], 0
            continue
        block.append(row)
        size += len(row)
        if size >= _BLOCK_BYTES:
            copy.write(b"".join(block))
            block, size = [], 0
    copy.write(b"".join((*block, COPY_TAIL)))
