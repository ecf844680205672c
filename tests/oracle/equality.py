"""The equality of the first law, between two documents as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from tests.oracle.walk import Value, parse

Pair = tuple["Place", Value, Value, bool]


@dataclass(frozen=True)
class Place:
    """A link of a path of up to 100,000 levels: it is written only where values differ."""

    key: str = ""
    above: Place | None = None

    def __str__(self) -> str:
        keys: list[str] = []
        place: Place | None = self
        while place and place.above:
            keys.append(place.key)
            place = place.above
        return ".".join(reversed(keys)) or "."


def equal(a: bytes, b: bytes) -> bool:
    """Return whether two documents are equal; identical bytes always are."""
    return a == b or not differences(a, b)


def differences(a: bytes, b: bytes) -> list[str]:
    """Return the differences, one line a place; none when the documents are equal.

    The order of fields counts inside the top-level `_id` only, the order among equal keys
    everywhere. An int32 and an int64 of one number are equal; all other values are compared by kind
    and bytes.

    Raises:
        NotBson: one of the two is not BSON.
    """
    return compare(parse(a), parse(b))


def compare(one: Value, other: Value) -> list[str]:
    """The differences of two documents."""
    found: list[str] = []
    pairs: list[Pair] = [(Place(), one, other, False)]
    while pairs:
        path, left, right, in_id = pairs.pop()
        if _find_scalar(left) != _find_scalar(right):
            found.append(f"{path}: {_describe(left)}, {_describe(right)}")
        elif left.kind == "array" or in_id:
            pairs += _pair_in_order(path, left, right, in_id, found)
        else:
            pairs += _pair_by_key(path, left, right, found)
    return sorted(found)


def _find_scalar(value: Value) -> tuple[str, bytes, bytes, int]:
    kind = "int" if value.kind in {"int32", "int64"} else value.kind
    return kind, value.content, value.more, value.number


def _is_same_leaf(left: Value, right: Value) -> bool:
    return not left.fields and not right.fields and _find_scalar(left) == _find_scalar(right)


def _describe(value: Value | None) -> str:
    if value is None:
        return "missing"
    return f"{value.kind} {value.raw[:40].hex()}"


def _pair_in_order(
    path: Place, left: Value, right: Value, in_id: bool, found: list[str]
) -> list[Pair]:
    pairs: list[Pair] = []
    keyed = left.kind != "array"
    fields = zip_longest(left.fields, right.fields, fillvalue=(b"", None))
    for number, ((key, one), (other_key, other)) in enumerate(fields):
        name = str(number)
        if keyed:
            name = repr(key if one else other_key)[1:]
        place = Place(name, path)
        is_apart = keyed and key != other_key
        if one is None or other is None or is_apart:
            found.append(f"{place}: {_describe(one)}, {_describe(other)}, in order")
        elif not _is_same_leaf(one, other):
            pairs.append((place, one, other, in_id))
    return pairs


def _pair_by_key(path: Place, left: Value, right: Value, found: list[str]) -> list[Pair]:
    pairs: list[Pair] = []
    one, other = _group(left), _group(right)
    for key in one | other:
        values = zip_longest(one.get(key, []), other.get(key, []))
        for number, (a, b) in enumerate(values):
            if a and b and _is_same_leaf(a, b):
                continue
            name = repr(key)[1:]
            place = Place(f"{name}({number})" if number else name, path)
            if a is None or b is None:
                found.append(f"{place}: {_describe(a)}, {_describe(b)}")
            else:
                pairs.append((place, a, b, path.above is None and key == b"_id"))
    return pairs


def _group(value: Value) -> dict[bytes, list[Value]]:
    groups: dict[bytes, list[Value]] = {}
    for key, inner in value.fields:
        groups.setdefault(key, []).append(inner)
    return groups
