"""The buckets in which MongoDB keeps a time series, and the measurements in them.

A bucket has in `meta` what its measurements share, and in `data` a column for each other field:
of version 1 documents such as `{"0": 1.5, "1": 1.75}`, of versions 2 and 3 BSON columns, packed.
`control` has the version, the number of measurements, and the least and greatest value of each
field. From `src/mongo/db/timeseries/README.md` of MongoDB's source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from assise.documents.kinds import BINARY, DATE, DOCUMENT, DOUBLE, INT32, INT64, OBJECT_ID
from assise.documents.reader import (
    NOT_BSON,
    SKIP,
    check_document,
    elements,
    read_binary,
    read_double,
    read_int32,
    read_int64,
)
from assise.documents.writer import Element, enclose
from assise.mongo.bson_column import Room, read_column, read_widest
from assise.mongo.simple8b import UnpackError

MOST = 1 << 17
"""Measurements of a bucket at most; MongoDB puts 1,000 into one unless it is told otherwise."""

MOST_BYTES = 16 << 20
"""Bytes of the measurements of a bucket, at most: as many as the largest document has."""

MOST_FIELDS = 1 << 14
"""Fields of the measurements of a bucket, at most."""

INDEX_BITS = 20
"""Bits of a measurement's number beside the offset of its bucket."""

_COLUMN = 7
_PLAIN, _PACKED = 1, {2, 3}
_KINDS = {b"control": DOCUMENT, b"data": DOCUMENT}
_FRAME = 64
_Read = Callable[[bytes], tuple[float, ...]]
_NUMBERS: dict[int, _Read] = {INT32: read_int32, INT64: read_int64, DOUBLE: read_double}
_DATES: dict[int, _Read] = {DATE: read_int64}
_IDS: dict[int, _Read] = {OBJECT_ID: lambda value: (int.from_bytes(value),)}

_Fields = dict[bytes, Element]
_Bodies = dict[int, bytearray]
"""By the number of a measurement its fields, as they stand in its document."""


class Series(NamedTuple):
    """The names of a time series' fields: that of the time, if it is known, and that of `meta`."""

    time: bytes | None = None
    meta: bytes = b"meta"


class _Bucket(NamedTuple):
    """The parts of a bucket; `length` is 0 in a bucket of version 1, which does not say it."""

    is_packed: bool
    length: int
    meta: Element | None
    data: _Fields
    control: _Fields


def unpack_bucket(raw: bytes, series: Series) -> list[tuple[int, bytes]]:
    """Return the measurements of a bucket, each with its number in the bucket.

    Raises:
        UnpackError: they cannot be had.
    """
    try:
        check_document(raw)
        bucket = _open(raw)
        if bucket.meta and series.meta in bucket.data:
            raise UnpackError("a field has the name of the meta field")
        unpack = _unpack_columns if bucket.is_packed else _unpack_documents
        room = Room(MOST_BYTES)
        bodies = unpack(bucket, series.time, room)
    except UnpackError:
        raise
    except NOT_BSON as error:
        raise UnpackError("it is broken") from error
    shared = _write(series.meta, bucket.meta) if bucket.meta else b""
    room.take((len(shared) + _FRAME) * len(bodies))
    return [(number, enclose(shared + body)) for number, body in sorted(bodies.items())]


def is_bucket(raw: bytes) -> bool:
    """Return whether a document is a bucket, by its parts."""
    try:
        return {b"control", b"data"} <= {key for _, key, _, _ in elements(raw)}
    except NOT_BSON:
        return False


def weigh_bucket(raw: bytes) -> int:
    """Return about how many bytes the measurements of a bucket have, at most; quickly."""
    try:
        bucket = _open(raw)
        each = _FRAME + sum(map(len, bucket.data))
        if bucket.meta:
            each += len(bucket.meta[1])
        if bucket.is_packed:
            each += sum(map(read_widest, map(_read_packed, bucket.data.values())))
            return bucket.length * each
        return len(raw) + each * max(_count(column) for _, column in bucket.data.values())
    except NOT_BSON:
        return len(raw)


def _count(raw: bytes) -> int:
    """Count the elements of a document, as quickly as that can be done."""
    count, p, last = 0, 4, len(raw) - 1
    while p < last:
        p = SKIP[raw[p]](raw, raw.index(0, p + 1) + 1)
        count += 1
    return count


