"""Values that may join collections: the ids that documents have, and a sample of other values.

A value counts by a number of 61 bits, so that an ObjectId and its 24 digits are the same, and a
UUID and its text. Of a collection's ids so many are kept as there is room for: those whose number
is below a bound. Then other values below the bound are compared with them.
"""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple, Self
from uuid import UUID

from assise.documents.kinds import ARRAY, BINARY, DOCUMENT, DOUBLE, INT32, INT64, OBJECT_ID, STRING
from assise.documents.reader import (
    NOT_BSON,
    SKIP,
    open_document,
    read_binary,
    read_double,
    read_string,
)
from assise.native import find_native

Path = tuple[str, ...]
"""Keys that lead to a value; ELEMENT for the elements of an array."""

ELEMENT = "*"

MOST_IDS = 1 << 18
MOST_SAMPLES = 4_096
MOST_PATHS = 500
MOST_PLACES = 10_000
"""Paths of one chunk that are remembered."""

SAMPLED_DOCUMENTS = 64
"""Documents of a chunk whose values are looked at, evenly spread."""

SAMPLED_BYTES = 1 << 16
SAMPLED_ELEMENTS = 20
SAMPLED_LEVELS = 5
TEXT_BYTES = 100
"""A longer text joins nothing."""

BOUND = (1 << 61) - 1
"""A prime: values that lie close together get different numbers."""

FACTOR = 0x0E37_79B9_7F4A_7C15
"""Spreads the numbers of values that lie close together."""

_FACTOR_BACK = pow(FACTOR, -1, BOUND)
_INT_START = 3 << 100

_ID_START = b"\x07_id\0"
_read_int32, _read_int64 = Struct("<i").unpack_from, Struct("<q").unpack_from
_HEX = frozenset(b"0123456789abcdefABCDEF")


class ValueForm(NamedTuple):
    """A kind of value, as it stands in documents, and whether it joins by itself.

    Numbers and short texts are alike by chance: they join only where a name says so.
    """

    kind: str
    is_telling: bool


OBJECT_IDS, UUIDS = ValueForm("objectId", True), ValueForm("uuid", True)
HEX, UUID_TEXTS = ValueForm("24 hex digits", True), ValueForm("UUID as text", True)
INTS, TEXTS = ValueForm("int", False), ValueForm("string", False)
FORMS = {form.kind: form for form in (OBJECT_IDS, UUIDS, HEX, UUID_TEXTS, INTS, TEXTS)}

POINTER_KEY, POINTER = "_p_", "pointer("
"""How Parse begins the keys of pointers, and how the kinds of such texts begin."""

Read = tuple[ValueForm, int] | None
ReadValue = Callable[[bytes, int, int], Read]
Found = tuple[Path, ValueForm, int]

_MAY_JOIN = frozenset({ARRAY, BINARY, DOCUMENT, DOUBLE, INT32, INT64, OBJECT_ID, STRING})
_CONTAINERS = frozenset({ARRAY, DOCUMENT})
_TELLING_BYTES = frozenset({25, 37})
"""The lowest byte of the length of texts that may join by themselves, with the NUL behind them."""


@dataclass
class _Place:
    """A path, and the places below it.

    Args:
        is_named: whether its name says that it refers to others.
        read: reads the form and number of a value at it.
        is_walked: whether the documents and arrays at it are looked into.
    """

    path: Path
    read: ReadValue
    is_named: bool = False
    is_walked: bool = True
    inner: dict[bytes | None, _Place] = field(default_factory=dict)


@dataclass
class KeptNumbers:
    """The numbers of the values at a path that identify documents; those below `bound` are kept."""

    numbers: array[int] = field(default_factory=lambda: array("Q"))
    bound: int = BOUND
    total: int = 0

    def add(self, numbers: Iterable[int], *, total: int, bound: int = BOUND) -> None:
        """Add numbers, of which there were `total` before those above `bound` were left out."""
        self.total += total
        self.bound = min(self.bound, bound)
        taken = numbers if self.bound == BOUND else [n for n in numbers if n < self.bound]
        self.numbers.extend(taken)
        while len(self.numbers) > MOST_IDS:
            self.bound //= 2
            self.numbers = array("Q", (n for n in self.numbers if n < self.bound))


