"""A BSON column (binary subtype 7): the values of one field of a bucket, packed.

A column is a row of parts, each with a first byte that says what it is, and a 0 at its end: a value
as it is; words of Simple-8b with the differences to the value before; or documents or arrays of one
shape, whose fields are packed each by itself, their parts in the order in which they are needed.
From `src/mongo/bson/column` of MongoDB's source, and its README.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from struct import unpack_from
from typing import NamedTuple

from assise.documents.kinds import (
    ARRAY,
    BINARY,
    BOOL,
    CODE,
    DATE,
    DECIMAL,
    DOCUMENT,
    DOUBLE,
    INT32,
    INT64,
    OBJECT_ID,
    STRING,
    TIMESTAMP,
)
from assise.documents.reader import SKIP, elements, open_document, read_double
from assise.documents.writer import Element, enclose, pack_double, write_string
from assise.mongo.simple8b import UnpackError, read_words

STEP_BYTES = 8
"""Bytes that each value counts beside its own: a missing one takes time and memory, too."""

STREAM_BYTES = 256
"""Bytes that each field of a shape counts."""

DEEPEST = 200
"""Levels of a shape; MongoDB has 180."""

_OBJECTS, _ARRAYS, _ROOT_ARRAY = 0xF0, 0xF1, 0xF2
_SCALES = {0x80: 0, 0x90: 1, 0xA0: 10, 0xB0: 100, 0xC0: 10_000, 0xD0: 100_000_000}
"""What a double is multiplied by before differences are taken; 0: its bits are the number."""

_DELTA_OF_DELTA = {DATE, OBJECT_ID, TIMESTAMP}
_LONG = {STRING, CODE, BINARY, DECIMAL}
_SHORT_BYTES = 16
# Counter and time of an ObjectId, the bytes that change least first.
_ID_ORDER = (0, 1, 9, 2, 10, 3, 11)


class Room:
    """The bytes that may still be unpacked."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> None:
        """Take some.

        Raises:
            UnpackError: there are not so many left.
        """
        self._left -= size
        if self._left < 0:
            raise UnpackError("it unpacks to more than 32 MB")


class _Number(NamedTuple):
    """How the values of a kind are numbers: of how many bits, and both ways."""

    bits: int
    read: Callable[[bytes], int]
    write: Callable[[int, bytes], bytes]


def _read_id(value: bytes) -> int:
    return int.from_bytes(bytes([value[i] for i in _ID_ORDER]))


def _write_id(number: int, before: bytes) -> bytes:
    found = bytearray(before)
    for i, byte in zip(_ID_ORDER, _fit(number, 7).to_bytes(7), strict=True):
        found[i] = byte
    return bytes(found)


def _fit(number: int, size: int) -> int:
    if number >> 8 * size:
        raise UnpackError("a difference that leads out of its kind")
    return number


def _read_text(value: bytes) -> int:
    text = value[4:-1]
    return 0 if len(text) > _SHORT_BYTES or text[:1] == b"\0" else int.from_bytes(text)


