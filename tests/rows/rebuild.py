"""Documents through shred and assemble without a server: what COPY would send is read back by code of the tests."""

from __future__ import annotations

import json
import re
from struct import unpack_from

from assise.manifest.model import Manifest
from assise.manifest.read import parse_manifest
from assise.rows.assemble import Assembler, Kids, Row
from assise.rows.shred import Batch, Shredder

NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that JSON takes as they stand and YAML does not."""


def read_manifest(plain: object) -> Manifest:
    """A manifest from plain dictionaries."""
    text = json.dumps(plain, ensure_ascii=False)
    return parse_manifest(
        NOT_IN_YAML.sub(lambda match: f"\\u{ord(match.group()):04x}", text), "drawn.yaml"
    )


def read_row(row: bytes) -> list[bytes | None]:
    """The cells of one row of binary COPY."""
    count, p = unpack_from(">h", row)[0], 2
    cells: list[bytes | None] = []
    for _ in range(count):
        (size,) = unpack_from(">i", row, p)
        p += 4
        cells.append(None if size < 0 else row[p : p + size])
        p += max(size, 0)
    assert p == len(row)
    return cells


def rows_of(batch: Batch, shredder: Shredder, document: int) -> tuple[Row, Kids]:
    """The row of one document of a batch and its child rows, as a database would give them back."""
    kids: Kids = [{} for _ in shredder.layouts]
    for i, layout in enumerate(shredder.layouts):
        if layout.parent is None:
            continue
        rows = [
            read_row(row)
            for row, owner in zip(batch.rows[i], batch.owners[i], strict=True)
            if owner == document
        ]
        for row in sorted(
            rows, key=lambda row: [cell or b"" for cell in row[1 : layout.key_width]]
        ):
            kids[i].setdefault(
                b"".join(cell or b"" for cell in row[1 : layout.key_width - 1]), []
            ).append(row)
    return read_row(batch.rows[0][batch.owners[0].index(document)]), kids


def rebuild(
    manifest: Manifest, root: str, documents: list[tuple[int, bytes]]
) -> tuple[dict[int, bytes], Batch]:
    """Each document, by its offset, as it comes back from its rows; and the batch with the misfits."""
    shredder, assembler = (
        Shredder(manifest.layout, root),
        Assembler(manifest.layout, root, is_strict=True),
    )
    batch = shredder.shred(documents)
    found = {}
    for document, offset in enumerate(batch.offsets):
        row, kids = rows_of(batch, shredder, document)
        found[offset] = assembler.assemble(row, kids)
        assert not any(kids), "a child row was not reached"
    return found, batch
