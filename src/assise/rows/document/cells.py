"""What becomes of one value: a field of a column, a note in `_extra`, or both where it is read."""

from __future__ import annotations

from collections.abc import Callable

from assise.documents.extjson import JsonWriter
from assise.documents.kinds import ARRAY, DOCUMENT, KINDS, NULL
from assise.documents.reader import count_leaves
from assise.manifest.layout import ColumnLayout
from assise.rows.columns import READ, code_of
from assise.rows.counts import CountingWriters
from assise.types.anykey import is_digest_field
from assise.types.codec import Codec, Encode, Hold
from assise.types.jsonb import ORDERED, jsonb_field
from assise.types.wire import NULL_FIELD, CopyField

Fields = list[CopyField]
"""The fields of a row behind its key columns."""

PackedRows = list[list[bytes]]
"""For each layout child rows: ordinals and fields, joined, without the root's key."""

ExtraParts = list[str]
"""The members of one level of `_extra`, as JSON text."""

VisitValue = Callable[[bytes, int, Fields, PackedRows, bytes, bool, ExtraParts], int]
"""Visit a value that is more than one scalar field: gives the position behind it."""

CellPlace = tuple[int, int]
"""The table of a column, and its position in the layout."""

WriteNote = Callable[[int, bytes, int], tuple[str, int]]
"""Kind, raw BSON and position of a value -> its text in `_extra`, and the position behind it."""

_CONTAINERS = frozenset({DOCUMENT, ARRAY})


def count_leaves_of(kind: int, raw: bytes, p: int, end: int) -> int:
    """How many leaves a value has; an empty container is one."""
    return count_leaves(raw[p:end]) or 1 if kind in _CONTAINERS else 1


def note_writer(writer: JsonWriter, depth: int, *, is_id: bool = False) -> WriteNote:
    """The writer of notes at a depth of `_extra`; in an `_id` the order of fields counts."""

    def write(kind: int, raw: bytes, p: int) -> tuple[str, int]:
        if is_id and kind in ORDERED:
            return writer.escaped(kind, raw, p)
        return writer.value(kind, raw, p, depth)

    return write


def list_encoders(
    writers: CountingWriters, column: ColumnLayout, codec: Codec, *, is_id: bool
) -> list[tuple[int, Encode, int]]:
    """For each type byte that is always at home: the encoder, and the leaves of its field.

    What is no single leaf is counted by its encoder.
    """
    if column.type == "jsonb":
        kinds = [kind for kind in KINDS if kind != NULL]
        return [(kind, _compile_jsonb(writers.jsonb, kind, is_id=is_id), 0) for kind in kinds]
    found = []
    for kind in codec.encode.keys() - codec.read.keys():
        encode, leaves = codec.encode[kind], 1
        if kind in _CONTAINERS:
            encode, leaves = _count(writers, kind, encode), 0
        found.append((kind, encode, leaves))
    return found


def _compile_jsonb(writer: JsonWriter, kind: int, *, is_id: bool) -> Encode:
    write = note_writer(writer, 0, is_id=is_id)

    def encode_jsonb(raw: bytes, p: int) -> tuple[CopyField, int]:
        text, end = write(kind, raw, p)
        return jsonb_field(text), end

    return encode_jsonb


def _count(writers: CountingWriters, kind: int, encode: Encode) -> Encode:
    """The encoder of containers that stand in one cell, which counts their leaves."""

    def encode_container(raw: bytes, p: int) -> tuple[CopyField | None, int]:
        field, end = encode(raw, p)
        if field is not None:
            writers.typed += count_leaves_of(kind, raw, p, end)
        return field, end

    return encode_container


def compile_null_encoder(writers: CountingWriters, place: CellPlace) -> Encode:
    """The encoder of a null that goes without a note."""
    note, (table, position) = writers.columns.note, place

    def encode_null(_raw: bytes, p: int) -> tuple[CopyField, int]:
        note(table, position, NULL)
        return NULL_FIELD, p

    return encode_null


def list_holds(codec: Codec) -> dict[int, Hold]:
    """The encoders of the elements of a child table that are no documents; null is NULL."""
    holds: dict[int, Hold] = {NULL: lambda _, p: (NULL_FIELD, p, True)}
    return holds | {kind: codec.hold(kind) for kind in {**codec.encode, **codec.read}}


def compile_null(writers: CountingWriters) -> VisitValue:
    """The visit of a null without a column that goes without a note."""

    def visit_null(
        _raw: bytes,
        p: int,
        _fields: Fields,
        _rows: PackedRows,
        _ordinals: bytes,
        _has_unnameable: bool,
        _extra: ExtraParts,
    ) -> int:
        writers.typed += 1
        return p

    return visit_null


def compile_any(writers: CountingWriters, kind: int, index: int, encode: Encode) -> VisitValue:
    """The visit of a key of kind any; where it is a digest, the `_id` stands in `_extra`."""
    write = note_writer(writers.extra, 0, is_id=True)

    def visit_any(
        raw: bytes,
        p: int,
        fields: Fields,
        _rows: PackedRows,
        _ordinals: bytes,
        _has_unnameable: bool,
        extra: ExtraParts,
    ) -> int:
        field, end = encode(raw, p)
        fields[index] = field or NULL_FIELD
        if field is not None and is_digest_field(field):
            extra.append(f'"_id":{write(kind, raw, p)[0]}')
        else:
            writers.typed += count_leaves_of(kind, raw, p, end)
        return end

    return visit_any


def compile_read(
    writers: CountingWriters,
    kind: int,
    *,
    name: str,
    index: int,
    place: CellPlace,
    hold: Hold,
    write: WriteNote,
) -> VisitValue:
    """The visit of a value that may be read: its original is noted unless the cell has it."""
    note, (table, position) = writers.columns.note, place

    def visit_read(
        raw: bytes,
        p: int,
        fields: Fields,
        _rows: PackedRows,
        _ordinals: bytes,
        _has_unnameable: bool,
        extra: ExtraParts,
    ) -> int:
        field, end, is_home = hold(raw, p)
        if field is not None:
            fields[index] = field
        if is_home:
            writers.typed += count_leaves_of(kind, raw, p, end)
            return end
        leaves = writers.extra.leaves
        note(table, position, code_of(kind, raw, p) if field is None else READ)
        text, end = write(kind, raw, p)
        extra.append(f"{name}:{text}")
        if field is not None:
            writers.move_to_read(leaves)
        return end

    return visit_read
