"""BSON columns packed by hand, for tests: after the description in MongoDB's source, not by assise.

Every choice that a packer has is drawn: where values stand as they are, which differences share a
word, which selector it has, and what is repeated. A missing value is `...`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import bson
from bson import Binary, Decimal128, Int64, ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion

Draw = Callable[[int], int]
"""Of 0 to `n - 1`, which one."""

Value = object
Part = tuple[bytes, int]
"""The bytes of a part of a column, and how many values it has."""

WIDTHS = b"\1\2\3\4\5\6\7\x08\x0a\x0c\x0f\x14\x1e\x3c"
SEVEN, EIGHT, LARGE = (
    b"\2\3\4\5\7\x0a\x0e\x18\x34",
    b"\4\5\7\x0a\x0e\x18\x34",
    b"\4\6\x09\x0d\x17\x33",
)
# By selector and extension: the bits of a number, of its count of zeros, and the zeros of each.
SLOTS: dict[tuple[int, int], tuple[int, int, int]] = {}
for n, bits in enumerate(WIDTHS, 1):
    SLOTS[n, 0] = bits, 0, 0
for n, bits in enumerate(SEVEN, 1):
    SLOTS[7, n] = bits, 4, 1
for n, bits in enumerate(EIGHT, 1):
    SLOTS[8, n] = bits, 4, 4
for n, bits in enumerate(LARGE, 8):
    SLOTS[8, n] = bits, 5, 4
SCALES = {0: 8, 1: 9, 10: 10, 100: 11, 10_000: 12, 100_000_000: 13}
OPTIONS: CodecOptions[dict[str, object]] = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME
)


def write_slot(number: int | None, bits: int, zero_bits: int, each: int) -> int:
    """The bits of one number; -1 where it does not fit."""
    if number is None:
        return (1 << bits + zero_bits) - 1
    zeros, most = 0, (1 << zero_bits) - 1
    while number and zeros < most and number % (1 << each) == 0:
        number, zeros = number >> each, zeros + 1
    slot = number << zero_bits | zeros
    is_missing = slot == (1 << bits + zero_bits) - 1
    return -1 if number >> bits or is_missing else slot


def list_words(numbers: Sequence[int | None], before: int | None) -> Iterator[Part]:
    """The words that the first of some numbers fit into, and how many fit."""
    run = 0
    while run < min(len(numbers), 1920) and numbers[run] == before:
        run += 1
    if run >= 120:
        times = run // 120
        yield struct.pack("<Q", 15 | (times - 1) << 4), times * 120
    for (selector, extension), (bits, zero_bits, each) in SLOTS.items():
        start, width = 8 if selector in {7, 8} else 4, bits + zero_bits
        count = (64 - start) // width
        slots = [write_slot(number, bits, zero_bits, each) for number in numbers[:count]]
        if len(slots) == count and -1 not in slots:
            word = selector | extension << 4
            for i, slot in enumerate(slots):
                word |= slot << start + i * width
            yield struct.pack("<Q", word), count


def pack_words(numbers: Sequence[int | None], draw: Draw) -> list[Part]:
    """Words of Simple-8b for as many of the numbers as fit one."""
    words, p, before = list[Part](), 0, 0
    last: int | None = before
    while p < len(numbers):
        fitting = [*list_words(numbers[p:], last)]
        if not fitting:
            break
        chosen = fitting[draw(len(fitting))]
        words.append(chosen)
        p += chosen[1]
        last = numbers[p - 1]
    return words


def write_value(value: Value) -> bytes:
    """Type, no name, and the bytes of a value; nothing of a missing one."""
    if value is ...:
        return b""
    return bson.encode({"": value})[4:-1]


def write_number(value: Value, scale: int) -> int | None:
    """The number of a value; None where it has none."""
    raw = write_value(value)[2:]
    match value:
        case bool() | Int64() | datetime() | Decimal128():
            return int.from_bytes(raw, "little")
        case int():
            return value % (1 << 64)
        case float() if not scale:
            return int.from_bytes(raw, "little")
        case float():
            if not abs(value * scale) <= 1 << 53:
                return None
            whole = round(value * scale)
            is_exact = struct.pack("<d", whole / scale) == raw
            return whole % (1 << 64) if is_exact else None
        case ObjectId():
            order = (0, 1, 9, 2, 10, 3, 11)
            return int.from_bytes(bytes(value.binary[i] for i in order), "big")
        case str():
            text = value.encode()
            return int.from_bytes(text) if len(text) <= 16 else None
        case bytes():
            return int.from_bytes(value, "little") if len(value) <= 16 else None
        case _:
            return None


def is_like(one: Value, other: Value) -> bool:
    """Whether a value can be told by its difference to another one, if both have numbers."""
    if isinstance(one, ObjectId) and isinstance(other, ObjectId):
        return one.binary[4:9] == other.binary[4:9]
    if isinstance(one, bytes) and isinstance(other, bytes):
        subtypes = [getattr(each, "subtype", 0) for each in (one, other)]
        return len(one) == len(other) and subtypes[0] == subtypes[1]
    return True


def list_differences(
    last: Value, values: Sequence[Value], scale: int, steps: list[int]
) -> list[int | None]:
    """The differences of values to the ones before, as far as they go; None for a missing one.

    `steps` ends in the step that led to `last`; one is added for each value.
    """
    found = list[int | None]()
    bits = 128 if isinstance(last, str | bytes | Decimal128) else 64
    number = write_number(last, scale)
    for value in values:
        if value is ...:
            found.append(None)
            steps.append(steps[-1])
            continue
        following = write_number(value, scale)
        if last is ... or write_value(last)[0] != write_value(value)[0]:
            break
        if number is None or following is None:
            if write_value(last) != write_value(value):
                break
            change = 0
        elif not is_like(last, value):
            break
        else:
            change = following - number
        steps.append(change)
        if isinstance(value, datetime | ObjectId):
            change -= steps[-2]
        half = 1 << bits - 1
        change = (change + half) % (2 * half) - half
        found.append((change << 1) ^ (change >> bits))
        last, number = value, following
    return found


def pack_parts(values: Sequence[Value], draw: Draw, last: Value = ...) -> list[Part]:
    """The parts of a column; `last` is a value that was there before the first."""
    parts, p, step = list[Part](), 0, 0
    while p < len(values):
        scale = 0
        if isinstance(last, float):
            scale = [*SCALES][draw(len(SCALES))]
        words, steps = list[Part](), [step]
        if draw(8) and (not scale or write_number(last, scale) is not None):
            differences = list_differences(last, values[p:], scale, steps)
            words = pack_words(differences, draw)[: 1 + draw(16)]
        if words:
            count = sum(count for _, count in words)
            control = SCALES[scale] << 4 | len(words) - 1
            content = b"".join(word for word, _ in words)
            parts.append((bytes([control]) + content, count))
            there = [each for each in values[p : p + count] if each is not ...]
            last = there[-1] if there else last
            p, step = p + count, steps[count]
        elif values[p] is not ...:
            last, step = values[p], 0
            parts.append((write_value(last), 1))
            p += 1
    return parts


def pack(values: Sequence[Value], draw: Draw) -> bytes:
    """A whole column."""
    return b"".join(part for part, _ in pack_parts(values, draw)) + b"\0"


def list_leaves(
    shape: Mapping[str, Value], path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """The paths of the fields of a document that are no documents."""
    for key, value in shape.items():
        if isinstance(value, Mapping):
            yield from list_leaves(value, (*path, key))
        else:
            yield (*path, key)


def find(document: Value, path: Sequence[str]) -> Value:
    """The value at a path; `...` where there is none."""
    for key in path:
        document = document.get(key, ...) if isinstance(document, Mapping) else ...
    return document


def pack_documents(
    shape: Mapping[str, Value], documents: Sequence[Mapping[str, Value]], draw: Draw
) -> bytes:
    """The part of a column with documents whose fields are some of a shape's."""
    waiting = dict[tuple[str, ...], Iterator[Part]]()
    for path in list_leaves(shape):
        values = [find(document, path) for document in documents]
        waiting[path] = iter(pack_parts(values, draw, find(shape, path)))
    left, packed = dict.fromkeys(waiting, 0), b"\xf0" + bson.encode(shape)
    for _ in documents:
        for path, parts in waiting.items():
            if not left[path]:
                part, left[path] = next(parts)
                packed += part
            left[path] -= 1
    return packed + b"\0"


def decode(element: tuple[int, bytes] | None) -> Value:
    """A value as pymongo's `bson` reads it; `...` for a missing one."""
    if element is None:
        return ...
    kind, value = element
    body = bytes([kind, 0]) + value + b"\0"
    size = struct.pack("<i", len(body) + 4)
    return bson.decode(size + body, OPTIONS)[""]


def make_bucket(
    data: Mapping[str, bytes], count: int, *, version: int = 2, **others: object
) -> dict[str, object]:
    """A bucket of packed columns."""
    control = {"version": version, "min": {}, "max": {}, "count": count}
    columns = {name: Binary(column, 7) for name, column in data.items()}
    return {"_id": ObjectId(), "control": control, "data": columns, **others}
