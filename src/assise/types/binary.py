"""Binaries: the codecs of `bytea`, one for each subtype, because the kind names it."""

from __future__ import annotations

from functools import partial

from assise.documents.kinds import BINARY
from assise.documents.reader import read_binary
from assise.documents.writer import Element, write_binary
from assise.types.codec import Codec, make_codec
from assise.types.wire import pack_length


def _encode_binary(subtype: int, raw: bytes, p: int) -> tuple[bytes | None, int]:
    found, content, end = read_binary(raw, p)
    return (pack_length(len(content)) + content if found == subtype else None), end


def _make_codec(subtype: int, name: str) -> Codec:
    def decode(cell: bytes) -> Element:
        return write_binary(subtype, cell)

    return make_codec({BINARY: partial(_encode_binary, subtype)}, decode, proposed_for=name)


_NAMES = ("binary", *(f"binary_{subtype}" for subtype in range(1, 256)))
BYTEA_CODECS = {name: _make_codec(subtype, name) for subtype, name in enumerate(_NAMES)}
