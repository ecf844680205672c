"""A BSON walker of the tests, from the specification alone.

Every byte is checked; nothing is decoded that could be lost.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_DOCUMENT = (16 << 20) + (16 << 10)
FIXED = {
    0x01: ("double", 8),
    0x07: ("objectid", 12),
    0x11: ("timestamp", 8),
    0x13: ("decimal", 16),
}
NUMBERS = {0x09: ("date", "<q"), 0x10: ("int32", "<i"), 0x12: ("int64", "<q")}
TEXTS = {0x02: "string", 0x0D: "code", 0x0E: "symbol"}
EMPTY = {0x06: "undefined", 0x0A: "null", 0x7F: "maxkey", 0xFF: "minkey"}
SCALARS = (
    "double string binary undefined objectid bool date null regex dbpointer code symbol"
    " int32 timestamp int64 decimal minkey maxkey"
).split()
Frame = tuple[str, int, int]


class NotBson(ValueError):  # noqa: N818
    """The bytes are not BSON."""


@dataclass(slots=True, eq=False, repr=False)
class Value:
    """A BSON value.

    `content` holds the bytes of a scalar without lengths and terminators (of a regex the pattern,
    of a dbpointer the namespace), `more` the options of a regex and the id of a dbpointer, `number`
    an int32, int64, date, bool or the subtype of a binary, `fields` those of a document, an array
    or the scope of code.
    """

    kind: str
    source: bytes
    start: int
    end: int = 0
    content: bytes = b""
    more: bytes = b""
    number: int = 0
    fields: list[tuple[bytes, Value]] = field(default_factory=list)

    @property
    def raw(self) -> bytes:
        """The bytes of the value as it stands in its document, without its kind and key."""
        return self.source[self.start : self.end]

    @property
    def code(self) -> int:
        """The byte that stands for the kind in BSON."""
        return CODES[self.kind]


CODES = {kind: code for code, kind in {**TEXTS, **EMPTY}.items()}
CODES |= {kind: code for code, (kind, _) in FIXED.items()}
CODES |= {kind: code for code, (kind, _) in NUMBERS.items()}
CODES |= {
    "document": 0x03,
    "array": 0x04,
    "binary": 0x05,
    "bool": 0x08,
    "regex": 0x0B,
    "dbpointer": 0x0C,
    "scoped": 0x0F,
}


def parse(raw: bytes) -> Value:
    """The document that `raw` holds, no byte more or less.

    Raises:
        NotBson: anything else than BSON; text that is not UTF-8 is kept.
    """
    root = Value("document", raw, 0, len(raw))
    if _read_length(raw, 0, len(raw)) != len(raw):
        raise NotBson("the length of the document is not the length of its bytes")
    open_values = [root]
    at = 4
    while open_values:
        parent = open_values[-1]
        last = parent.end - 1
        if at == last:
            open_values.pop()
            at = parent.end
            continue
        end_of_key = raw.find(b"\0", at + 1, last)
        if end_of_key < 0:
            raise NotBson(f"no end of the key at {at}")
        value = Value("", raw, end_of_key + 1)
        parent.fields.append((raw[at + 1 : end_of_key], value))
        at = _read_value(raw, raw[at], value, last)
        if value.kind in {"document", "array", "scoped"}:
            open_values.append(value)
    return root


def find_scope(code: Value) -> Value:
    """The scope of code, as the document that it is."""
    return Value(
        "document", code.source, code.start + len(code.content) + 9, code.end, fields=code.fields
    )


def _read_length(raw: bytes, at: int, end: int) -> int:
    """The length of the document at `at`, which must end at or before `end`."""
    length = _unpack("<i", raw, at, end)
    if length < 5 or at + length > end or raw[at + length - 1] != 0:
        raise NotBson(f"a document at {at} of {length} bytes")
    return length


def _unpack(layout: str, raw: bytes, at: int, end: int) -> int:
    if at + struct.calcsize(layout) > end:
        raise NotBson(f"no number at {at}")
    return int(struct.unpack_from(layout, raw, at)[0])


def _read_text(raw: bytes, at: int, end: int) -> tuple[bytes, int]:
    """The bytes of the length-prefixed text at `at`, and where it ends."""
    length = _unpack("<i", raw, at, end)
    stop = at + 4 + length
    if length < 1 or stop > end or raw[stop - 1] != 0:
        raise NotBson(f"a text at {at} of {length} bytes")
    return raw[at + 4 : stop - 1], stop


def _read_cstring(raw: bytes, at: int, end: int) -> tuple[bytes, int]:
    stop = raw.find(b"\0", at, end)
    if stop < 0:
        raise NotBson(f"no end of the text at {at}")
    return raw[at:stop], stop + 1


def _read_bytes(raw: bytes, at: int, size: int, end: int) -> tuple[bytes, int]:
    if at + size > end:
        raise NotBson(f"no {size} bytes at {at}")
    return raw[at : at + size], at + size


def _read_value(raw: bytes, code: int, value: Value, last: int) -> int:
    """Fill `value`, which ends at `last` at the latest.

    Return where to go on: inside it, if it has fields.
    """
    at = value.start
    if code in {0x03, 0x04}:
        value.kind = "document" if code == 0x03 else "array"
        value.end = at + _read_length(raw, at, last)
        return at + 4
    if code == 0x0F:
        return _read_scoped(raw, value, last)
    if code in FIXED:
        value.kind, size = FIXED[code]
        value.content, value.end = _read_bytes(raw, at, size, last)
    elif code in NUMBERS:
        value.kind, layout = NUMBERS[code]
        value.number = _unpack(layout, raw, at, last)
        value.end = at + struct.calcsize(layout)
    elif code in TEXTS:
        value.kind = TEXTS[code]
        value.content, value.end = _read_text(raw, at, last)
    elif code in EMPTY:
        value.kind, value.end = EMPTY[code], at
    else:
        _read_other(raw, code, value, last)
    return value.end


def _read_other(raw: bytes, code: int, value: Value, last: int) -> None:
    at = value.start
    if code == 0x05:
        _read_binary(raw, value, last)
    elif code == 0x08:
        value.kind, value.end = "bool", at + 1
        value.number = _unpack("<B", raw, at, last)
        if value.number > 1:
            raise NotBson(f"a bool of {value.number} at {at}")
    elif code == 0x0B:
        value.kind = "regex"
        value.content, at = _read_cstring(raw, at, last)
        value.more, value.end = _read_cstring(raw, at, last)
    elif code == 0x0C:
        value.kind = "dbpointer"
        value.content, at = _read_text(raw, at, last)
        value.more, value.end = _read_bytes(raw, at, 12, last)
    else:
        raise NotBson(f"no kind {code:#04x}")


def _read_binary(raw: bytes, value: Value, last: int) -> None:
    at = value.start
    length = _unpack("<i", raw, at, last)
    value.kind, value.number = "binary", _unpack("<B", raw, at + 4, last)
    if length < 0:
        raise NotBson(f"a binary of {length} bytes at {at}")
    value.content, value.end = _read_bytes(raw, at + 5, length, last)
    if value.number == 2:
        if length < 4 or _unpack("<i", raw, at + 5, last) != length - 4:
            raise NotBson(f"a binary of subtype 2 at {at} whose lengths differ")
        value.content = value.content[4:]


def _read_scoped(raw: bytes, value: Value, last: int) -> int:
    at = value.start
    value.kind = "scoped"
    value.end = at + _unpack("<i", raw, at, last)
    if value.end > last:
        raise NotBson(f"code with scope at {at} is too long")
    value.content, scope = _read_text(raw, at + 4, value.end)
    if scope + _read_length(raw, scope, value.end) != value.end:
        raise NotBson(f"code with scope at {at} has a wrong length")
    return scope + 4


def frames(data: bytes) -> list[Frame]:
    """The frames of a file as (what, start, end), in order and without gaps.

    A frame is "document", "invalid" or "garbage".
    """
    return [(what, start, end) for what, start, end, _ in read_frames(data)]


def read_frames(data: bytes) -> Iterator[tuple[str, int, int, Value | None]]:
    """The frames of a file, each document with what it holds."""
    at = 0
    while at < len(data):
        end = _find_end(data, at)
        if end:
            document = _parse_if_bson(data[at:end])
            yield "document" if document else "invalid", at, end, document
        else:
            end = _find_resumption(data, at + 1)
            yield "garbage", at, end, None
        at = end


def _find_end(data: bytes, at: int) -> int:
    """Where the document that `at` frames ends, or 0."""
    if at + 5 > len(data):
        return 0
    size = int(struct.unpack_from("<i", data, at)[0])
    end = at + size
    if not 5 <= size <= MAX_DOCUMENT or end > len(data):
        return 0
    return end if data[end - 1] == 0 else 0


def _parse_if_bson(raw: bytes) -> Value | None:
    try:
        return parse(raw)
    except NotBson:
        return None


def _find_resumption(data: bytes, at: int) -> int:
    for start in range(at, len(data)):
        end = _find_end(data, start)
        is_followed = end == len(data) or (end and _find_end(data, end))
        if is_followed and _parse_if_bson(data[start:end]):
            return start
    return len(data)
