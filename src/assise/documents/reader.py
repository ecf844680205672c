"""Raw BSON, read where it lies: positions in, positions out, nothing decoded.

Every function here takes the bytes of one document. A position outside of it shows as IndexError or struct.error, which the
public functions, and the walkers of other packages, turn into `InvalidBsonError` with `invalid`.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from struct import Struct
from struct import error as StructError

from assise.documents.kinds import ARRAY, CODE_WITH_SCOPE, DOCUMENT, KINDS
from assise.errors import InvalidBsonError

read_int32 = Struct("<i").unpack_from
read_int64 = Struct("<q").unpack_from
read_double = Struct("<d").unpack_from

OUTSIDE = (IndexError, StructError, KeyError)
"""What a walk over broken lengths or unknown types raises."""

NOT_BSON = (*OUTSIDE, ValueError, InvalidBsonError)
"""What reading bytes that are no BSON may raise."""

Skip = Callable[[bytes, int], int]


def invalid(error: Exception) -> InvalidBsonError:
    """What an error of OUTSIDE says about the document."""
    if isinstance(error, KeyError):
        return InvalidBsonError(f"unknown BSON type {error.args[0]!r}", 0)
    return InvalidBsonError("a length points outside the document", 0)


def open_document(raw: bytes, p: int) -> int:
    """The position of the terminator of the document or array that starts at `p`."""
    last: int = p + read_int32(raw, p)[0] - 1
    if last < p + 4 or raw[last]:
        raise InvalidBsonError("a document without a terminator", p)
    return last


def key_end(raw: bytes, p: int, last: int) -> int:
    """The position of the NUL that ends the key of the element at `p`."""
    end = raw.find(0, p + 1, last)
    if end < 0:
        raise InvalidBsonError("a key without a terminator", p)
    return end


def read_string(raw: bytes, p: int) -> tuple[bytes, int]:
    """The bytes of a string without its terminator, and the position behind it."""
    length: int = read_int32(raw, p)[0]
    end = p + 4 + length
    if length < 1 or raw[end - 1]:
        raise InvalidBsonError("a string without a terminator", p)
    return raw[p + 4 : end - 1], end


def read_binary(raw: bytes, p: int) -> tuple[int, bytes, int]:
    """Subtype, content (of subtype 2 without the inner length) and the position behind a binary."""
    length: int = read_int32(raw, p)[0]
    subtype, end = raw[p + 4], p + 5 + length
    if length < 0 or end > len(raw):
        raise InvalidBsonError("a binary longer than its document", p)
    if subtype != 2:
        return subtype, raw[p + 5 : end], end
    if length < 4 or read_int32(raw, p + 5)[0] != length - 4:
        raise InvalidBsonError("a binary of subtype 2 with a wrong inner length", p)
    return subtype, raw[p + 9 : end], end


def read_code_with_scope(raw: bytes, p: int) -> tuple[bytes, int, int]:
    """Code, the position of the scope document, and the position behind it."""
    end = p + read_int32(raw, p)[0]
    code, scope = read_string(raw, p + 4)
    if open_document(raw, scope) + 1 != end:
        raise InvalidBsonError("code with scope whose lengths disagree", p)
    return code, scope, end


def _skip_bool(raw: bytes, p: int) -> int:
    if raw[p] > 1:
        raise InvalidBsonError(f"a boolean that is {raw[p]}", p)
    return p + 1


def _skip_regex(raw: bytes, p: int) -> int:
    return raw.index(0, raw.index(0, p) + 1) + 1


def _fixed(size: int) -> Skip:
    return lambda _raw, p: p + size


SKIP: dict[int, Skip] = {
    0x01: _fixed(8),
    0x02: lambda raw, p: read_string(raw, p)[1],
    0x03: lambda raw, p: open_document(raw, p) + 1,
    0x04: lambda raw, p: open_document(raw, p) + 1,
    0x05: lambda raw, p: read_binary(raw, p)[2],
    0x06: _fixed(0),
    0x07: _fixed(12),
    0x08: _skip_bool,
    0x09: _fixed(8),
    0x0A: _fixed(0),
    0x0B: _skip_regex,
    0x0C: lambda raw, p: read_string(raw, p)[1] + 12,
    0x0D: lambda raw, p: read_string(raw, p)[1],
    0x0E: lambda raw, p: read_string(raw, p)[1],
    0x0F: lambda raw, p: read_code_with_scope(raw, p)[2],
    0x10: _fixed(4),
    0x11: _fixed(8),
    0x12: _fixed(8),
    0x13: _fixed(16),
    0xFF: _fixed(0),
    0x7F: _fixed(0),
}
"""Type byte -> the position behind a value; containers are skipped, not looked into."""


def elements(raw: bytes, start: int = 0) -> Iterator[tuple[int, bytes, int, int]]:
    """Type, key, position of the value and position behind it, of each element of one level."""
    last, p = open_document(raw, start), start + 4
    while p != last:
        end = key_end(raw, p, last)
        after = SKIP[raw[p]](raw, end + 1)
        if after > last:
            raise InvalidBsonError("a value longer than its document", p)
        yield raw[p], raw[p + 1 : end], end + 1, after
        p = after


def is_utf8(content: bytes) -> bool:
    """Whether these bytes of a key or a string are text."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def repeated_keys(raw: bytes, start: int = 0) -> set[bytes]:
    """The keys that stand more than once in one level; a million of them are told apart by their hashes, not held."""
    hashes = array("q", (hash(key) for _, key, _, _ in elements(raw, start)))
    again = find_repeated(hashes)
    if not again:
        return set()
    counts = Counter(key for _, key, _, _ in elements(raw, start) if hash(key) in again)
    return {key for key, count in counts.items() if count > 1}


