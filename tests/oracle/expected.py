"""The rows that a document must have under a manifest, by the tests' own reading of the rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tests.oracle.fits import DEFAULT_KINDS, find_fit, find_offset_fit
from tests.oracle.jsonform import find_unnamed, id_text, jsonb_text, write_members
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


@dataclass
class Node:
    """The use of the values at one path: a column, a child table, or a level of its own."""

    column: Column | None = None
    child: Table | None = None
    level: dict[str, Node] = field(default_factory=dict)


@dataclass
class Table:
    """A table of a manifest, as the tree of the paths that it reads."""

    name: str
    keys: list[str]
    columns: list[Column]
    key: Column | None = None
    root: Node = field(default_factory=Node)

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


def add_rows(rows: Rows, root: Table, document: Value, offset: int) -> None:
    """Add the rows of one document."""
    key = _find_key(root, document, offset)
    if key is not None:
        _add_row(rows, root, [key], document)


def _find_key(root: Table, document: Value, offset: int) -> str | None:
    assert root.key is not None
    if root.key.kind == "offset":
        return find_offset_fit(offset, root.key.type).text
    ids = [value for key, value in document.fields if key == b"_id"]
    if len(ids) != 1:
        return None
    return find_fit(ids[0], root.key.type, root.key.kind).text


def _add_row(rows: Rows, table: Table, keys: list[str], value: Value) -> None:
    """The row of a document or of an element of an array, and the rows below it."""
    row: Row = table.blank | dict(zip(table.keys, keys, strict=True))
    rows[table.name].append(row)
    if value.kind != "document":
        row[table.extra] = '{"$element":' + jsonb_text(value, 1) + "}"
        return
    below: list[tuple[Table, Value]] = []
    row[table.extra] = _Level(table, row, below).write(table.root, value, 0)
    for child, array in below:
        for ordinal, (_, element) in enumerate(array.fields):
            _add_row(rows, child, [*keys, str(ordinal)], element)


@dataclass
class _Level:
    """Fills the cells of one row, and writes what they do not give back."""

    table: Table
    row: Row
    below: list[tuple[Table, Value]]

    def write(self, node: Node, document: Value, depth: int) -> str | None:
        """Return the note of one level, `depth` below the root of `_extra`; None for no note."""
        unnamed = find_unnamed(document.fields)
        names = {key for key, _ in unnamed}
        notes: dict[str, str] = {}
        for key, value in document.fields:
            if key not in names:
                is_id = depth == 0 and key == b"_id" and self.table.key is not None
                note = self._write_field(
                    node.level.get(key.decode(), UNUSED), value, depth + 1, is_id=is_id
                )
                if note is not None:
                    notes[key.decode()] = note
        return write_members(notes, unnamed) if notes or unnamed else None

    def _write_field(self, node: Node, value: Value, depth: int, *, is_id: bool) -> str | None:
        if node.column and self._fill(node.column, value, is_id=is_id):
            return None
        if node.child and value.kind == "array" and value.fields:
            self.below.append((node.child, value))
            return None
        if node.level and value.kind == "document":
            return self.write(node, value, depth) or (None if value.fields else "{}")
        return id_text(value, depth) if is_id else jsonb_text(value, depth)

    def _fill(self, column: Column, value: Value, *, is_id: bool) -> bool:
        """Write the cell; whether it gives the value back."""
        fit = find_fit(value, column.type, column.kind)
        is_key = self.table.key is column
        if not is_key:
            self.row[column.name] = (
                id_text(value) if fit.fits and is_id and column.type == "jsonb" else fit.text
            )
        is_digest = is_key and column.kind == "any" and (fit.text or "").startswith("sha256:")
        return fit.fits and not is_digest


def read_tables(manifest: Mapping[str, object]) -> list[Table]:
    """The tables of a manifest, the collection's first."""
    entries = _as_dict(manifest["tables"])
    tables: dict[str, Table] = {}
    for name, entry in entries.items():
        tables[name] = _read_table(name, _as_dict(entry))
    for name, entry in entries.items():
        parent = _as_dict(entry).get("parent")
        path = str(_as_dict(entry).get("from")).removesuffix("*").removesuffix(".")
        if parent:
            root = tables[str(parent)].root
            _descend(root, split_path(path)).child = tables[name]
    return sorted(tables.values(), key=lambda table: table.key is None)


def _read_table(name: str, entry: dict[str, object]) -> Table:
    keys = entry["primary_key"]
    names = list(map(str, keys)) if isinstance(keys, list) else [str(keys)]
    columns = list(_read_columns(_as_dict(entry.get("columns", {}))))
    key = next(
        (column for column in columns if "collection" in entry and column.name == names[0]), None
    )
    table = Table(name, names, columns, key)
    for column in columns:
        if column.kind != "offset":
            _descend(table.root, column.path).column = column
    return table


def _read_columns(entries: dict[str, object]) -> Iterator[Column]:
    for name, entry in entries.items():
        long = entry if isinstance(entry, dict) else {"type": entry}
        type_ = str(long["type"])
        path = split_path(str(long["from"])) if "from" in long else (name,)
        yield Column(
            name, type_, str(long.get("kind", DEFAULT_KINDS[type_.removesuffix("[]")])), path
        )


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
