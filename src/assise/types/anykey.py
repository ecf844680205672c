"""Keys of kind any: an `_id` of any kind as canonical Extended JSON, or as the digest of that."""

from __future__ import annotations

import json
from functools import partial
from hashlib import sha256

from assise.documents.extjson import KEY, JsonWriter
from assise.documents.extjson_reader import Form, read_value
from assise.documents.kinds import KINDS
from assise.documents.writer import Element, write_text
from assise.errors import ExtendedJsonError
from assise.types.codec import make_codec
from assise.types.wire import Cell, CopyField, pack_length

KEY_BYTES = 1_000
"""A key whose text is longer is the sha256 of that text; the `_id` itself stands in `_extra`."""

_DIGEST = b"sha256:"


def _encode_any(kind: int, raw: bytes, p: int) -> tuple[bytes, int]:
    text, end = JsonWriter(KEY).value(kind, raw, p)
    key = text.encode()
    if len(key) > KEY_BYTES:
        key = _DIGEST + sha256(key).hexdigest().encode()
    return pack_length(len(key)) + key, end


def _decode_any(cell: bytes) -> Element:
    try:
        return read_value(json.loads(cell), form=Form.KEY)
    except (ValueError, RecursionError, ExtendedJsonError):
        return write_text(cell.decode())


def is_digest(cell: Cell) -> bool:
    """Whether a key of kind any is a digest; no JSON text looks like one."""
    return cell.startswith(_DIGEST)


def is_digest_field(field: CopyField) -> bool:
    """The same for the field of a key."""
    return field.startswith(_DIGEST, 4)


ANY_CODEC = make_codec({kind: partial(_encode_any, kind) for kind in KINDS}, _decode_any)