def find_repeated(numbers: array[int]) -> set[int]:
    """Those that occur more than once; a million of them are sorted in parts."""
    parts = 1 + len(numbers) // 100_000
    if parts == 1:
        return {one for one, other in pairwise(sorted(numbers)) if one == other}
    return {
        one
        for part in range(parts)
        for one, other in pairwise(sorted(n for n in numbers if n % parts == part))
        if one == other
    }


def check_document(raw: bytes) -> None:
    """Walk the whole of one document, however deep.

    Raises:
        InvalidBsonError: it is not BSON. Strings and keys that are not UTF-8 are let pass: their bytes are kept.
    """
    try:
        if open_document(raw, 0) + 1 != len(raw):
            raise InvalidBsonError("a document whose length is not its own", 0)
        for _ in walk(raw):
            pass
    except (*OUTSIDE, ValueError) as error:
        raise invalid(error) from error


def walk(raw: bytes) -> Iterator[tuple[int, int]]:
    """Depth and type byte of every element at every depth (from 1), in order, without recursion; checks all that it passes.

    A container is followed by its elements and, when they end, by its depth and 0.
    """
    outer = array("q")
    last, p = open_document(raw, 0), 4
    while True:
        if p == last:
            if not outer:
                return
            yield len(outer), 0
            last, p = outer.pop(), p + 1
            continue
        kind, p = raw[p], key_end(raw, p, last) + 1
        after = SKIP[kind](raw, p)
        inside = read_code_with_scope(raw, p)[1] if kind == CODE_WITH_SCOPE else p
        if after > last:
            raise InvalidBsonError(f"a {KINDS[kind]} longer than its document", p)
        yield len(outer) + 1, kind
        if kind in {DOCUMENT, ARRAY, CODE_WITH_SCOPE}:
            outer.append(last)
            last, p = after - 1, inside + 4
        else:
            p = after


def count_leaves(raw: bytes) -> int:
    """How many values a document holds: scalars, and containers that are empty."""
    leaves, previous = 0, -1
    scope = 0
    for depth, kind in walk(raw):
        if scope and depth > scope:
            continue
        if kind == 0:
            leaves += previous in {DOCUMENT, ARRAY} and not scope
            scope = 0
        elif kind == CODE_WITH_SCOPE:
            leaves, scope = leaves + 1, depth
        elif kind not in {DOCUMENT, ARRAY}:
            leaves += 1
        previous = kind
    return leaves
