"""ObjectIds and UUIDs, as themselves and as texts: the codecs of `uuid`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from struct import iter_unpack
from uuid import UUID

from assise.documents.kinds import BINARY, OBJECT_ID, STRING
from assise.documents.reader import read_binary, read_string
from assise.documents.writer import Element, write_binary, write_text
from assise.types.codec import Codec, FieldEncode, make_codec, only_home, with_readings

_UUID_LENGTH = b"\0\0\0\x10"
LEGACY_SUBTYPE = 3
_HEX = re.compile(rb"[0-9a-fA-F]{24}")
_UUID = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# Maps for `bytes.translate`, which works on the half-bytes of all values of a column at once.
_LOW_UP = bytes((byte & 15) << 4 for byte in range(256))
_HIGH_DOWN = bytes(byte >> 4 for byte in range(256))
_HIGH_AS_8 = bytes(0x80 | byte >> 4 for byte in range(256))
_LOW_AS_8 = bytes(0x80 | byte & 15 for byte in range(256))


def encode_object_id(raw: bytes, p: int) -> tuple[bytes, int]:
    """An ObjectId as a uuid of version 8 with readable digits."""
    digits = raw[p : p + 12].hex()
    uuid_digits = f"{digits[:12]}8{digits[12:15]}8{digits[15:]}000000"
    return _UUID_LENGTH + bytes.fromhex(uuid_digits), p + 12


def decode_object_id(cell: bytes) -> Element:
    """The ObjectId behind a uuid of `encode_object_id`; any other uuid is a binary."""
    digits = cell.hex()
    if digits[12] == "8" and digits[16] == "8" and digits[26:] == "000000":
        return OBJECT_ID, bytes.fromhex(digits[:12] + digits[13:16] + digits[17:26])
    return write_binary(4, cell)


def encode_object_ids(values: Sequence[bytes]) -> list[bytes]:
    """The same as `encode_object_id` for many.

    A uuid is the ObjectId with an 8 put in behind 12 and behind 15 digits. Bytes 0 to 5 and 8 to 11
    stay whole; the halves of bytes 6 and 7 move by one. So each byte of all uuids is one slice.
    """
    ids, count = b"".join(values), len(values)
    sixth, seventh = ids[6::12], ids[7::12]
    fields = bytearray(_UUID_LENGTH + bytes(16)) * count
    for i in range(6):
        fields[4 + i :: 20] = ids[i::12]
    fields[10::20] = sixth.translate(_HIGH_AS_8)
    both = int.from_bytes(sixth.translate(_LOW_UP)) | int.from_bytes(seventh.translate(_HIGH_DOWN))
    fields[11::20] = both.to_bytes(count)
    fields[12::20] = seventh.translate(_LOW_AS_8)
    for i in range(4):
        fields[13 + i :: 20] = ids[8 + i :: 12]
    return [field for (field,) in iter_unpack("20s", fields)]


def _swap_csharp(content: bytes) -> bytes:
    return content[3::-1] + content[5:3:-1] + content[7:5:-1] + content[8:]


def _swap_java(content: bytes) -> bytes:
    return content[7::-1] + content[:7:-1]


def _keep(content: bytes) -> bytes:
    return content


def _encode_uuid(
    subtype: int, swap: Callable[[bytes], bytes], raw: bytes, p: int
) -> tuple[bytes | None, int]:
    found, content, end = read_binary(raw, p)
    if found != subtype or len(content) != 16:
        return None, end
    return _UUID_LENGTH + swap(content), end


def _make_uuid_codec(
    subtype: int, swap: Callable[[bytes], bytes] = _keep, *, proposed_for: str = ""
) -> Codec:
    """The codec of UUIDs whose bytes a driver has swapped; swapping twice gives them back."""
    return make_codec(
        {BINARY: partial(_encode_uuid, subtype, swap)},
        lambda cell: write_binary(subtype, swap(cell)),
        proposed_for=proposed_for,
    )


def _text_of_cell(cell: bytes) -> Element:
    return write_text(str(UUID(bytes=cell)))


def _hex_of_cell(cell: bytes) -> Element:
    """The digits of the ObjectId behind a uuid; any other uuid as its text."""
    kind, value = decode_object_id(cell)
    return write_text(value.hex()) if kind == OBJECT_ID else _text_of_cell(cell)


def _read_text(raw: bytes, p: int) -> tuple[bytes | None, int]:
    """The digits of an ObjectId, or the text of a UUID, in any case."""
    content, end = read_string(raw, p)
    if _HEX.fullmatch(content):
        return encode_object_id(bytes.fromhex(content.decode()), 0)[0], end
    if _UUID.fullmatch(content):
        return _UUID_LENGTH + bytes.fromhex(content.decode().replace("-", "")), end
    return None, end


SWAPS = {"java": _swap_java, "csharp": _swap_csharp, "python": _keep}
"""The byte orders in which drivers wrote UUIDs of subtype 3."""

_OBJECT_IDS = make_codec(
    {OBJECT_ID: encode_object_id},
    decode_object_id,
    proposed_for="objectId",
)


def make_uuid_codecs(*, legacy_uuids: str = "") -> dict[str, Codec]:
    """The codecs of uuids by kind; `legacy_uuids` is the byte order in which subtype 3 is read."""

    def read_binary_uuid(raw: bytes, p: int) -> tuple[bytes | None, int]:
        if legacy_uuids and raw[p + 4] == LEGACY_SUBTYPE:
            return _encode_uuid(LEGACY_SUBTYPE, SWAPS[legacy_uuids], raw, p)
        return _encode_uuid(4, _keep, raw, p)

    readings: dict[int, FieldEncode] = {
        OBJECT_ID: encode_object_id,
        BINARY: read_binary_uuid,
        STRING: _read_text,
    }
    legacy = {
        f"uuid_{name}": _make_uuid_codec(LEGACY_SUBTYPE, swap) for name, swap in SWAPS.items()
    }
    codecs = {"objectid": _OBJECT_IDS, "uuid": _make_uuid_codec(4, proposed_for="uuid"), **legacy}
    for kind, decode in {"hex": _hex_of_cell, "uuid_text": _text_of_cell}.items():
        codecs[kind] = make_codec({STRING: only_home(_read_text, decode, STRING)}, decode)
    some = {BINARY, STRING}
    return {kind: with_readings(codec, readings, some=some) for kind, codec in codecs.items()}


def show_uuid(cell: bytes) -> str:
    """A uuid as SQL shows it."""
    return str(UUID(bytes=cell))
