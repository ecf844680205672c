"""Keys: the cell of a document's `_id`, equality of keys, and ObjectIds as users write them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from struct import unpack
from uuid import UUID

from assise.documents.kinds import OBJECT_ID
from assise.documents.reader import NOT_BSON, elements
from assise.manifest.layout import Layout
from assise.rows.cells import decode_object_id, encode_object_id, pack_int4, pack_int8, rule
from assise.rows.encode import encode_object_ids
from assise.rows.numeric import read_numeric
from assise.wording import escape

ReadKeys = Callable[[Sequence[tuple[int, bytes]]], list[bytes | None]]
"""Documents with their offsets in the source -> the bytes of their keys' cells, without their length; None where there is no key to be read."""


def compile_keys(layout: Layout, root: str) -> ReadKeys:
    """Reads the keys of documents, whatever becomes of them."""
    column = layout.key_column(root)
    if column.kind == "offset":
        pack, size = (pack_int4, 4) if column.type == "int4" else (pack_int8, 8)
        return lambda documents: [pack(size, offset)[4:] for offset, _ in documents]
    encoders, _ = rule(column.type, column.kind)

    def read_key(raw: bytes) -> bytes | None:
        with suppress(*NOT_BSON):
            for kind, key, p, end in elements(raw):
                if key == b"_id":
                    cell, _ = encoders[kind](raw, p)
                    return cell[4:] if cell and end < len(raw) else None
        return None

    def read_keys(documents: Sequence[tuple[int, bytes]]) -> list[bytes | None]:
        if (
            OBJECT_ID in encoders
            and column.type == "uuid"
            and all(len(raw) > 21 and raw.startswith(b"\7_id\0", 4) for _, raw in documents)
        ):
            return [
                cell and cell[4:] for cell in encode_object_ids([raw[9:21] for _, raw in documents])
            ]
        return [read_key(raw) for _, raw in documents]

    return read_keys


def normal_key(column_type: str, cell: bytes) -> Hashable:
    """A value that two cells share when PostgreSQL calls the keys equal: 10 and 10.0, 0.0 and -0.0, any two NaN."""
    if column_type == "numeric":
        text, scale = read_numeric(cell)
        return text if scale < 0 else Decimal(text)
    if column_type == "float8":
        value: float = unpack(">d", cell)[0]
        return value if value == value else "NaN"
    return cell


def show_key(column_type: str, cell: bytes) -> str:
    """A key on one line, at most 200 characters of it."""
    match column_type:
        case "int4" | "int8":
            return str(int.from_bytes(cell, "big", signed=True))
        case "numeric":
            return read_numeric(cell)[0][:200]
        case "float8":
            return repr(unpack(">d", cell)[0])
        case "bool":
            return "true" if any(cell) else "false"
        case "uuid":
            return str(UUID(bytes=cell))
        case "timestamptz":
            microseconds = int.from_bytes(cell, "big", signed=True)
            with suppress(OverflowError):
                return (
                    datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
                ).isoformat(sep=" ")
            return f"{microseconds:,} microseconds after 2000-01-01"
        case "text":
            return escape(cell.decode(errors="replace")[:200])
    return cell.hex()[:200]


def normal_keys(column_type: str, cells: Sequence[bytes]) -> Sequence[Hashable]:
    """`normal_key` of each; most types need none."""
    return (
        [normal_key(column_type, cell) for cell in cells]
        if column_type in {"numeric", "float8"}
        else cells
    )


def objectid_to_uuid(objectid: str) -> UUID:
    """The key of the row that came from the document with this ObjectId (24 hexadecimal digits).

    Raises:
        ValueError: these are no 24 hexadecimal digits.

    >>> objectid_to_uuid("507f1f77bcf86cd799439011")
    UUID('507f1f77-bcf8-86cd-8799-439011000000')
    """
    raw = bytes.fromhex(objectid)
    if len(raw) != 12 or len(objectid) != 24:
        raise ValueError(f"{objectid!r} is no ObjectId: it wants 24 hexadecimal digits")
    return UUID(bytes=encode_object_id(raw, 0)[0][4:])


def uuid_to_objectid(key: UUID) -> str | None:
    """The ObjectId behind a key, or None when the key is none of an ObjectId.

    >>> uuid_to_objectid(UUID("507f1f77-bcf8-86cd-8799-439011000000"))
    '507f1f77bcf86cd799439011'
    """
    kind, value = decode_object_id(key.bytes)
    return value.hex() if kind == OBJECT_ID else None
