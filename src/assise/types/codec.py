"""A codec: how a column of one type holds one kind of BSON value.

A column has a home kind, which its cell alone gives back, and it reads other kinds that mean the
same: their original is noted in `_extra` unless the cell gives it back exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import cast

from assise.documents.kinds import ARRAY, DOCUMENT, INT32, INT64
from assise.documents.reader import elements
from assise.documents.writer import Element
from assise.errors import CellError
from assise.types.wire import Cell, CopyField, strip_length

Encode = Callable[[bytes, int], tuple[CopyField | None, int]]
"""Raw BSON and the position of a value -> its field, None when it does not fit; the position
behind the value."""

Hold = Callable[[bytes, int], tuple[CopyField | None, int, bool]]
"""The same, and whether the cell alone gives the value back."""

Decode = Callable[[Cell], Element]

FieldEncode = Callable[[bytes, int], tuple[bytes | None, int]]


@dataclass(frozen=True)
class Codec:
    """Encoders by the type byte of the value, and a decoder of every cell that SQL may write.

    Args:
        encode: values of the home kind: a field of theirs gives them back.
        read: values that are read; a field of theirs may give them back.
        decode_strictly: refuses a cell that no load writes. None when a load writes every cell.
        proposed_for: the profile's name of the kind for which infer proposes this type and kind.
    """

    encode: Mapping[int, Encode]
    decode: Decode
    read: Mapping[int, Encode] = field(default_factory=dict)
    decode_strictly: Decode | None = None
    proposed_for: str = ""

    def hold(self, kind: int) -> Hold:
        """The encoder of values of a kind, whether they are at home or read."""
        encode = self.encode.get(kind, pass_nothing)
        read = self.read.get(kind)

        def hold_value(raw: bytes, p: int) -> tuple[CopyField | None, int, bool]:
            found, end = encode(raw, p)
            if found is not None or read is None:
                return found, end, found is not None
            found, end = read(raw, p)
            if found is None:
                return None, end, False
            return found, end, self.gives_back((kind, raw[p:end]), strip_length(found))

        return hold_value

    def takes(self, kind: int) -> bool:
        """Whether values of a kind are at home or read."""
        return kind in self.encode or kind in self.read

    def gives_back(self, element: Element, cell: Cell) -> bool:
        """Whether the cell alone says exactly this value."""
        with suppress(CellError):
            return is_same(element, self.decode(cell))
        return False

    def is_cell_of(self, element: Element, cell: Cell | None) -> bool:
        """Whether a load writes `cell` for this value."""
        kind, value = element
        if not self.takes(kind):
            return cell is None
        expected, _, _ = self.hold(kind)(value, 0)
        return cell is None if expected is None else expected[4:] == cell


def pass_nothing(_raw: bytes, p: int) -> tuple[CopyField | None, int]:
    """The encoder of a kind that is not at home."""
    return None, p


def is_same(one: Element, other: Element) -> bool:
    """Whether two values are equal; ints of both widths are, and texts of an array's keys."""
    kind, value = one
    if kind in {ARRAY, DOCUMENT} and kind == other[0]:
        fields, others = _list_fields(kind, value), _list_fields(kind, other[1])
        return len(fields) == len(others) and all(
            key == name and is_same(field, found)
            for (key, field), (name, found) in zip(fields, others, strict=True)
        )
    if {kind, other[0]} == {INT32, INT64}:
        ints = [int.from_bytes(raw, "little", signed=True) for _, raw in (one, other)]
        return ints[0] == ints[1]
    return one == other


def _list_fields(kind: int, value: bytes) -> list[tuple[bytes, Element]]:
    return [
        (b"" if kind == ARRAY else key, (inner, value[p:end]))
        for inner, key, p, end in elements(value)
    ]


def make_codec(
    encode: Mapping[int, FieldEncode],
    decode: Decode,
    *,
    read: Mapping[int, FieldEncode] | None = None,
    decode_strictly: Decode | None = None,
    proposed_for: str = "",
) -> Codec:
    """A codec from functions over plain bytes: inside a family there is nothing to mix up."""
    return Codec(
        cast(Mapping[int, Encode], encode),
        decode,
        cast(Mapping[int, Encode], read or {}),
        decode_strictly,
        proposed_for,
    )


def with_readings(
    codec: Codec, readings: Mapping[int, FieldEncode], *, some: Collection[int] = ()
) -> Codec:
    """A codec that also reads other kinds; and of the home kinds `some` what is not at home."""
    read = {
        kind: reading
        for kind, reading in readings.items()
        if kind in some or kind not in codec.encode
    }
    return replace(codec, read=cast(Mapping[int, Encode], read))


def only_home(read: FieldEncode, decode: Decode, kind: int) -> FieldEncode:
    """The encoder of those values of a kind that their cell gives back."""

    def encode(raw: bytes, p: int) -> tuple[bytes | None, int]:
        found, end = read(raw, p)
        if found is not None:
            with suppress(CellError):
                if is_same((kind, raw[p:end]), decode(Cell(found[4:]))):
                    return found, end
        return None, end

    return encode


def limit_codec(codec: Codec, fits: Callable[[bytes], bool]) -> Codec:
    """The codec of a type with a modifier, from that of the type without one."""

    def limit(encode: Encode) -> FieldEncode:
        def encode_limited(raw: bytes, p: int) -> tuple[bytes | None, int]:
            found, end = encode(raw, p)
            return (found if found is not None and fits(found[4:]) else None), end

        return encode_limited

    return make_codec(
        {kind: limit(encode) for kind, encode in codec.encode.items()},
        codec.decode,
        read={kind: limit(read) for kind, read in codec.read.items()},
        decode_strictly=codec.decode_strictly,
    )


def compare_again(decode: Decode, encode: Mapping[int, FieldEncode]) -> Decode:
    """A strict decoder: what is decoded must give the same cell again."""
    again = make_codec(encode, decode)

    def decode_strictly(cell: Cell) -> Element:
        element = decode(cell)
        if not again.is_cell_of(element, cell):
            raise CellError(
                f"the cell {cell.hex()[:80]} is not as a load writes it"
                " (a scale, or microseconds, that MongoDB does not have)"
            )
        return element

    return decode_strictly
