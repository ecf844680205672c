"""The rows that a document must have under a manifest, by the tests' own reading of the rules."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tests.oracle.fits import Fit, default_kind, find_fit, find_key_fit, find_offset_fit
from tests.oracle.jsonform import escape_key, find_unnamed, id_text, jsonb_text, write_members
from tests.oracle.leaves import count_leaves
from tests.oracle.walk import NotBson, Value, parse

Row = dict[str, str | None]
Rows = dict[str, list[Row]]
NOT_BSON, KEY_DOES_NOT_FIT = 1, 5


@dataclass
class Column:
    """A column of a manifest, with nothing left out."""

    name: str
    type: str
    kind: str
    path: tuple[str, ...]
    reads: str = ""
    absent: str = "missing"


@dataclass
class Node:
    """The use of the values at one path: a column, a child table, or a level of its own.

    `absent` is what goes there without a note: missing, null, [] or a document. `null` is the place
    among the paths in `nulls` and `documents`; 0 for any other path.
    """

    column: Column | None = None
    child: Table | None = None
    level: dict[str, Node] = field(default_factory=dict)
    absent: str = "missing"
    null: int = 0


@dataclass
class Table:
    """A table of a manifest, as the tree of the paths that it reads."""

    name: str
    keys: list[str]
    columns: list[Column]
    key: Column | None = None
    root: Node = field(default_factory=Node)
    element: Column | None = None

    @cached_property
    def extra(self) -> str:
        """The name of our own column: it gives way to one of the user's."""
        taken = {*self.keys, *(column.name for column in self.columns)}
        return next(
            name
            for n in range(1, 2000)
            if (name := f"_extra_{n}" if n > 1 else "_extra") not in taken
        )

    @cached_property
    def blank(self) -> Row:
        """A row of nothing."""
        return dict.fromkeys(column.name for column in self.columns)


UNUSED = Node()
Counts = Counter[str]
"""How many leaves are typed, read, in jsonb and in `_extra` alone."""


def reject_reason(manifest: Mapping[str, object], raw: bytes, offset: int) -> int | None:
    """Return why the document can never be loaded.

    The reason is 1 (not BSON), 5 (its `_id` does not fit the key), or None.
    """
    try:
        document = parse(raw)
    except NotBson:
        return NOT_BSON
    key = _find_key(read_tables(manifest)[0], document, offset)
    return KEY_DOES_NOT_FIT if key is None else None


def expected_rows(manifest: Mapping[str, object], raw: bytes, offset: int) -> Rows:
    """Return the rows of every table: column -> `column::text`, None for NULL.

    Of jsonb (`_extra` too) it is a JSON text that is equal as jsonb. A rejected document has no
    rows. `manifest` is the file as plain dicts; the first of its tables must be the collection's.
    """
    tables = read_tables(manifest)
    rows: Rows = {table.name: [] for table in tables}
    add_rows(rows, tables[0], parse(raw), offset)
    return rows


def add_rows(rows: Rows, root: Table, document: Value, offset: int) -> Counts:
    """Add the rows of one document, and count where its leaves stand."""
    key, counts = _find_key(root, document, offset), Counts()
    if key is not None:
        _add_row(rows, root, [key], document, counts)
    return counts


def _find_key(root: Table, document: Value, offset: int) -> str | None:
    assert root.key is not None
    if root.key.kind == "offset":
        return find_offset_fit(offset, root.key.type).text
    ids = [value for key, value in document.fields if key == b"_id"]
    if len(ids) != 1:
        return None
    return find_key_fit(ids[0], root.key.type, root.key.kind).text


