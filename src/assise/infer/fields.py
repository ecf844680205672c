"""The choice for each path of a profile: column, flattened document, child table, or nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from assise.infer import legacy
from assise.infer.evidence import array_evidence, column_evidence
from assise.infer.names import describe_key, snake_case
from assise.infer.readings import (
    INTS,
    NUMBERS,
    ColumnChoice,
    choose_moment,
    choose_whole,
    is_whole_by_name,
    list_joins,
)
from assise.infer.tree import EMPTY, FRACTION, MAP_KEYS, VAST, WORDS, PathProfile, merge_paths
from assise.infer.walk import FLATTENED_LEVELS
from assise.manifest.paths import format_path
from assise.types.table import PROPOSED, TYPES
from assise.wording import escape

Ids = Literal["uuid", "text"]
"""The type of the columns that hold ObjectIds."""


MANY_KEYS = 20
"""Keys of a flattened document from which on they may be data."""

_DATA_KEY_SIZE = 254
# Numbers, dates, ObjectIds, hashes and UUIDs, addresses.
_DATA_KEY = re.compile(
    r"[0-9]+|[0-9]{4}[-/._][0-9]{1,2}([-/._][0-9]{1,2}([T ][0-9:.,]*(Z|[+-][0-9:]+)?)?)?"
    r"|[0-9a-fA-F]{24}|[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|[^@\s]+@[^@\s]+\.[^@\s]+"
)


@dataclass(frozen=True)
class FieldColumn:
    """A proposed column: the keys that it reads, its type and kind, its rows, and the evidence.

    is_pure: whether it holds or reads all values that are not null.
    is_full: whether, besides, every row has a value.
    is_null: whether more of its documents have a null than nothing.
    joins: what it could be to join another column, by the family of the other one's type.
    """

    keys: tuple[str, ...]
    type: str
    kind: str
    count: int
    evidence: str
    is_pure: bool = False
    is_full: bool = False
    is_null: bool = False
    joins: Mapping[str, ColumnChoice] = field(default_factory=dict)


@dataclass(frozen=True)
class FieldTable:
    """A proposed child table: the keys of its array, the number of elements, and their fields.

    absent: what more of the documents have than anything else without elements.
    """

    keys: tuple[str, ...]
    rows: int
    fields: list[AnyField]
    absent: str = ""


@dataclass(frozen=True)
class FieldNull:
    """A field without a column that is null in most documents."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class FieldDocument:
    """A document that is there in nearly all rows, though no cell may say so."""

    keys: tuple[str, ...]


AnyField = FieldColumn | FieldTable | FieldNull | FieldDocument


