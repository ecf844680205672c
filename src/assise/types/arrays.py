"""Arrays of one dimension: their codecs are made from those of their elements."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from assise.documents import writer
from assise.documents.kinds import ARRAY, NULL
from assise.documents.reader import key_end, open_document
from assise.documents.writer import Element
from assise.errors import CellError, InvalidBsonError
from assise.types.codec import (
    Codec,
    Decode,
    Encode,
    FieldEncode,
    compare_again,
    make_codec,
    with_readings,
)
from assise.types.wire import NULL_FIELD, Cell, CopyField, array_shape, read_array, write_array

Encoders = dict[int, Encode]


def make_array_codec(element: Codec, oid: int) -> Codec:
    """The codec of arrays whose elements have this codec and the type `oid`.

    An array is at home when its elements are; it is read when some are read, and so is a single
    value, as an array of one. A strict element makes the whole array be compared with what a load
    writes; any other array can differ from that in its first subscript alone.
    """
    home: Encoders = {**element.encode}
    both: Encoders = {kind: _hold(element, kind) for kind in {**element.encode, **element.read}}
    encode: dict[int, FieldEncode] = {ARRAY: partial(_encode_array, home, oid)}
    decode = partial(_decode_array, element.decode)
    strict = compare_again(decode, encode) if element.decode_strictly else _from_one(decode)
    codec = make_codec(encode, decode, decode_strictly=strict)
    readings: dict[int, FieldEncode] = {
        kind: partial(_encode_one, encode_item, oid) for kind, encode_item in both.items()
    }
    readings[ARRAY] = partial(_encode_array, both, oid)
    return with_readings(codec, readings, some={ARRAY})


def _hold(element: Codec, kind: int) -> Encode:
    hold = element.hold(kind)
    return lambda raw, p: hold(raw, p)[:2]


def _encode_one(encode: Encode, oid: int, raw: bytes, p: int) -> tuple[CopyField | None, int]:
    field, end = encode(raw, p)
    return (None if field is None else write_array([field], oid)), end


def _encode_array(encoders: Encoders, oid: int, raw: bytes, p: int) -> tuple[CopyField | None, int]:
    last, q = open_document(raw, p), p + 4
    fields = list[CopyField]()
    while q != last:
        kind, end = raw[q], key_end(raw, q, last)
        if kind == NULL:
            fields.append(NULL_FIELD)
            q = end + 1
            continue
        encode = encoders.get(kind)
        if encode is None:
            return None, last + 1
        field, q = encode(raw, end + 1)
        if q > last:
            raise InvalidBsonError("a value longer than its array", end)
        if field is None:
            return None, last + 1
        fields.append(field)
    return write_array(fields, oid), last + 1


def _decode_array(decode: Decode, cell: Cell) -> Element:
    dimensions, count, _ = array_shape(cell)
    if dimensions > 1:
        raise CellError(f"an array of {dimensions} dimensions is not what a column of arrays holds")
    return ARRAY, writer.write_array(_decode_items(decode, cell, count))


def _decode_items(decode: Decode, cell: Cell, count: int) -> Iterator[Element]:
    for item in read_array(cell, count):
        yield (NULL, b"") if item is None else decode(item)


def _from_one(decode: Decode) -> Decode:
    def decode_from_one(cell: Cell) -> Element:
        if array_shape(cell)[2] != 1:
            raise CellError("an array whose subscripts do not begin at 1")
        return decode(cell)

    return decode_from_one
