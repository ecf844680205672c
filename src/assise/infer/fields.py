"""What becomes of each path of a profile: a column, a flattened document, a child table, or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from assise.infer.evidence import array_evidence, column_evidence
from assise.infer.profile import FLATTENED_LEVELS, MAP_KEYS
from assise.infer.tree import Path
from assise.manifest.paths import format_path
from assise.types.table import PROPOSED, TYPES
from assise.wording import escape

Ids = Literal["uuid", "text"]
Choice = tuple[str, str, frozenset[str]]
"""Type, kind, and the names of the profile's kinds that such a column holds."""

INTS = frozenset({"int32", "int64"})
NUMBERS = INTS | {"double"}

_DATA_KEY_SIZE = 254
_DATA_KEY = re.compile(
    r"[0-9]+|[0-9]{4}[-/._][0-9]{1,2}([-/._][0-9]{1,2}([T ][0-9:.,]*(Z|[+-][0-9:]+)?)?)?|[0-9a-fA-F]{24}"
    r"|[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[^@\s]+@[^@\s]+\.[^@\s]+"
)


@dataclass(frozen=True)
class FieldColumn:
    """A column to be: the keys that it reads, what it is, in how many rows the path occurs, and why."""

    keys: tuple[str, ...]
    type: str
    kind: str
    count: int
    evidence: str


@dataclass(frozen=True)
class FieldTable:
    """A child table to be: the keys of its array, the number of elements, and what its own rows have."""

    keys: tuple[str, ...]
    rows: int
    fields: list[FieldColumn | FieldTable]


@dataclass(frozen=True)
class Finder:
    """Finds the fields of one collection; what a person should know goes to `notes`."""

    collection: str
    ids: Ids
    notes: list[str]

    def find_fields(self, root: Path, rows: int) -> list[FieldColumn | FieldTable]:
        """The columns and child tables of the documents at `root`, the root's `_id` left out."""
        return [
            field
            for key, path in root.children.items()
            if key != "_id"
            for field in self._find(path, (key,), rows, "document")
        ]

    def _find(
        self, path: Path, keys: tuple[str, ...], rows: int, row: str
    ) -> Iterator[FieldColumn | FieldTable]:
        if not path.set_values:
            return
        is_flat = (
            _is_share(path.kinds.get("document", 0), path.set_values, 95)
            and len(keys) <= FLATTENED_LEVELS
        )
        if is_flat and not is_map(path):
            for key, child in path.children.items():
                yield from self._find(child, (*keys, key), rows, row)
        elif path.values >= 100 or _is_share(path.values, rows, 1):
            yield self._make(path, keys, rows, row)

    def _make(
        self, path: Path, keys: tuple[str, ...], rows: int, row: str
    ) -> FieldColumn | FieldTable:
        if _is_share(path.kinds.get("array", 0), path.set_values, 90):
            return self._make_array(path, keys, rows, row)
        column_type, kind, held = choose_type(path.kinds, self.ids) or (
            "jsonb",
            "every",
            frozenset(path.kinds),
        )
        if column_type == "jsonb" and path.kinds.get("document") and is_map(path):
            self._note_map(keys)
        return FieldColumn(
            keys, column_type, kind, path.values, column_evidence(path, held, rows=rows, row=row)
        )

    def _make_array(
        self, path: Path, keys: tuple[str, ...], rows: int, row: str
    ) -> FieldColumn | FieldTable:
        element = path.element
        documents = element.kinds.get("document", 0) if element else 0
        if element and documents and _is_share(documents, element.set_values, 90):
            if is_map(element):
                self._note_map(keys)
            elif fields := self._find_elements(element):
                return FieldTable(keys, element.values, fields)
        found = choose_type(element.kinds, self.ids) if element and element.set_values else None
        is_typed = (
            element is not None
            and found is not None
            and f"{found[0]}[]" in TYPES
            and _most_arrays_fit(path, element, found)
        )
        column_type, kind = (
            (f"{found[0]}[]", found[1]) if found and is_typed else ("jsonb", "every")
        )
        evidence = array_evidence(path, rows=rows, row=row, is_typed=is_typed)
        return FieldColumn(keys, column_type, kind, path.values, evidence)

    def _find_elements(self, element: Path) -> list[FieldColumn | FieldTable]:
        rows = element.values
        return [
            field
            for key, path in element.children.items()
            for field in self._find(path, (key,), rows, "element")
        ]

    def _note_map(self, keys: tuple[str, ...]) -> None:
        self.notes.append(
            f"{escape(self.collection)}: {escape(format_path(keys))} is a map whose keys are data: one jsonb column"
        )


def _most_arrays_fit(path: Path, element: Path, choice: Choice) -> bool:
    """Whether 90 % of the arrays hold nothing else than the choice, even if each other element stands in an array of its own."""
    held = sum(element.kinds.get(kind, 0) for kind in choice[2])
    arrays = path.kinds.get("array", 0)
    return 10 * (element.set_values - held) <= arrays


def choose_type(kinds: dict[str, int], ids: Ids) -> Choice | None:
    """The type of a column for these values; None where no kind, or int and double together, has 90 % of those that are not null."""
    total = sum(count for kind, count in kinds.items() if kind != "null")
    if _is_share(sum(kinds.get(kind, 0) for kind in NUMBERS), total, 90):
        return _choose_number(kinds)
    for kind, count in kinds.items():
        if kind != "null" and _is_share(count, total, 90):
            return _scalar(kind, ids)
    return None


def _choose_number(kinds: dict[str, int]) -> Choice:
    """The type for the numbers among these values."""
    if "double" not in kinds:
        return ("int8", "int64", INTS) if "int64" in kinds else ("int4", "int32", INTS)
    return (
        ("numeric", "number", NUMBERS)
        if INTS & kinds.keys()
        else ("float8", "double", frozenset({"double"}))
    )


def _scalar(kind: str, ids: Ids) -> Choice | None:
    if kind == "objectId" and ids == "text":
        return "text", "objectid", frozenset({kind})
    found = PROPOSED.get(kind)
    return (*found, frozenset({kind})) if found else None


def is_map(path: Path) -> bool:
    """Whether the keys of the documents at a path are data: very many, or dates, ids, numbers or addresses over values of one shape."""
    names = path.children.keys()
    if len(names) > MAP_KEYS:
        return True
    data = sum(
        len(name) <= _DATA_KEY_SIZE and _DATA_KEY.fullmatch(name) is not None for name in names
    )
    if len(names) < 2 or 2 * data <= len(names):
        return False
    shapes = {
        "number" if kind in NUMBERS else kind
        for child in path.children.values()
        for kind in child.kinds
        if kind != "null"
    }
    return len(shapes) <= 1


def _is_share(part: int, whole: int, percent: int) -> bool:
    return 100 * part >= percent * whole