@dataclass(frozen=True)
class Finder:
    """Finds the fields of one collection; remarks for the user are added to `notes`.

    `many` are remarks on documents of many keys, `legacy` the paths of UUIDs of subtype 3, each
    with a sample.
    """

    collection: str
    ids: Ids
    notes: list[str]
    many: list[str] = field(default_factory=list)
    legacy: list[tuple[str, bytes]] = field(default_factory=list)

    def find_fields(self, root: PathProfile, rows: int) -> list[AnyField]:
        """Return the columns and child tables of the documents at `root`, but for their `_id`."""
        return [
            field
            for key, path in root.children.items()
            if key != "_id"
            for field in self._find(path, (key,), _Rows(rows, rows, "document", root.children))
        ]

    def _find(self, path: PathProfile, keys: tuple[str, ...], rows: _Rows) -> Iterator[AnyField]:
        """The fields at a path, and those below it."""
        is_flat = (
            _is_share(path.kinds.get("document", 0), path.set_values, 95)
            and len(keys) <= FLATTENED_LEVELS
            and not is_map(path)
        )
        is_null = rows.is_null(path)
        if not path.set_values or is_flat:
            if len(path.children) >= MANY_KEYS:
                self._note_many(keys, len(path.children))
            inner = rows._replace(level=path.kinds.get("document", 0), beside=path.children)
            found = [
                field
                for key, child in path.children.items()
                for field in self._find(child, (*keys, key), inner)
            ]
            if _is_silent(path, rows, found):
                yield FieldDocument(keys)
            elif is_null:
                yield FieldNull(keys)
            yield from found
        elif path.values >= 100 or _is_share(path.values, rows.total, 1):
            yield self._make(path, keys, rows)
        elif is_null:
            yield FieldNull(keys)

    def _make(self, path: PathProfile, keys: tuple[str, ...], rows: _Rows) -> AnyField:
        if table := self._make_table(path, keys, rows):
            return table
        if _is_share(path.kinds.get("array", 0), path.set_values, 90):
            return self._make_array(path, keys, rows)
        choice = self._choose_reading(path, keys) or choose_column(path, self.ids)
        if choice is None:
            choice = ColumnChoice("jsonb", "every", frozenset(path.kinds))
        if choice.type == "jsonb" and path.kinds.get("document") and is_map(path):
            self._note_map(keys)
        evidence = column_evidence(path, choice, rows=rows.total, row=rows.name)
        evidence = self._say_more(evidence, path, keys, choice)
        for more in (_say_lost(path, rows.beside), _say_words(path), _say_deep(path, keys)):
            evidence = f"{evidence}; {more}" if more else evidence
        held = sum(path.kinds.get(kind, 0) for kind in choice.held)
        held = held if choice.values < 0 else choice.values
        is_pure = held == path.set_values
        return FieldColumn(
            keys,
            choice.type,
            choice.kind,
            path.values,
            evidence,
            is_pure=is_pure,
            is_full=is_pure and path.set_values == rows.total,
            is_null=rows.is_null(path),
            joins=list_joins(path, choice.type),
        )

    def _choose_reading(self, path: PathProfile, keys: tuple[str, ...]) -> ColumnChoice | None:
        """The column that reads values of other kinds, where that is certain."""
        return self._choose_whole(path, keys) or choose_moment(path)

    def _choose_whole(self, path: PathProfile, keys: tuple[str, ...]) -> ColumnChoice | None:
        """The column of integers that reads doubles, where it is certain that they are integers."""
        whole = choose_whole(path)
        doubles = path.kinds.get("double", 0)
        is_usual = 100 * doubles <= path.set_values or path.kinds.keys() <= {"double", "null"}
        is_certain = _is_id(keys) or is_usual
        is_named = is_whole_by_name(keys, path.set_values)
        return whole if whole and is_certain and is_named else None

    def _make_table(
        self, path: PathProfile, keys: tuple[str, ...], rows: _Rows
    ) -> FieldTable | None:
        """The child table of arrays of documents, in place of which one document may stand."""
        arrays, documents = (path.kinds.get(kind, 0) for kind in ("array", "document"))
        element = path.element
        if not element or not _is_share(arrays + documents, path.set_values, 90):
            return None
        inner = element.kinds.get("document", 0)
        if not inner or not _is_share(inner, element.set_values, 90):
            return None
        merged = element
        if documents:
            own = PathProfile(None, {"document": documents}, path.children, unnamed=path.unnamed)
            merged = merge_paths(element, own)
        if is_map(merged):
            self._note_map(keys)
            return None
        fields = self._find_elements(merged)
        if not any(isinstance(found, FieldColumn | FieldTable) for found in fields):
            return None
        nulls, empty = path.kinds.get("null", 0), path.forms[EMPTY]
        missing = rows.level - path.values
        most = max(missing, nulls, empty)
        absent = "" if most == missing else "null" if most == nulls else "[]"
        return FieldTable(keys, merged.values, fields, absent)

    def _make_array(self, path: PathProfile, keys: tuple[str, ...], rows: _Rows) -> FieldColumn:
        choice = self._choose_element_type(path, keys)
        column_type, kind = (f"{choice.type}[]", choice.kind) if choice else ("jsonb", "every")
        evidence = array_evidence(path, choice, rows=rows.total, row=rows.name)
        if path.forms[EMPTY] == path.set_values:
            evidence = f"{evidence}; always empty: its elements have no type"
        joins: Mapping[str, ColumnChoice] = field(default_factory=dict)
        if choice and path.element:
            evidence = self._say_more(evidence, path.element, keys, choice, brackets="[]")
            joins = list_joins(path.element, choice.type)
            joins = {
                family: found
                for family, found in joins.items()
                if found.values == path.element.set_values
            }
        return FieldColumn(
            keys,
            column_type,
            kind,
            path.values,
            evidence,
            is_null=rows.is_null(path),
            joins=joins,
        )

    def _choose_element_type(self, path: PathProfile, keys: tuple[str, ...]) -> ColumnChoice | None:
        """Return the type of the elements of an array column; None when it must be jsonb."""
        element = path.element
        if element is None or not element.set_values:
            return None
        choice = self._choose_whole(element, keys) or choose_column(element, self.ids)
        if choice is None or f"{choice.type}[]" not in TYPES:
            return None
        return choice if _most_arrays_fit(path, element, choice) else None

    def _find_elements(self, element: PathProfile) -> list[AnyField]:
        documents = element.kinds.get("document", 0)
        rows = _Rows(element.values, documents, "element", element.children)
        return [
            field
            for key, path in element.children.items()
            for field in self._find(path, (key,), rows)
        ]

    def _say_more(
        self,
        evidence: str,
        path: PathProfile,
        keys: tuple[str, ...],
        choice: ColumnChoice,
        *,
        brackets: str = "",
    ) -> str:
        """Add to the evidence what a framework means by the key, what is read, and a question."""
        more = [evidence, describe_key(keys), _say_reading(path, keys, choice, brackets)]
        if choice.kind == legacy.KIND:
            more.append(legacy.ask_for_order(path.legacy_uuid))
            self.legacy.append((format_path(keys), path.legacy_uuid))
        return "; ".join(filter(None, more))

    def _note_many(self, keys: tuple[str, ...], count: int) -> None:
        self.many.append(
            f"{format_path(keys)} has {count} keys; if they are data, one column is better:"
            f" {snake_case(keys[-1])}: {{type: jsonb, from: {format_path(keys)}}}"
        )

    def _note_map(self, keys: tuple[str, ...]) -> None:
        self.notes.append(
            f"{escape(self.collection)}: {escape(format_path(keys))}"
            " is a map whose keys are data: one jsonb column"
        )


