"""Child rows, read back for many documents at a time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from assise.manifest.layout import TableLayout
from assise.postgres.connection import Connection
from assise.rows.assemble import Kids, Row

Name = TypeVar("Name", bound=Hashable)


def no_kids(layouts: Sequence[TableLayout]) -> Kids:
    """Those of a document that has none."""
    return [{} for _ in layouts]


def read_kids(
    connection: Connection,
    layouts: Sequence[TableLayout],
    selects: Sequence[str],
    wanted: bytes,
    *,
    key_type: str,
    name_key: Callable[[bytes], Name],
) -> dict[Name, Kids]:
    """The child rows of the documents whose keys are the array `wanted`, by what `name_key` makes of a document's key."""
    kids: dict[Name, Kids] = {}
    for i, layout in enumerate(layouts):
        if layout.parent is None:
            continue
        for key, *cells in connection.stream(selects[i], wanted, key_type):
            name = name_key(key or b"")
            of_document = kids.get(name) or kids.setdefault(name, no_kids(layouts))
            parent = b"".join([cell or b"" for cell in cells[: layout.key_width - 2]])
            row: Row = (None, *cells)
            of_document[i].setdefault(parent, []).append(row)
    return kids