def _open(raw: bytes) -> _Bucket:
    parts = _read_fields(raw)
    if not _KINDS.items() <= {name: kind for name, (kind, _) in parts.items()}.items():
        raise UnpackError("it is no bucket")
    control, data = (_read_fields(parts[name][1]) for name in _KINDS)
    version = _read_number(_NUMBERS, control.get(b"version"))
    if version != _PLAIN and version not in _PACKED:
        raise UnpackError("its version is not known")
    if not data:
        raise UnpackError("it has no data")
    if version == _PLAIN:
        return _Bucket(False, 0, parts.get(b"meta"), data, control)
    count = _read_number(_NUMBERS, control.get(b"count"))
    if count not in range(1, MOST + 1):
        raise UnpackError("the number of its measurements is missing, or cannot be")
    return _Bucket(True, int(count or 0), parts.get(b"meta"), data, control)


def _unpack_documents(bucket: _Bucket, time: bytes | None, room: Room) -> _Bodies:
    bodies = _Bodies()
    times: set[int] | None = None
    for name, (kind, column) in bucket.data.items():
        if kind != DOCUMENT:
            raise UnpackError("a column is no document")
        seen = set[int]()
        for inner, key, start, end in elements(column):
            number = _read_key(key)
            if number in seen:
                raise UnpackError("a measurement has two values of one field")
            seen.add(number)
            _add(bodies, number, _write(name, (inner, column[start:end])), room)
        times = seen if name == time else times
    if time is not None and times != bodies.keys():
        raise UnpackError(_WITHOUT_TIME)
    return bodies


def _unpack_columns(bucket: _Bucket, time: bytes | None, room: Room) -> _Bodies:
    bodies = {number: bytearray() for number in range(bucket.length)}
    if time is not None and time not in bucket.data:
        raise UnpackError(_WITHOUT_TIME)
    for name, packed in bucket.data.items():
        values = read_column(_read_packed(packed), bucket.length, room)
        if name == time and None in values:
            raise UnpackError(_WITHOUT_TIME)
        _check_bounds(bucket.control, name, values)
        for number, value in enumerate(values):
            if value is not None:
                _add(bodies, number, _write(name, value), room)
    return bodies


_WITHOUT_TIME = "a measurement is without its time"


def _add(bodies: _Bodies, number: int, field: bytes, room: Room) -> None:
    room.take(len(field))
    if number not in bodies:
        if len(bodies) == MOST:
            raise UnpackError("it has too many measurements")
        bodies[number] = bytearray()
    bodies[number] += field


def _check_bounds(control: _Fields, name: bytes, values: Sequence[Element | None]) -> None:
    """Check that values lie between the least and the greatest that the bucket names.

    Of texts the collation decides which is the least: only numbers, dates and ObjectIds are looked at.

    So a column that is read wrongly is noticed. The least time is rounded: of times before 1970
    MongoDB has rounded it up.
    """
    least, most = (_read_bound(control.get(side), name) for side in (b"min", b"max"))
    for kinds in (_NUMBERS, _DATES, _IDS):
        floor, ceiling = _read_number(kinds, least), _read_number(kinds, most)
        if floor is not None and floor <= 0 and kinds is _DATES:
            floor = None
        for value in values if (floor, ceiling) != (None, None) else ():
            number = _read_number(kinds, value)
            if number is None:
                continue
            if (floor is not None and number < floor) or (ceiling is not None and number > ceiling):
                raise UnpackError("a value is not between its least and greatest one")


def _read_bound(side: Element | None, name: bytes) -> Element | None:
    return _read_fields(side[1]).get(name) if side and side[0] == DOCUMENT else None


def _read_number(kinds: Mapping[int, _Read], found: Element | None) -> float | None:
    if found is None or found[0] not in kinds:
        return None
    kind, value = found
    return kinds[kind](value)[0]


def _read_key(key: bytes) -> int:
    """Return the number of a measurement, which is a key of a column of version 1."""
    number = int(key) if key.isdigit() and len(key) < 8 else -1
    if not 0 <= number < 1 << INDEX_BITS or key != b"%d" % number:
        raise UnpackError("a key of a column is no number of a measurement")
    return number


def _read_packed(found: Element) -> bytes:
    if found[0] != BINARY:
        raise UnpackError("a column is not packed")
    subtype, content, _ = read_binary(found[1], 0)
    if subtype != _COLUMN:
        raise UnpackError("a column is not packed")
    return content


def _read_fields(raw: bytes) -> _Fields:
    fields: _Fields = {}
    for kind, key, start, end in elements(raw):
        if key in fields:
            raise UnpackError("a field stands in it twice")
        if len(fields) == MOST_FIELDS:
            raise UnpackError("it has too many fields")
        fields[key] = kind, raw[start:end]
    return fields


def _write(name: bytes, element: Element) -> bytes:
    return b"%c%b\0%b" % (element[0], name, element[1])