@dataclass
class Joins:
    """The ids of one collection, or of one chunk of it, and samples of its other values.

    Args:
        fields: the fields whose values identify documents: `_id`, and those with a unique index.
        is_named: whether the name of a field says that its numbers and short texts refer to others.
        classes: the names of the collections, with which texts begin that point into them.
    """

    fields: Sequence[str] = ("_id",)
    is_named: Callable[[str], bool] = lambda _name: False
    classes: Collection[bytes] = frozenset()
    ids: dict[str, KeptNumbers] = field(default_factory=dict)
    samples: dict[tuple[Path, str], array[int]] = field(default_factory=dict)
    documents: int = 0
    looked_at: int = 0
    _root: _Place = field(default_factory=lambda: _Place((), _read_nothing))
    _places: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether the values of all documents were looked at."""
        return self.looked_at >= self.documents

    def add_all(self, documents: Sequence[bytes]) -> None:
        """Add the documents of a chunk; those that are not BSON leave nothing."""
        for name in self.fields:
            found = list_numbers(documents, name)
            self.ids.setdefault(name, KeptNumbers()).add(found, total=len(found))
        self.documents += len(documents)
        for raw in step_over(documents):
            if len(raw) <= SAMPLED_BYTES:
                self._sample(raw)

    def _sample(self, raw: bytes) -> None:
        found: list[Found] = []
        try:
            self._walk(raw, 0, self._root, found)
        except NOT_BSON:
            return
        self.looked_at += 1
        for path, form, number in found:
            place = (path, form.kind)
            numbers = self.samples.get(place)
            if numbers is None:
                if len(self.samples) >= MOST_PATHS:
                    continue
                numbers = self.samples[place] = array("Q")
            if len(numbers) < MOST_SAMPLES:
                numbers.append(number)

    def _walk(
        self, raw: bytes, start: int, level: _Place, found: list[Found], *, is_array: bool = False
    ) -> None:
        """Find the values of a document or array that may join, but for the document's own `_id`.

        All elements of an array are at the place `level`.
        """
        last, p = open_document(raw, start), start + 4
        inner, index, place = level.inner, raw.index, level
        most = SAMPLED_ELEMENTS if is_array else last
        step = _find_step(raw, p, last) if is_array and level.is_named and p < last else 1
        while p < last and most:
            most -= 1
            end = index(0, p + 1)
            kind = raw[p]
            if kind in _MAY_JOIN:
                if not is_array:
                    key = raw[p + 1 : end]
                    place = inner.get(key) or self._find_place(level, key)
                is_plain = raw[end + 1] not in _TELLING_BYTES and not place.is_named
                if (
                    kind == STRING
                    and is_plain
                    and raw.find(b"$", end + 5, end + 5 + TEXT_BYTES) < 0
                ):
                    pass
                elif kind not in _CONTAINERS:
                    read = place.read(raw, kind, end + 1)
                    if read is not None and (place.is_named or read[0].is_telling):
                        found.append((place.path, *read))
                elif place.is_walked and kind == DOCUMENT:
                    self._walk(raw, end + 1, place, found)
                elif place.is_walked and not is_array:
                    elements = self._find_place(place, None)
                    self._walk(raw, end + 1, elements, found, is_array=True)
            p = SKIP[kind](raw, end + 1)
            if step > 1:
                p = _skip_values(raw, p, last, step - 1)

    def _find_place(self, level: _Place, key: bytes | None) -> _Place:
        """The place of a key, or of the elements of an array; at most so many are kept."""
        place = level.inner.get(key)
        if place is None:
            name = ELEMENT if key is None else key.decode(errors="replace")
            path = (*level.path, name)
            is_pointer, is_walked = name.startswith(POINTER_KEY), len(path) <= SAMPLED_LEVELS
            read = _read_nothing if path == ("_id",) else self._read_value
            is_named = is_pointer or is_own_id(path) or self.is_named(name_path(path))
            place = _Place(path, read_pointer if is_pointer else read, is_named, is_walked)
            self._places += 1
            if self._places <= MOST_PLACES:
                level.inner[key] = place
        return place

    def _read_value(self, raw: bytes, kind: int, p: int) -> Read:
        """The value at `p`; a text that names a class points to it, whatever its key is called."""
        if kind == STRING and read_string(raw, p)[0].partition(b"$")[0] in self.classes:
            return read_pointer(raw, kind, p)
        return read_value(raw, kind, p)

    def merge(self, other: Joins) -> None:
        """Add those of the documents that come after."""
        self.documents += other.documents
        self.looked_at += other.looked_at
        for name, ids in other.ids.items():
            own = self.ids.setdefault(name, KeptNumbers())
            own.add(ids.numbers, total=ids.total, bound=ids.bound)
        for place, numbers in other.samples.items():
            if place in self.samples or len(self.samples) < MOST_PATHS:
                kept = self.samples.setdefault(place, array("Q"))
                kept.extend(numbers[: MOST_SAMPLES - len(kept)])

    def as_json(self) -> dict[str, object]:
        """Return it as values that JSON can hold."""
        ids = [
            [name, pack_numbers(ids.numbers), ids.bound, ids.total]
            for name, ids in self.ids.items()
        ]
        samples = [
            [list(path), kind, pack_numbers(numbers)]
            for (path, kind), numbers in self.samples.items()
        ]
        counts = {"documents": self.documents, "looked_at": self.looked_at}
        return {"ids": ids, "samples": samples, **counts}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Return what `as_json` described."""
        joins = cls(documents=found["documents"], looked_at=found["looked_at"])
        for name, numbers, bound, total in found["ids"]:
            joins.ids[name] = KeptNumbers(unpack_numbers(numbers), bound, total)
        for path, kind, numbers in found["samples"]:
            joins.samples[tuple(path), kind] = unpack_numbers(numbers)
        return joins


