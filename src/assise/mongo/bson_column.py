"""A BSON column (binary subtype 7): the values of one field of a bucket, packed.

A column is a row of parts, each with a first byte that says what it is, and a 0 at its end: a value
as it is; words of Simple-8b with the differences to the value before; or documents or arrays of one
shape, whose fields are packed each by itself, their parts in the order in which they are needed.
From `src/mongo/bson/column` of MongoDB's source, and its README.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from struct import unpack_from
from typing import NamedTuple

from assise.documents.kinds import ARRAY, DATE, DOCUMENT, DOUBLE, OBJECT_ID, TIMESTAMP
from assise.documents.reader import SKIP, elements, open_document
from assise.documents.writer import Element, enclose
from assise.mongo.column_numbers import LONG, NUMBERS, SHORT_BYTES, scale_doubles
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
            raise UnpackError("it unpacks to more than 16 MB")


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
        if element and element[0] in NUMBERS:
            self._number = NUMBERS[element[0]].read(element[1])

    def expand(self, control: int, words: tuple[int, ...]) -> Iterator[Element | None]:
        """Yield the values that words of differences give."""
        scale, last = _SCALES.get(control & 0xF0), self._last
        kind = last[0] if last else 0
        if scale is None or (scale and kind != DOUBLE):
            raise UnpackError("a part that is not known")
        bits = 128 if kind in LONG else 64
        numbers = NUMBERS.get(kind)
        if last and scale:
            numbers = scale_doubles(scale)
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
        if shape.fields and not body:
            return None
        return shape.kind, enclose(b"".join(body))


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
    p, widest = 0, SHORT_BYTES + 5
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