def _add_row(rows: Rows, table: Table, keys: list[str], value: Value, counts: Counts) -> None:
    """The row of a document or of an element of an array, and the rows below it."""
    row: Row = table.blank | dict(zip(table.keys, keys, strict=True))
    rows[table.name].append(row)
    if value.kind != "document" or table.element:
        _add_element(table, row, value, counts)
        return
    below: list[tuple[Table, Value]] = []
    level = _Level(table, row, below, counts)
    row[table.extra] = level.write(table.root, value, 0)
    if not value.fields and table.key is None:
        counts["typed"] += 1
    for child, found in below:
        items = [found]
        if found.kind == "array":
            items = [element for _, element in found.fields]
        for ordinal, element in enumerate(items):
            _add_row(rows, child, [*keys, str(ordinal)], element, counts)


def _add_element(table: Table, row: Row, value: Value, counts: Counts) -> None:
    fit = Fit(fits=False)
    row[table.extra] = None
    if table.element:
        fit = find_fit(value, table.element.type, table.element.kind, table.element.reads)
        row[table.element.name] = fit.text
    is_null = table.element is not None and value.kind == "null"
    where = "typed" if fit.home or is_null else "read" if fit.fits else "extra"
    counts[where] += count_value(value)
    if where != "typed":
        row[table.extra] = '{"$element":' + jsonb_text(value, 1) + "}"


def count_value(value: Value) -> int:
    """The leaves of a value."""
    return count_leaves(value) or 1 if value.kind in {"document", "array"} else 1


@dataclass
class _Level:
    """Fills the cells of one row, and writes what they do not give back."""

    table: Table
    row: Row
    below: list[tuple[Table, Value]]
    counts: Counts

    def write(self, node: Node, document: Value, depth: int) -> str | None:
        """Return the note of one level, `depth` below the root of `_extra`; None for no note."""
        unnamed = find_unnamed(document.fields)
        names = {key for key, _ in unnamed}
        notes: dict[str, str] = {}
        for key, value in document.fields:
            if key in names:
                self.counts["extra"] += count_value(value)
                continue
            is_id = depth == 0 and key == b"_id" and self.table.key is not None
            inner = node.level.get(key.decode(), UNUSED)
            note = self._write_field(inner, value, depth + 1, is_id=is_id)
            if note is not None:
                notes[key.decode()] = note
        there = {key for key, _ in document.fields} - names
        told = sorted(node.level.items(), key=lambda item: item[1].null)
        gone = [
            escape_key(key)
            for key, inner in told
            if inner.absent != "missing" and key.encode() not in there
        ]
        if not notes and not unnamed and not gone:
            return None
        text = write_members(notes, unnamed)
        if gone:
            listed = json.dumps(gone, ensure_ascii=False)
            text = f'{{"$missing":{listed}{"," if text != "{}" else ""}{text[1:]}'
        return text

    def _write_field(self, node: Node, value: Value, depth: int, *, is_id: bool) -> str | None:
        if value.kind == "null" and node.absent == "null":
            self.counts["typed"] += 1
            return None
        if node.column:
            return self._fill(node.column, value, depth, is_id=is_id)
        if node.child and value.kind == "array":
            if value.fields:
                self.below.append((node.child, value))
                return None
            if node.absent == "[]":
                self.counts["typed"] += 1
                return None
        if node.child and value.kind == "document" and not node.child.element:
            self.below.append((node.child, value))
            return '{"$one":true}'
        if (node.level or node.absent == "{}") and value.kind == "document":
            before = self._stands()
            note = self.write(node, value, depth)
            goes_without = node.absent == "{}" and note is None
            self.counts["typed" if goes_without else "extra"] += not value.fields
            return note or (None if goes_without or self._stands() != before else "{}")
        return self._note(value, depth, "extra", is_id=is_id)

    def _stands(self) -> tuple[int, int]:
        """How many cells have a value, and how many arrays have rows, up to now."""
        return sum(text is not None for text in self.row.values()), len(self.below)

    def _note(self, value: Value, depth: int, where: str, *, is_id: bool) -> str:
        self.counts[where] += count_value(value)
        return id_text(value, depth) if is_id else jsonb_text(value, depth)

    def _fill(self, column: Column, value: Value, depth: int, *, is_id: bool) -> str | None:
        """Write the cell; return the note of what it does not give back."""
        is_key = self.table.key is column
        if is_key:
            fit = find_key_fit(value, column.type, column.kind)
        else:
            fit = find_fit(value, column.type, column.kind, column.reads)
            is_jsonb = fit.fits and column.type == "jsonb"
            self.row[column.name] = id_text(value) if is_jsonb and is_id else fit.text
        is_digest = column.kind == "any" and (fit.text or "").startswith("sha256:")
        if fit.home and not is_digest:
            self.counts["jsonb" if column.type == "jsonb" else "typed"] += count_value(value)
            return None
        where = "read" if fit.fits and not is_digest else "extra"
        return self._note(value, depth, where, is_id=is_id)