def _write_text(number: int, _before: bytes) -> bytes:
    return write_string(number.to_bytes((number.bit_length() + 7) // 8))


def _read_binary(value: bytes) -> int:
    return int.from_bytes(value[5:], "little") if len(value) <= 5 + _SHORT_BYTES else 0


def _write_binary(number: int, before: bytes) -> bytes:
    size = len(before) - 5
    if size > _SHORT_BYTES:
        raise UnpackError("a difference to a long binary")
    return before[:5] + _fit(number, size).to_bytes(size, "little")


def _read_little(value: bytes) -> int:
    return int.from_bytes(value, "little")


def _read_int32(value: bytes) -> int:
    return int.from_bytes(value, "little", signed=True) & (1 << 64) - 1


def _write_int32(number: int, _before: bytes) -> bytes:
    signed = number - (1 << 64) if number >> 63 else number
    if not -(1 << 31) <= signed < 1 << 31:
        raise UnpackError("a difference that leads out of its kind")
    return signed.to_bytes(4, "little", signed=True)


def _write_bool(number: int, _before: bytes) -> bytes:
    if number > 1:
        raise UnpackError("a difference that leads out of its kind")
    return bytes([number])


_WHOLE = _Number(64, _read_little, lambda number, _: number.to_bytes(8, "little"))
_NUMBERS = {
    DOUBLE: _WHOLE,
    DATE: _WHOLE,
    INT64: _WHOLE,
    TIMESTAMP: _WHOLE,
    INT32: _Number(64, _read_int32, _write_int32),
    BOOL: _Number(64, _read_little, _write_bool),
    OBJECT_ID: _Number(64, _read_id, _write_id),
    STRING: _Number(128, _read_text, _write_text),
    CODE: _Number(128, _read_text, _write_text),
    BINARY: _Number(128, _read_binary, _write_binary),
    DECIMAL: _Number(128, _read_little, lambda number, _: number.to_bytes(16, "little")),
}


def _scaled(scale: int) -> _Number:
    """How doubles are numbers when they are multiplied first."""

    def read(value: bytes) -> int:
        number: float = read_double(value)[0] * scale
        if not abs(number) <= 1 << 53:
            raise UnpackError("a double that is too large for its scale")
        # Half away from zero, as llround() of C.
        whole = int(number)
        whole += (number - whole >= 0.5) - (whole - number >= 0.5)
        return whole & (1 << 64) - 1

    def write(number: int, _before: bytes) -> bytes:
        signed = number - (1 << 64) if number >> 63 else number
        return pack_double(signed / scale)

    return _Number(64, read, write)


_SCALED = {scale: _scaled(scale) for scale in _SCALES.values() if scale}


class _Stream:
    """The values of one field: the last one, and the number behind it."""

    def __init__(self, first: Element | None = None) -> None:
        self._waiting: Iterator[Element | None] = iter(())
        self._next: list[Element | None] = []
        self.start(first)

    def start(self, element: Element | None) -> None:
        """Go on from a value as it is."""
        self._last = element
        self._difference: int | None = 0
        self._step = 0
        self._number = 0
        if element and element[0] in _NUMBERS:
            self._number = _NUMBERS[element[0]].read(element[1])

    def expand(self, control: int, words: tuple[int, ...]) -> Iterator[Element | None]:
        """Yield the values that words of differences give."""
        scale, last = _SCALES.get(control & 0xF0), self._last
        kind = last[0] if last else 0
        if scale is None or (scale and kind != DOUBLE):
            raise UnpackError("a part that is not known")
        bits = 128 if kind in _LONG else 64
        numbers = _NUMBERS.get(kind)
        if last and scale:
            numbers = _SCALED[scale]
        if last and numbers and kind == DOUBLE:
            self._number = numbers.read(last[1])
        mask = (1 << bits) - 1
        for difference in read_words(words, self._difference, bits):
            self._difference = difference
            if difference is None or last is None:
                yield None
                continue
            if difference or kind in _DELTA_OF_DELTA:
                if numbers is None:
                    raise UnpackError("a difference between values that have none")
                change = (difference >> 1) ^ -(difference & 1)
                if kind in _DELTA_OF_DELTA:
                    self._step = change = self._step + change & mask
                self._number = self._number + change & mask
                last = self._last = kind, numbers.write(self._number, last[1])
            yield last

    def has_next(self) -> bool:
        """Whether a value is waiting."""
        self._next = self._next or [*islice(self._waiting, 1)]
        return bool(self._next)

    def take(self, column: _Column) -> Element | None:
        """Return the next value, from the next part of the column where none is waiting."""
        if self.has_next():
            return self._next.pop()
        self._waiting = column.read_part(self)
        return next(self._waiting)


class _Shape(NamedTuple):
    """A document or array that others of a column are like.

    Its fields have a key and, where they are not looked into, a stream.
    """

    kind: int
    fields: list[tuple[bytes, _Shape | _Stream]]


class _Column:
    """A column that is being read; `p` is the place of its next part."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self.p = raw, 0

    def read_part(self, stream: _Stream) -> Iterator[Element | None]:
        """Return the values of the next part, of which there is one at least."""
        raw, control = self._raw, self._raw[self.p]
        if control in SKIP:
            if raw[self.p + 1]:
                raise UnpackError("a value with a name")
            start = self.p + 2
            self.p = SKIP[control](raw, start)
            if self.p >= len(raw):
                raise UnpackError("a value longer than its column")
            stream.start((control, raw[start : self.p]))
            return iter([(control, raw[start : self.p])])
        count = (control & 15) + 1
        words = unpack_from(f"<{count}Q", raw, self.p + 1)
        self.p += 1 + 8 * count
        return stream.expand(control, words)

    def read(self, room: Room) -> Iterator[Element | None]:
        """Yield the values."""
        stream = _Stream()
        while control := self._raw[self.p]:
            if control in {_OBJECTS, _ARRAYS, _ROOT_ARRAY}:
                last = None
                for last in self._read_alike(control, room):
                    yield last
                stream = _Stream(last)
            else:
                yield from self.read_part(stream)
        if self.p != len(self._raw) - 1:
            raise UnpackError("a column that ends too early")

    def _read_alike(self, control: int, room: Room) -> Iterator[Element | None]:
        """Yield documents or arrays of one shape."""
        root = ARRAY if control == _ROOT_ARRAY else DOCUMENT
        inside = {DOCUMENT} if control == _OBJECTS else {DOCUMENT, ARRAY}
        reader = _ShapeReader(self._raw, inside, room)
        shape = reader.read(root, self.p + 1, 0)
        self.p = open_document(self._raw, self.p + 1) + 1
        if not reader.streams:
            raise UnpackError("a shape without a value")
        yield self._build(shape, room)
        while self._raw[self.p] or reader.streams[0].has_next():
            yield self._build(shape, room)
        if any(stream.has_next() for stream in reader.streams):
            raise UnpackError("fields with different numbers of values")
        self.p += 1

    def _build(self, shape: _Shape, room: Room) -> Element | None:
        """Build the next document of a shape; None where none of its fields is there."""
        body = list[bytes]()
        for key, inner in shape.fields:
            if isinstance(inner, _Stream):
                found = inner.take(self)
            else:
                found = self._build(inner, room)
            room.take(STEP_BYTES)
            if found is not None:
                body.append(b"%c%b\0%b" % (found[0], key, found[1]))
                room.take(len(body[-1]))
        return (shape.kind, enclose(b"".join(body))) if body or not shape.fields else None


class _ShapeReader:
    """Reads a shape; `streams` are those of its fields, in their order."""

    def __init__(self, raw: bytes, inside: set[int], room: Room) -> None:
        self._raw, self._inside, self._room = raw, inside, room
        self.streams = list[_Stream]()

    def read(self, kind: int, start: int, depth: int) -> _Shape:
        """Read the document or array that begins at `start`."""
        if depth > DEEPEST:
            raise UnpackError("a shape that is too deep")
        shape = _Shape(kind, [])
        for inner, key, p, end in elements(self._raw, start):
            self._room.take(STREAM_BYTES)
            if inner in self._inside:
                shape.fields.append((key, self.read(inner, p, depth + 1)))
            else:
                self.streams.append(_Stream((inner, self._raw[p:end])))
                shape.fields.append((key, self.streams[-1]))
        return shape


def read_column(raw: bytes, count: int, room: Room) -> list[Element | None]:
    """Unpack a column of so many values; None is a missing one.

    Raises:
        UnpackError: it has another number of values, or is not packed as MongoDB packs.
        Errors of `NOT_BSON`: it is cut, or broken otherwise.
    """
    room.take(count * STEP_BYTES)
    values = [*islice(_Column(raw).read(room), count + 1)]
    if len(values) != count:
        raise UnpackError("a column has another number of values than the bucket")
    return values


def read_widest(raw: bytes) -> int:
    """Return about how many bytes the longest value of a column has, at most; quickly."""
    p, widest = 0, _SHORT_BYTES + 5
    while raw[p]:
        if raw[p] not in {_OBJECTS, _ARRAYS, _ROOT_ARRAY}:
            p, size = _pass_part(raw, p)
        else:
            start, p = p, open_document(raw, p + 1) + 1
            # Of its fields only strings may become longer: of 7 bytes, 23.
            size = 4 * (p - start)
            while raw[p]:
                p, more = _pass_part(raw, p)
                size += more
            p += 1
        widest = max(widest, size)
    return widest


def _pass_part(raw: bytes, p: int) -> tuple[int, int]:
    """Return where a part ends, and the size of the value that stands there as it is."""
    if raw[p] not in SKIP:
        return p + 9 + 8 * (raw[p] & 15), 0
    end = SKIP[raw[p]](raw, p + 2)
    return end, end - p - 2