def is_own_id(path: Path) -> bool:
    """Whether a path is that of the `_id`s of elements."""
    return path[-2:] == (ELEMENT, "_id")


def list_numbers(documents: Sequence[bytes], name: str) -> Sequence[int]:
    """The numbers of the values of a field of documents; none of those that join nothing."""
    module = find_native()
    packed = module.find_numbers(documents, name.encode()) if module else None
    if packed is not None:
        return array("Q", packed)
    from_bytes, key = int.from_bytes, name.encode()
    found = []
    for raw in documents:
        if name == "_id" and raw[4:9] == _ID_START:
            found.append(from_bytes(raw[9:21], "big") * FACTOR % BOUND)
        else:
            read = _read_field(raw, key)
            if read is not None:
                found.append(read[1])
    return found


def step_over(documents: Sequence[bytes]) -> Sequence[bytes]:
    """The documents of a chunk whose values are looked at."""
    return documents[:: max(1, -(-len(documents) // SAMPLED_DOCUMENTS))]


def pack_numbers(numbers: array[int]) -> str:
    """Numbers as a text."""
    return b64encode(numbers.tobytes()).decode()


def unpack_numbers(text: str) -> array[int]:
    """The numbers of such a text."""
    numbers = array("Q")
    numbers.frombytes(b64decode(text))
    return numbers


def _find_step(raw: bytes, p: int, last: int) -> int:
    """Every which element of an array is looked at, as the size of the one at `p` lets expect."""
    size = SKIP[raw[p]](raw, raw.index(0, p + 1) + 1) - p
    return max(1, (last - p) // size // SAMPLED_ELEMENTS)


def _skip_values(raw: bytes, p: int, last: int, count: int) -> int:
    """The place behind so many values from `p` on; `last` where there are fewer."""
    while p < last and count:
        count -= 1
        p = SKIP[raw[p]](raw, raw.index(0, p + 1) + 1)
    return p


def _read_field(raw: bytes, key: bytes) -> Read:
    """The value of a field of a document, if it is of a form that joins."""
    p, last = 4, len(raw) - 1
    try:
        while p < last:
            end = raw.index(0, p + 1)
            if raw[p + 1 : end] == key:
                return read_value(raw, raw[p], end + 1)
            p = SKIP[raw[p]](raw, end + 1)
    except NOT_BSON:
        pass
    return None


def read_value(raw: bytes, kind: int, p: int) -> Read:
    """The form and the number of a value at `p`; None for one that joins nothing."""
    if kind == OBJECT_ID:
        return OBJECT_IDS, _spread(int.from_bytes(raw[p : p + 12], "big"))
    if kind == STRING:
        return _read_text(read_string(raw, p)[0])
    if kind == INT32:
        return INTS, _number_int(_read_int32(raw, p)[0])
    if kind == INT64:
        return INTS, _number_int(_read_int64(raw, p)[0])
    if kind == DOUBLE:
        value: float = read_double(raw, p)[0]
        is_whole = value.is_integer() and abs(value) < 2**63
        return (INTS, _number_int(int(value))) if is_whole else None
    if kind == BINARY:
        subtype, content, _ = read_binary(raw, p)
        return (UUIDS, _number(content)) if subtype == 4 and len(content) == 16 else None
    return None


def _read_nothing(_raw: bytes, _kind: int, _p: int) -> Read:
    return None


def read_pointer(raw: bytes, kind: int, p: int) -> Read:
    """As `read_value`; of a text such as `_User$k3nP0` the class is the form, and the id counts."""
    front, sign, rest = (
        read_string(raw, p)[0].partition(b"$") if kind == STRING else (b"", b"", b"")
    )
    found = _read_text(rest)
    if not sign or not front or found is None:
        return read_value(raw, kind, p)
    return ValueForm(f"{POINTER}{front.decode(errors='replace')})", True), found[1]


def _read_text(text: bytes) -> Read:
    if not 0 < len(text) <= TEXT_BYTES:
        return None
    if len(text) == 24 and _HEX.issuperset(text):
        return HEX, _spread(int(text, 16))
    if len(text) == 36 and text[8] == text[13] == text[18] == text[23] == 0x2D:
        digits = text.replace(b"-", b"")
        if len(digits) == 32 and _HEX.issuperset(digits):
            return UUID_TEXTS, _number(UUID(digits.decode()).bytes)
    return TEXTS, _spread(int.from_bytes(b"\x02" + text, "big"))


def _number(content: bytes) -> int:
    return _spread(int.from_bytes(b"\x01" + content, "big"))


def _number_int(value: int) -> int:
    return _spread(value + _INT_START)


def find_int(number: int) -> int:
    """The integer of up to 60 bits that has a number.

    >>> [find_int(_number_int(value)) for value in (0, 7, -(2**59))] == [0, 7, -(2**59)]
    True
    """
    value = (number * _FACTOR_BACK - _INT_START) % BOUND
    return value if value <= BOUND // 2 else value - BOUND


def _spread(value: int) -> int:
    return value * FACTOR % BOUND


@lru_cache(maxsize=10_000)
def name_path(path: Path) -> str:
    """The name of a path, for what it may refer to: its last key, of `customer.id` both.

    >>> name_path(("customer", "Id")), name_path(("tagIds", "*")), name_path(("by", "user"))
    ('customer_id', 'tagIds', 'user')
    """
    keys = [key for key in path if key != ELEMENT] or [ELEMENT]
    is_id = keys[-1].strip("_$").lower() == "id"
    return f"{keys[-2]}_id" if is_id and len(keys) > 1 else keys[-1]
