"""Equality of documents under the first law.

Ints of different widths are equal. No other values are equal that differ in a byte: 7 is not 7.0,
0.0 is not -0.0, null is not missing. The order of fields does not count, except inside the
top-level `_id`; the order among equal keys does. Arrays are compared by position; the texts of
their keys do not count.
"""

from __future__ import annotations

from hashlib import sha256

from assise.documents.kinds import ARRAY, CODE_WITH_SCOPE, DOCUMENT, INT32, INT64
from assise.documents.reader import (
    OUTSIDE,
    SKIP,
    invalid,
    key_end,
    open_document,
    read_code_with_scope,
    read_int32,
)
from assise.documents.writer import pack_int64


def are_equal(a: bytes, b: bytes) -> bool:
    """Return whether two documents of raw BSON are equal under the first law.

    Raises:
        InvalidBsonError: one of them is not BSON.

    >>> int32 = bytes.fromhex("0c0000001061000700000000")
    >>> int64 = bytes.fromhex("10000000126100070000000000000000")
    >>> are_equal(int32, int64)
    True
    """
    return a == b or fingerprint(a) == fingerprint(b)


def fingerprint(raw: bytes) -> bytes:
    """Return 32 bytes that are the same for equal documents.

    They are a sha256 over the sha256 of every container, deepest first. There is no recursion,
    because a document may be nested two million levels deep.
    """
    try:
        return _fingerprint(raw)
    except (*OUTSIDE, ValueError) as error:
        raise invalid(error) from error


class _Level:
    """A container whose elements are being read."""

    __slots__ = ("is_ordered", "items", "key", "kind", "last")

    def __init__(self, kind: int, key: bytes, *, last: int, is_ordered: bool) -> None:
        self.kind, self.key, self.last, self.is_ordered = kind, key, last, is_ordered
        self.items: list[tuple[bytes, bytes]] = []

    def digest(self) -> bytes:
        if self.kind != ARRAY and not self.is_ordered:
            self.items.sort(key=lambda item: item[0])
        digest = sha256(b"%d" % len(self.items))
        for key, value in self.items:
            name = b"" if self.kind == ARRAY else key
            # The lengths keep names and values apart that would run together.
            digest.update(b"%d:%d:" % (len(name), len(value)))
            digest.update(name + value)
        return digest.digest()


def _fingerprint(raw: bytes) -> bytes:
    level = _Level(DOCUMENT, b"", last=open_document(raw, 0), is_ordered=False)
    outer: list[_Level] = []
    p = 4
    while True:
        if p == level.last:
            digest = level.digest()
            if not outer:
                return digest
            item = level.key, b"%c" % level.kind + digest
            level = outer.pop()
            level.items.append(item)
            p += 1
            continue
        kind, end = raw[p], key_end(raw, p, level.last)
        name, p = raw[p + 1 : end], end + 1
        after = SKIP[kind](raw, p)
        if kind in {DOCUMENT, ARRAY, CODE_WITH_SCOPE}:
            ordered = level.is_ordered or (not outer and name == b"_id")
            inside = p
            if kind == CODE_WITH_SCOPE:
                code, inside, _ = read_code_with_scope(raw, p)
                level.items.append((name, b"code" + code))
            outer.append(level)
            level = _Level(kind, name, last=after - 1, is_ordered=ordered)
            p = inside + 4
            continue
        value = raw[p:after]
        if kind == INT32:
            kind, value = INT64, pack_int64(read_int32(raw, p)[0])
        level.items.append((name, b"%c" % kind + value))
        p = after
