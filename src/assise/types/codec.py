"""A codec: how a column of one type holds one kind of BSON value, for one value and for many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from assise.documents.writer import Element
from assise.errors import CellError, ExtendedJsonError
from assise.types.wire import Cell, CopyField

Encode = Callable[[bytes, int], tuple[CopyField | None, int]]
"""Raw BSON and the position of a value -> its field, None when it does not fit; the position
behind the value."""

Decode = Callable[[Cell], Element]

EncodeColumn = Callable[[Sequence[bytes]], list[CopyField | None]]
"""Values of one kind -> their fields; None where a value does not fit."""

DecodeColumn = Callable[[bytes, Sequence[Cell]], list[bytes | None]]
"""A key and cells -> elements of a document (type byte, key, NUL, value); None for a cell that no
load writes."""

_Encode = Callable[[bytes, int], tuple[bytes | None, int]]
_EncodeColumn = Callable[[Sequence[bytes]], list[bytes | None]]
_DecodeColumn = Callable[[bytes, Sequence[bytes]], list[bytes | None]]


@dataclass(frozen=True)
class Codec:
    """Encoders by the type byte of the value, and a decoder of every cell that SQL may write.

    Args:
        decode_strictly: refuses a cell that no load writes. None when a load writes every cell.
        encode_columns: by type byte, the same as `encode` for many values at once.
        decode_column: the same as the decoder for many cells at once.
        proposed_for: the profile's name of the kind for which infer proposes this type and kind.
    """

    encode: Mapping[int, Encode]
    decode: Decode
    decode_strictly: Decode | None = None
    encode_columns: Mapping[int, EncodeColumn] = field(default_factory=dict)
    decode_column: DecodeColumn | None = None
    proposed_for: str = ""

    def column_encoder(self, kind: int) -> EncodeColumn:
        """The encoder of many values of a kind that the codec holds."""
        return self.encode_columns.get(kind) or partial(encode_each, self.encode[kind])


def make_codec(
    encode: Mapping[int, _Encode],
    decode: Decode,
    *,
    decode_strictly: Decode | None = None,
    encode_columns: Mapping[int, _EncodeColumn] | None = None,
    decode_column: _DecodeColumn | None = None,
    proposed_for: str = "",
) -> Codec:
    """A codec from functions over plain bytes: inside a family there is nothing to mix up."""
    return Codec(
        cast(Mapping[int, Encode], encode),
        decode,
        decode_strictly,
        cast(Mapping[int, EncodeColumn], encode_columns or {}),
        decode_column,
        proposed_for,
    )


def encode_each(encode: Encode, values: Sequence[bytes]) -> list[CopyField | None]:
    """Encode values one by one, equal ones once."""
    known = {value: encode(value, 0)[0] for value in set(values)}
    return [known[value] for value in values]


def decode_each(decode: Decode, key: bytes, cells: Sequence[Cell]) -> list[bytes | None]:
    """Decode cells one by one, equal ones once; None for one that is refused."""
    known = dict[Cell, bytes | None].fromkeys(cells)
    for cell in known:
        with suppress(CellError, ExtendedJsonError, RecursionError):
            kind, value = decode(cell)
            known[cell] = b"%c%b\0%b" % (kind, key, value)
    return [known[cell] for cell in cells]


def is_cell_of(element: Element, cell: bytes | None, encode: Mapping[int, Encode]) -> bool:
    """Whether a load writes `cell` for this value."""
    kind, value = element
    encoder = encode.get(kind)
    expected = encoder(value, 0)[0] if encoder else None
    return cell is None if expected is None else expected[4:] == cell


def compare_again(decode: Decode, encode: Mapping[int, _Encode]) -> Decode:
    """A strict decoder: what is decoded must give the same cell again."""
    encoders = cast(Mapping[int, Encode], encode)

    def decode_strictly(cell: Cell) -> Element:
        element = decode(cell)
        if not is_cell_of(element, cell, encoders):
            raise CellError(
                f"the cell {cell.hex()[:80]} is not as a load writes it"
                " (a scale, or microseconds, that MongoDB does not have)"
            )
        return element

    return decode_strictly
