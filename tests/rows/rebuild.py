"""Documents through shred and assemble without a server; rows of COPY are read by the tests."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Sequence
from itertools import pairwise
from struct import pack, unpack_from

from tests.oracle.equality import differences

from assise.manifest.model import Manifest
from assise.manifest.read import parse_manifest
from assise.rows.assemble import Assembler
from assise.rows.model import Batch, ChildRows, Row
from assise.rows.shred import Shredder
from assise.types.wire import Cell

PATHS = [False, True]
"""Whether documents go through the crate: not at all, or those that it takes."""

NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that JSON takes as they stand and YAML does not."""


def read_manifest(plain: object) -> Manifest:
    """A manifest from plain dictionaries."""
    text = json.dumps(plain, ensure_ascii=False)
    escaped = NOT_IN_YAML.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
    return parse_manifest(escaped, "drawn.yaml")


def read_row(row: bytes) -> list[Cell | None]:
    """The cells of one row of binary COPY."""
    count, p = unpack_from(">h", row)[0], 2
    cells: list[Cell | None] = []
    for _ in range(count):
        (size,) = unpack_from(">i", row, p)
        p += 4
        cells.append(None if size < 0 else Cell(row[p : p + size]))
        p += max(size, 0)
    assert p == len(row)
    return cells


def send(row: Row) -> bytes:
    """A row as `record_send` gives it; the types of columns are left out."""
    fields = [pack(">ii", 0, -1 if cell is None else len(cell)) + (cell or b"") for cell in row]
    return pack(">i", len(row)) + b"".join(fields)


def send_all(
    rows: Sequence[Row], child_rows: Sequence[ChildRows]
) -> tuple[list[bytes], list[list[bytes]]]:
    """Rows of several documents, and for each table the child rows of all."""
    tables = [[] for _ in child_rows[0]] if child_rows else list[list[bytes]]()
    for of_document in child_rows:
        for table, by_parent in zip(tables, of_document, strict=True):
            table += [send(row) for group in by_parent.values() for row in group]
    return [send(row) for row in rows], tables


def cut(joined: bytes, ends: bytes) -> list[bytes]:
    """Documents that are joined, by the numbers of 32 bits where each ends."""
    return [joined[start:end] for start, end in pairwise((0, *array("I", ends)))]


def rows_of(batch: Batch, shredder: Shredder, document: int) -> tuple[Row, ChildRows]:
    """The row of one document of a batch and its child rows, as a database gives them back."""
    child_rows: ChildRows = [{} for _ in shredder.layouts]
    for i, layout in enumerate(shredder.layouts):
        if layout.parent is None:
            continue
        pairs = zip(batch.rows[i], batch.owners[i], strict=True)
        rows = [read_row(row) for row, owner in pairs if owner == document]
        for row in sorted(
            rows, key=lambda row: [cell or b"" for cell in row[1 : layout.key_width]]
        ):
            ordinals = b"".join(cell or b"" for cell in row[1 : layout.key_width - 1])
            child_rows[i].setdefault(ordinals, []).append(row)
    return read_row([*batch.rows[0]][batch.owners[0].index(document)]), child_rows


def contents(batch: Batch) -> object:
    """All of a batch; rows in the order of their documents."""
    tables = []
    for rows, owners in zip(batch.rows, batch.owners, strict=True):
        assert len(rows) == len(owners)
        pairs = list(zip(owners, rows, strict=True))
        tables.append(sorted(pairs, key=lambda pair: pair[0]))
    return batch.offsets, batch.keys, tables, batch.rejected, batch.values, batch.columns


def rebuild(
    manifest: Manifest,
    root: str,
    documents: list[tuple[int, bytes]],
    *,
    is_native: bool = True,
) -> tuple[dict[int, bytes], Batch]:
    """Each document, by its offset, as it comes back from its rows; and the batch.

    What the crate assembles must be what the document path gives.
    """
    shredder = Shredder(manifest.layout, root, is_native=is_native)
    assembler = Assembler(manifest.layout, root, is_strict=True, is_native=is_native)
    batch, sources = shredder.shred(documents), dict(documents)
    pairs = [rows_of(batch, shredder, document) for document in range(len(batch.offsets))]
    native = assembler.assemble_all(
        [sources[offset] for offset in batch.offsets],
        [row for row, _ in pairs],
        [child_rows for _, child_rows in pairs],
    )
    found = {}
    for offset, (row, child_rows), again in zip(batch.offsets, pairs, native, strict=True):
        found[offset] = assembler.assemble(row, child_rows)
        assert not any(child_rows), "a child row was not reached"
        assert again is None or differences(found[offset], again) == []
    return found, batch