class _Rows(NamedTuple):
    """The rows of a table, and how many of them have the document that a field lies in.

    beside: the fields of that document.
    """

    total: int
    level: int
    name: str
    beside: Mapping[str, PathProfile]

    def is_null(self, path: PathProfile) -> bool:
        """Whether more of the documents have a null at a path than nothing."""
        return path.kinds.get("null", 0) > self.level - path.values


def _is_silent(path: PathProfile, rows: _Rows, fields: Sequence[AnyField]) -> bool:
    """Whether documents at a path should be there without a note.

    Nearly all rows have them, and of some no cell tells: all their fields go without a note, too.
    """
    documents = path.kinds.get("document", 0)
    is_common = _is_share(documents, rows.total, 1) and _is_share(documents, rows.level, 99)
    is_told = not fields or any(
        isinstance(found, FieldNull | FieldDocument)
        or (isinstance(found, FieldColumn) and found.is_null)
        or (isinstance(found, FieldTable) and found.absent)
        for found in fields
    )
    return is_common and is_told and _count_telling(path) < documents


def _count_telling(path: PathProfile) -> int:
    """Of how many documents at a path one field tells that they are there."""
    found = [0]
    for child in path.children.values():
        inner = _count_telling(child) if child.kinds.get("document") else 0
        others = child.set_values - child.kinds.get("document", 0) - child.forms[EMPTY]
        found.append(inner + others)
    return max(found)


def _is_id(keys: Sequence[str]) -> bool:
    return is_whole_by_name(keys, 0)


def _say_reading(
    path: PathProfile, keys: Sequence[str], choice: ColumnChoice, brackets: str
) -> str:
    """What a column reads, and the column that it would be without; or what it could read.

    brackets: those of an array's type.
    """
    if choice.said:
        read = choice.said
        if choice.values < path.set_values:
            counts = f"{choice.values:,} of {path.set_values:,}"
            read = f"{counts} are {read}, others are kept in _extra"
        plain = choose_type(path.kinds, "uuid")
        before = plain.type if plain else "jsonb"
        wanted = f'"{before}{brackets}"' if plain and brackets else before
        return f"{read}; undo: {{type: {wanted}, from: {format_path(keys)}}}"
    whole = choose_whole(path)
    if whole is None or choice.type not in {"float8", "numeric"}:
        return ""
    wanted = f'"{whole.type}{brackets}"' if brackets else whole.type
    kind = ", kind: double" if whole.kind == "double" else ""
    return f"all whole: {{type: {wanted}, from: {format_path(keys)}{kind}}} holds them"


