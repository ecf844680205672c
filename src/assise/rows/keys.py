"""Keys: the cell of a document's `_id`, equality of keys, and ObjectIds as users write them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from assise.documents.kinds import KINDS, OBJECT_ID
from assise.documents.reader import NOT_BSON, elements
from assise.manifest.layout import Layout
from assise.rows.model import Document
from assise.rows.tree import build_tree
from assise.types.codec import Hold
from assise.types.ids import decode_object_id, encode_object_id, encode_object_ids
from assise.types.table import find_type
from assise.types.wire import Cell, int8_field, strip_length

ReadKeys = Callable[[Sequence[Document]], list[Cell | None]]
"""Documents -> the cells of their keys; None where there is no key to be read."""

_OBJECT_ID_FIRST = b"\7_id\0"


def compile_keys(layout: Layout, root: str) -> ReadKeys:
    """Make a reader of the keys of documents, whatever becomes of them."""
    column = layout.key_column(root)
    if column.kind == "offset":
        return _compile_offsets(column.type)
    codec = build_tree(layout, root).key_codec
    holds = {kind: codec.hold(kind) for kind in KINDS}
    is_of_object_ids = OBJECT_ID in codec.encode and column.type == "uuid"

    def read_keys(documents: Sequence[Document]) -> list[Cell | None]:
        if is_of_object_ids and all(
            len(raw) > 21 and raw.startswith(_OBJECT_ID_FIRST, 4) for _, raw in documents
        ):
            fields = encode_object_ids([raw[9:21] for _, raw in documents])
            return [Cell(field[4:]) for field in fields]
        return [_read_key(holds, raw) for _, raw in documents]

    return read_keys


def _compile_offsets(column_type: str) -> ReadKeys:
    write_offset = find_type(column_type).write_offset or int8_field

    def read_offsets(documents: Sequence[Document]) -> list[Cell | None]:
        fields = [write_offset(offset) for offset, _ in documents]
        return [strip_length(field) if field else None for field in fields]

    return read_offsets


def _read_key(holds: Mapping[int, Hold], raw: bytes) -> Cell | None:
    with suppress(*NOT_BSON):
        for kind, key, p, end in elements(raw):
            if key == b"_id":
                field, _, _ = holds[kind](raw, p)
                return strip_length(field) if field and end < len(raw) else None
    return None


def normal_key(column_type: str, cell: Cell) -> Hashable:
    """A value that two cells share when PostgreSQL calls the keys equal."""
    compare = find_type(column_type).compare_key
    return compare(cell) if compare else cell


def normal_keys(column_type: str, cells: Sequence[Cell]) -> Sequence[Hashable]:
    """`normal_key` of each."""
    compare = find_type(column_type).compare_key
    return [compare(cell) for cell in cells] if compare else cells


def show_key(column_type: str, cell: Cell) -> str:
    """A key on one line, at most 200 characters of it."""
    return find_type(column_type).show_key(cell)


def objectid_to_uuid(objectid: str) -> UUID:
    """The key of the row that came from the document with this ObjectId.

    Args:
        objectid: 24 hexadecimal digits.

    Raises:
        ValueError: it is something else.

    >>> objectid_to_uuid("507f1f77bcf86cd799439011")
    UUID('507f1f77-bcf8-86cd-8799-439011000000')
    """
    raw = bytes.fromhex(objectid)
    if len(raw) != 12 or len(objectid) != 24:
        raise ValueError(f"{objectid!r} is not an ObjectId, which has 24 hexadecimal digits")
    return UUID(bytes=encode_object_id(raw, 0)[0][4:])


def uuid_to_objectid(key: UUID) -> str | None:
    """The ObjectId behind a key, or None when the key is not one of an ObjectId.

    >>> uuid_to_objectid(UUID("507f1f77-bcf8-86cd-8799-439011000000"))
    '507f1f77bcf86cd799439011'
    """
    kind, value = decode_object_id(key.bytes)
    return value.hex() if kind == OBJECT_ID else None
