"""Ids that name their collection beside them: `Class$id` texts and DBRefs, in columns of ids."""

from __future__ import annotations

from collections.abc import Callable

from assise.documents.kinds import DOCUMENT, STRING
from assise.documents.reader import elements, read_string
from assise.documents.writer import Element, write_document, write_string
from assise.types.codec import Codec, FieldEncode, make_codec, only_home, with_readings
from assise.types.wire import Cell

MakeCodec = Callable[[str, Codec], Codec]
"""The class or the collection, and the codec of the type's first kind -> that of ids in it."""


def make_pointer(texts: Codec) -> MakeCodec:
    """Codecs of `Class$id`; `texts` is that of such ids as strings."""

    def make(name: str, home: Codec) -> Codec:
        front = name.encode() + b"$"
        encode_id = texts.hold(STRING)

        def encode(raw: bytes, p: int) -> tuple[bytes | None, int]:
            content, end = read_string(raw, p)
            if not content.startswith(front):
                return None, end
            field, _, _ = encode_id(write_string(content[len(front) :]), 0)
            return field, end

        def decode(cell: Cell) -> Element:
            kind, value = texts.decode(cell)
            if kind != STRING:
                return kind, value
            return kind, write_string(front + value[4:-1])

        return _with_home_readings(encode, decode, STRING, home)

    return make


def make_dbref(name: str, home: Codec) -> Codec:
    """The codec of `{$ref: collection, $id: id}`."""
    ref = STRING, write_string(name.encode())

    def encode(raw: bytes, p: int) -> tuple[bytes | None, int]:
        fields = list(elements(raw, p))
        end = p + int.from_bytes(raw[p : p + 4], "little")
        if [key for _, key, _, _ in fields] != [b"$ref", b"$id"]:
            return None, end
        (of_ref, _, start, after), (kind, _, at, stop) = fields
        if (of_ref, raw[start:after]) != ref or not home.takes(kind):
            return None, end
        field, _, _ = home.hold(kind)(raw[at:stop], 0)
        return field, end

    def decode(cell: Cell) -> Element:
        return DOCUMENT, write_document([(b"$ref", ref), (b"$id", home.decode(cell))])

    return _with_home_readings(encode, decode, DOCUMENT, home)


def _with_home_readings(
    encode: FieldEncode, decode: Callable[[Cell], Element], kind: int, home: Codec
) -> Codec:
    """The codec of values that name their collection; the ids alone are read."""
    codec = make_codec({kind: only_home(encode, decode, kind)}, decode)
    return with_readings(codec, {**home.encode, **home.read}, some={kind} & {STRING})
