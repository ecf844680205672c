"""Equality of documents under the first law.

Ints of different widths are equal. No other values are equal that differ in a byte: 7 is not 7.0,
0.0 is not -0.0, null is not missing. The order of fields does not count, except inside the
top-level `_id`; the order among equal keys does. Arrays are compared by position; the texts of
their keys do not count.
"""

from __future__ import annotations

from hashlib import blake2b
from operator import itemgetter

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
    """Return 16 bytes that are the same for equal documents, and else differ.

    They are the digest of the document's items, where an item is key, NUL, type byte and value;
    items are sorted by their keys. In an array, and inside `_id`, they keep their order; in an array
    they have no keys. An int32 counts as int64, and a container as the digest of its own items. The
    digest is BLAKE2b (RFC 7693). There is no recursion, because a document may be nested two
    million levels deep.

    Raises:
        InvalidBsonError: the document is not BSON.
    """
    return fingerprint_value(DOCUMENT, raw, is_top=True)


def fingerprint_value(
    kind: int, raw: bytes, *, is_top: bool = False, is_ordered: bool = False
) -> bytes:
    """Return the digest of a container, as the item of its document has it.

    `is_top` says that its `_id` is ordered, `is_ordered` that it is inside of one.

    Raises:
        InvalidBsonError: it is not BSON.
    """
    try:
        return _fingerprint(kind, raw, is_top=is_top, is_ordered=is_ordered)
    except (*OUTSIDE, ValueError) as error:
        raise invalid(error) from error


def digest_items(items: bytes) -> bytes:
    """Return the digest of joined items."""
    return blake2b(items, digest_size=16).digest()


class _Level:
    """A container whose elements are being read; `head` comes before its digest in its item."""

    __slots__ = ("head", "is_ordered", "items", "kind", "last")

    def __init__(self, kind: int, head: bytes, *, last: int, is_ordered: bool) -> None:
        self.kind, self.head, self.last, self.is_ordered = kind, head, last, is_ordered
        self.items: list[tuple[bytes, bytes]] = []

    def digest(self) -> bytes:
        if self.kind == ARRAY:
            return digest_items(b"".join([item for _, item in self.items]))
        if not self.is_ordered:
            self.items.sort(key=_name_of)
        return digest_items(b"".join([name + b"\0" + item for name, item in self.items]))


_name_of = itemgetter(0)


def _fingerprint(kind: int, raw: bytes, *, is_top: bool, is_ordered: bool) -> bytes:
    level = _Level(kind, b"", last=open_document(raw, 0), is_ordered=is_ordered)
    outer: list[_Level] = []
    names: list[bytes] = []
    p = 4
    while True:
        if p == level.last:
            digest = level.digest()
            if not outer:
                return digest
            item = names.pop(), level.head + digest
            level = outer.pop()
            level.items.append(item)
            p += 1
            continue
        kind, end = raw[p], key_end(raw, p, level.last)
        name, p = raw[p + 1 : end], end + 1
        after = SKIP[kind](raw, p)
        if kind in {DOCUMENT, ARRAY, CODE_WITH_SCOPE}:
            ordered = level.is_ordered or (is_top and not outer and name == b"_id")
            head, inside = b"%c" % kind, p
            if kind == CODE_WITH_SCOPE:
                _, inside, _ = read_code_with_scope(raw, p)
                head += raw[p + 4 : inside]
            outer.append(level)
            names.append(name)
            level = _Level(kind, head, last=after - 1, is_ordered=ordered)
            p = inside + 4
            continue
        value = raw[p:after]
        if kind == INT32:
            kind, value = INT64, pack_int64(read_int32(raw, p)[0])
        level.items.append((name, b"%c" % kind + value))
        p = after
