"""Raw BSON read in place: positions in, positions out, nothing decoded.

Every function takes the bytes of one document. A position outside of it raises IndexError or
struct.error. The public functions, and the walkers of other packages, turn these into
`InvalidBsonError` with `invalid`.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from struct import Struct
from struct import error as StructError

from assise.documents.kinds import ARRAY, CODE_WITH_SCOPE, DOCUMENT, KINDS
from assise.errors import InvalidBsonError

read_int32 = Struct("<i").unpack_from
read_int64 = Struct("<q").unpack_from
read_double = Struct("<d").unpack_from

OUTSIDE = (IndexError, StructError, KeyError)
"""The errors that a walk over broken lengths or unknown types raises."""

NOT_BSON = (*OUTSIDE, ValueError, InvalidBsonError)
"""The errors that reading bytes that are not BSON may raise."""

Skip = Callable[[bytes, int], int]


def invalid(error: Exception) -> InvalidBsonError:
    """Translate an error of OUTSIDE."""
    if isinstance(error, KeyError):
        return InvalidBsonError(f"unknown BSON type {error.args[0]!r}", 0)
    return InvalidBsonError("a length points outside the document", 0)


def open_document(raw: bytes, p: int) -> int:
    """Return the position of the terminator of the document or array that starts at `p`."""
    last: int = p + read_int32(raw, p)[0] - 1
    if last < p + 4 or raw[last]:
        raise InvalidBsonError("a document without a terminator", p)
    return last


def key_end(raw: bytes, p: int, last: int) -> int:
    """Return the position of the NUL that ends the key of the element at `p`."""
    end = raw.find(0, p + 1, last)
    if end < 0:
        raise InvalidBsonError("a key without a terminator", p)
    return end


def read_string(raw: bytes, p: int) -> tuple[bytes, int]:
    """Return the bytes of a string without its terminator, and the position after it."""
    length: int = read_int32(raw, p)[0]
    end = p + 4 + length
    if length < 1 or raw[end - 1]:
        raise InvalidBsonError("a string without a terminator", p)
    return raw[p + 4 : end - 1], end


def read_binary(raw: bytes, p: int) -> tuple[int, bytes, int]:
    """Return subtype, content and the position after a binary.

    The content of subtype 2 is returned without its inner length.
    """
    length: int = read_int32(raw, p)[0]
    subtype, end = raw[p + 4], p + 5 + length
    if length < 0 or end > len(raw):
        raise InvalidBsonError("a binary longer than its document", p)
    if subtype != 2:
        return subtype, raw[p + 5 : end], end
    inner = length - 4
    if inner < 0 or read_int32(raw, p + 5)[0] != inner:
        raise InvalidBsonError("a binary of subtype 2 with a wrong inner length", p)
    return subtype, raw[p + 9 : end], end


def read_code_with_scope(raw: bytes, p: int) -> tuple[bytes, int, int]:
    """Return the code, the position of the scope document, and the position after it."""
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
"""Type byte -> function that gives the position after a value; containers are not looked into."""


def elements(raw: bytes, start: int = 0) -> Iterator[tuple[int, bytes, int, int]]:
    """Yield type, key, position of the value and position after it, for each element of a level."""
    last, p = open_document(raw, start), start + 4
    while p != last:
        end = key_end(raw, p, last)
        after = SKIP[raw[p]](raw, end + 1)
        if after > last:
            raise InvalidBsonError("a value longer than its document", p)
        key = raw[p + 1 : end]
        yield raw[p], key, end + 1, after
        p = after


def is_utf8(content: bytes) -> bool:
    """Return whether these bytes of a key or a string are text."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def repeated_keys(raw: bytes, start: int = 0) -> set[bytes]:
    """Return the keys that occur more than once in one level.

    A level may have a million keys: first their hashes are compared, and only keys whose hash
    occurs twice are held.
    """
    hashes = array("q", map(hash, _keys(raw, start)))
    repeated = find_repeated(hashes)
    if not repeated:
        return set()
    counts = Counter(key for key in _keys(raw, start) if hash(key) in repeated)
    return {key for key, count in counts.items() if count > 1}


def _keys(raw: bytes, start: int) -> Iterator[bytes]:
    return (key for _, key, _, _ in elements(raw, start))


def find_repeated(numbers: array[int]) -> set[int]:
    """Return the numbers that occur more than once; many are sorted in parts to save memory."""
    parts = 1 + len(numbers) // 100_000
    if parts == 1:
        return _find_pairs(numbers)
    repeated: set[int] = set()
    for part in range(parts):
        repeated |= _find_pairs(n for n in numbers if n % parts == part)
    return repeated


def _find_pairs(numbers: Iterable[int]) -> set[int]:
    return {one for one, other in pairwise(sorted(numbers)) if one == other}


def check_document(raw: bytes) -> None:
    """Check the whole of one document, however deep. Strings and keys need not be UTF-8.

    Raises:
        InvalidBsonError: it is not BSON.
    """
    try:
        if open_document(raw, 0) + 1 != len(raw):
            raise InvalidBsonError("a document whose length is not its own", 0)
        for _ in walk(raw):
            pass
    except (*OUTSIDE, ValueError) as error:
        raise invalid(error) from error


def walk(raw: bytes) -> Iterator[tuple[int, int]]:
    """Yield depth (from 1) and type byte of every element, in order, and check what is passed.

    A container is followed by its elements and, when they end, by its depth and 0. There is no
    recursion.
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
    """Return how many values a document holds: scalars, and containers that are empty."""
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