def read_tables(manifest: Mapping[str, object]) -> list[Table]:
    """The tables of a manifest, the collection's first."""
    entries = _as_dict(manifest["tables"])
    tables: dict[str, Table] = {}
    legacy = str(manifest.get("legacy_uuids") or "")
    for name, entry in entries.items():
        tables[name] = _read_table(name, _as_dict(entry), legacy)
    for name, entry in entries.items():
        parent = _as_dict(entry).get("parent")
        path = str(_as_dict(entry).get("from")).removesuffix("*").removesuffix(".")
        if parent:
            node = _descend(tables[str(parent)].root, split_path(path))
            node.child = tables[name]
            node.absent = read_absent(_as_dict(entry))
    for name, entry in entries.items():
        paths = []
        for what in ("nulls", "documents"):
            listed = _as_dict(entry).get(what, [])
            assert isinstance(listed, list)
            paths += [("null" if what == "nulls" else "{}", str(path)) for path in listed]
        for number, (absent, path) in enumerate(paths, 1):
            node = _descend(tables[name].root, split_path(path))
            node.absent, node.null = absent, number
    return sorted(tables.values(), key=lambda table: table.key is None)


def read_absent(entry: Mapping[str, object]) -> str:
    """What goes without a note: JSON's null and [] as the manifest has them, or their texts."""
    absent = entry.get("absent", "missing")
    return "[]" if absent == [] else str(absent or "null")


def _read_table(name: str, entry: dict[str, object], legacy: str) -> Table:
    keys = entry["primary_key"]
    names = list(map(str, keys)) if isinstance(keys, list) else [str(keys)]
    columns = list(_read_columns(_as_dict(entry.get("columns", {})), legacy))
    key = next(
        (column for column in columns if "collection" in entry and column.name == names[0]), None
    )
    table = Table(name, names, columns, key)
    for column in columns:
        if not column.path:
            table.element = column
        elif column.kind != "offset":
            node = _descend(table.root, column.path)
            node.column, node.absent = column, column.absent
    return table


def _read_columns(entries: dict[str, object], legacy: str) -> Iterator[Column]:
    for name, entry in entries.items():
        long = entry if isinstance(entry, dict) else {"type": entry}
        type_ = str(long["type"])
        path = split_path(str(long["from"])) if "from" in long else (name,)
        path = () if long.get("from") == "*" else path
        kind = str(long.get("kind", default_kind(type_)))
        of_uuids = legacy if type_.removesuffix("[]") == "uuid" else ""
        reads = str(long.get("numbers") or long.get("legacy_uuids") or of_uuids)
        yield Column(name, type_, kind, path, reads, read_absent(long))


def _descend(node: Node, path: tuple[str, ...]) -> Node:
    for key in path:
        node = node.level.setdefault(key, Node())
    return node


def split_path(text: str) -> tuple[str, ...]:
    r"""The keys of a path: `.` separates them; `\.`, `\*` and any other backslash are literal."""
    keys, at = [""], 0
    while at < len(text):
        if text.startswith(("\\.", "\\*"), at):
            at += 1
            keys[-1] += text[at]
        elif text[at] == ".":
            keys.append("")
        else:
            keys[-1] += text[at]
        at += 1
    return tuple(keys)


def _as_dict(entry: object) -> dict[str, object]:
    assert isinstance(entry, dict)
    return entry