def _say_deep(path: PathProfile, keys: Sequence[str]) -> str:
    """What is said of documents that would be columns of their own if they lay less deep."""
    documents = path.kinds.get("document", 0)
    is_deep = len(keys) > FLATTENED_LEVELS and not is_map(path)
    if not is_deep or not _is_share(documents, path.set_values, 95):
        return ""
    return f"{len(keys)} levels deep; at most {FLATTENED_LEVELS} become columns of their own"


def _say_words(path: PathProfile) -> str:
    """What is said of moments in words, which no column reads, though PostgreSQL's cast does."""
    if not path.forms[WORDS] or 100 * path.forms[WORDS] < 99 * path.set_values:
        return ""
    return "moments in words, which a cast to timestamptz reads"


def _say_lost(path: PathProfile, beside: Mapping[str, PathProfile]) -> str:
    """What is said of whole doubles that have lost digits, and the text beside that has them."""
    count = path.forms[VAST]
    if not count or path.forms[FRACTION]:
        return ""
    said = f"{count:,} of {path.set_values:,} are 2^53 or more, where a double loses digits"
    wanted = {f"{snake_case(path.key or '')}{ending}" for ending in ("_str", "_string", "_text")}
    texts = [key for key, other in beside.items() if other.kinds.get("string")]
    found = [key for key in texts if snake_case(key) in wanted]
    return f"{said}; {escape(found[0])} has them" if found else said


def _most_arrays_fit(path: PathProfile, element: PathProfile, choice: ColumnChoice) -> bool:
    """Return whether at least 90 % of the arrays hold the choice alone.

    The worst case counts: every other element is in an array of its own.
    """
    held = sum(element.kinds.get(kind, 0) for kind in choice.held)
    arrays = path.kinds.get("array", 0)
    return 10 * (element.set_values - held) <= arrays


def choose_column(path: PathProfile, ids: Ids) -> ColumnChoice | None:
    """Return the type of a column for the values at a path, as `choose_type`.

    Binaries of subtype 3 that all can be UUIDs are UUIDs.
    """
    choice = choose_type(path.kinds, ids)
    if choice is not None and choice.kind == "binary_3" and path.legacy_uuid:
        return ColumnChoice("uuid", legacy.KIND, choice.held)
    return choice


def choose_type(kinds: dict[str, int], ids: Ids) -> ColumnChoice | None:
    """Return the type of a column for these values.

    One kind, or the numbers together, must have 90 % of the values that are not null; None
    otherwise.
    """
    total = sum(count for kind, count in kinds.items() if kind != "null")
    if _is_share(sum(kinds.get(kind, 0) for kind in NUMBERS), total, 90):
        return _choose_number(kinds)
    for kind, count in kinds.items():
        if kind != "null" and _is_share(count, total, 90):
            return _scalar(kind, ids)
    return None


def choose_for_all(kinds: Collection[str]) -> ColumnChoice | None:
    """Return the type of a column that holds all values of these kinds; None for none but jsonb."""
    if NUMBERS.issuperset(kinds):
        return _choose_number(kinds)
    return _scalar(next(iter(kinds)), "uuid") if len(kinds) == 1 else None


def _choose_number(kinds: Collection[str]) -> ColumnChoice:
    """Return the type for the numbers among these values."""
    if "double" not in kinds:
        column_type, kind = ("int8", "int") if "int64" in kinds else ("int4", "int")
        return ColumnChoice(column_type, kind, INTS)
    if INTS.intersection(kinds):
        return ColumnChoice("numeric", "number", NUMBERS)
    return ColumnChoice("float8", "double", frozenset({"double"}))


def _scalar(kind: str, ids: Ids) -> ColumnChoice | None:
    if kind == "objectId" and ids == "text":
        return ColumnChoice("text", "objectid", frozenset({kind}))
    if kind not in PROPOSED:
        return None
    return ColumnChoice(*PROPOSED[kind], frozenset({kind}))


def is_map(path: PathProfile) -> bool:
    """Return whether the keys of the documents at a path are data.

    There are very many of them, or most are dates, ids, numbers or addresses, and all values have
    one shape.
    """
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
