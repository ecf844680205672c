"""Bodies of requests as text: gzip with and without a header, base64, forms.

Which client writes which form was recorded from python 3.25 to 7.91, node 5.70, js 1.298 to 1.449.
"""

from __future__ import annotations

import zlib
from base64 import b64decode
from binascii import Error as Base64Error
from codecs import BOM_UTF8
from collections.abc import Mapping
from urllib.parse import parse_qs

from assise.errors import RequestError

MAX_BODY = 20 << 20
"""Bytes of a body at most, also when it is unpacked, as at PostHog."""

_GZIP = b"\x1f\x8b"
_FORM = "application/x-www-form-urlencoded"


def read_body(
    data: bytes, headers: Mapping[str, str], query: Mapping[str, str], limit: int = MAX_BODY
) -> str:
    """The text of a body, of at most `limit` bytes; of a GET without one, the parameter `data`.

    Raises:
        RequestError: it is packed in another way, broken, or too long.
    """
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in {"", "identity", "gzip", "deflate"}:
        remedy = "Send gzip, deflate or plain JSON."
        raise RequestError(f"Content-Encoding {encoding} is unknown", status=415, remedy=remedy)
    if data[:2] == _GZIP:
        data = _unpack(data, 31, limit)
    elif encoding == "deflate":
        data = _unpack(data, 15, limit)
    elif encoding == "gzip" and data:
        raise RequestError("the body is no gzip")
    if not data and "data" in query:
        return _read_base64(query["data"].encode(), limit)
    if headers.get("content-type", "").startswith(_FORM) or data[:5] == b"data=":
        return _read_form(data, limit)
    plain = data.removeprefix(BOM_UTF8).lstrip()
    return _decode(plain) if plain[:1] in {b"{", b"[", b""} else _read_base64(plain, limit)


def _unpack(data: bytes, bits: int, limit: int) -> bytes:
    unpacker = zlib.decompressobj(bits)
    try:
        found = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise RequestError("the body is packed, and broken") from error
    if len(found) > limit:
        raise RequestError(f"the body has more than {limit:,} bytes", status=413)
    if not unpacker.eof:
        raise RequestError("the body is packed, and ends too early")
    return found


def _read_form(data: bytes, limit: int) -> str:
    try:
        fields = parse_qs(data.decode(errors="replace"), max_num_fields=20)
    except ValueError as error:
        raise RequestError("the form has too many fields") from error
    if "data" not in fields:
        raise RequestError("the form has no field data")
    text = fields["data"][0].encode()
    return _decode(text) if text[:1] in {b"{", b"["} else _read_base64(text, limit)


def _read_base64(data: bytes, limit: int) -> str:
    """What stands in base64, also with blanks where a form has turned a plus into one."""
    packed = data.strip().replace(b" ", b"+").replace(b"-", b"+").replace(b"_", b"/")
    try:
        found = b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except (Base64Error, ValueError) as error:
        raise RequestError("the body is neither JSON nor base64") from error
    return _decode(_unpack(found, 31, limit) if found[:2] == _GZIP else found)


def _decode(data: bytes) -> str:
    return data.decode(errors="replace")
