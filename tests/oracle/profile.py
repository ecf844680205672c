"""The tests' own profile: the paths of a collection that hold one scalar kind."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.oracle.fits import find_fit
from tests.oracle.jsonform import decode
from tests.oracle.readings import END_MS, FIRST_MS
from tests.oracle.walk import Value

Path = tuple[str | None, ...]
ELEMENTS = None
DEEPEST = 3
MOST_KEYS = 100
SCALARS = {"string", "bool", "objectid", "date", "decimal", "number"}
NUMBERS = {"int32", "int64", "double"}
FITTING = {"string": ("text", "string"), "decimal": ("numeric", "decimal")}
DATE, UUID = (
    r"[0-9]{4}[-/][0-9]{1,2}([-/][0-9]{1,2}([T ].*)?)?",
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
)
DATA_KEY = re.compile(rf"-?[0-9]+|[0-9a-fA-F]{{24}}|{DATE}|{UUID}|[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass
class Stand:
    """What stands at one path: values by kind, documents by kind, and the keys below it."""

    values: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)

    @property
    def is_map(self) -> bool:
        """Whether the keys below the path are data."""
        return len(self.keys) > MOST_KEYS or 2 * sum(
            DATA_KEY.fullmatch(key) is not None for key in self.keys
        ) > len(self.keys)


def find_uniform(documents: Iterable[Value], *, is_literal: bool = False) -> dict[str, int]:
    """Paths such as `a.b`, `tags[]` or `items[].price` -> number of values of one scalar kind.

    One kind: at least 95 % of the values that are not null, with int32, int64 and double as one,
    the subtype of binaries as part of the kind, and the kinds for which no type exists (regex,
    timestamp, …) left out. A value that fits no column (a string with NUL, Decimal128 1E+3) is of
    no such kind. The path is in at least 1 % of the documents, at most three keys deep, outside
    arrays of arrays, maps with data as keys, and `_id`; and every document or array on the way is
    one in 95 % of the values there, because infer flattens nothing else.

    A literal profile also counts paths inside `_id`, and paths below one that is a container only
    now and then.
    """
    stands: dict[Path, Stand] = defaultdict(Stand)
    count = 0
    for document in documents:
        count += 1
        found_here = Counter(_walk(document, stands))
        for (path, named), values in found_here.items():
            stands[path].values[named] += values
            stands[path].documents[named] += 1
    maps = {path for path, stand in stands.items() if path and stand.is_map}
    found: Counter[str] = Counter()
    for path, stand in stands.items():
        kind = _find_kind(stand, count)
        above = [path[:size] for size in range(1, len(path))]
        is_aside = not is_literal and (
            (len(path) > 1 and path[0] == "_id")
            or not all(_is_container(stands[one]) for one in above)
        )
        if kind and not is_aside and not any(one in maps for one in above):
            found[write_path(path)] += stand.values[kind]
    return dict(found)


def _is_container(stand: Stand) -> bool:
    whole = sum(stand.values.values()) - stand.values["null"]
    return 100 * max(stand.values["document"], stand.values["array"]) >= 95 * whole


def _find_kind(stand: Stand, count: int) -> str | None:
    """The one scalar kind of a path."""
    whole = sum(stand.values.values()) - stand.values["null"]
    kind = max(
        stand.values,
        key=lambda kind: (stand.values[kind] if kind != "null" else -1, kind),
        default="null",
    )
    is_scalar = kind in SCALARS or kind.startswith("binary")
    return (
        kind
        if is_scalar
        and 100 * stand.values[kind] >= 95 * whole
        and 100 * stand.documents[kind] >= count
        else None
    )


def _walk(document: Value, stands: dict[Path, Stand]) -> list[tuple[Path, str]]:
    """Path and kind of every value that is not too deep; keys of documents go to their stands."""
    found: list[tuple[Path, str]] = []
    open_values: list[tuple[Path, Value]] = [((), document)]
    while open_values:
        path, value = open_values.pop()
        found.append((path, _name_kind(value)))
        if value.kind == "array" and path[-1:] != (ELEMENTS,):
            open_values += [((*path, ELEMENTS), inner) for _, inner in value.fields]
        elif value.kind == "document":
            named = [
                (text, inner) for key, inner in value.fields if (text := decode(key)) is not None
            ]
            stands[path].keys.update(key for key, _ in named)
            if sum(key is not ELEMENTS for key in path) < DEEPEST:
                open_values += [((*path, key), inner) for key, inner in named]
    return found


def _name_kind(value: Value) -> str:
    if value.kind == "binary":
        return f"binary_{value.number}"
    if value.kind == "date" and not FIRST_MS <= value.number < END_MS:
        return "unfit date"
    if value.kind in FITTING and not find_fit(value, *FITTING[value.kind]).fits:
        return f"unfit {value.kind}"
    return "number" if value.kind in NUMBERS else value.kind


def write_path(path: Path) -> str:
    """A path as text; dots in keys are escaped."""
    return "".join(
        "[]" if key is ELEMENTS else "." + key.replace(".", "\\.") for key in path
    ).removeprefix(".")
