"""The equality of the first law, between two documents as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from tests.oracle.walk import Value, parse

Pair = tuple["Place", Value, Value, bool]


@dataclass(frozen=True)
class Place:
    """A link of a path: written out only where something differs, for paths may be 100,000 levels long."""

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
    """Whether two documents are equal; identical bytes are, whatever they hold."""
    return a == b or not differences(a, b)


def differences(a: bytes, b: bytes) -> list[str]:
    """What differs, one line a place; empty when the documents are equal.

    The order of fields counts inside the top-level `_id` only, the order among equal keys everywhere; an int32 and an int64 of one number
    are equal; everything else is compared by kind and bytes.

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
    return "missing" if value is None else f"{value.kind} {value.raw[:40].hex()}"


def _pair_in_order(
    path: Place, left: Value, right: Value, in_id: bool, found: list[str]
) -> list[Pair]:
    pairs: list[Pair] = []
    keyed = left.kind != "array"
    for number, (one, other) in enumerate(zip_longest(left.fields, right.fields)):
        if one and other and (not keyed or one[0] == other[0]) and _is_same_leaf(one[1], other[1]):
            continue
        key = repr(one[0] if one else other[0])[1:] if keyed else str(number)
        if not one or not other or (keyed and one[0] != other[0]):
            found.append(
                f"{Place(key, path)}: {_describe(one and one[1])}, {_describe(other and other[1])}, in order"
            )
        else:
            pairs.append((Place(key, path), one[1], other[1], in_id))
    return pairs


def _pair_by_key(path: Place, left: Value, right: Value, found: list[str]) -> list[Pair]:
    pairs: list[Pair] = []
    one, other = _group(left), _group(right)
    for key in one | other:
        for number, (a, b) in enumerate(zip_longest(one.get(key, []), other.get(key, []))):
            if a and b and _is_same_leaf(a, b):
                continue
            place = Place(repr(key)[1:] + (f"({number})" if number else ""), path)
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
