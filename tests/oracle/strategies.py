"""Hypothesis strategies: hostile documents of repeating shapes, and manifests of their paths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import strategies as st
from tests.oracle import readable, values
from tests.oracle.fits import find_fit
from tests.oracle.values import Element, Elements, write_array, write_document
from tests.oracle.walk import Value, parse

Field = tuple[bytes, Element]
Plain = dict[str, object]

KINDS = {
    "uuid": [
        "objectid",
        "uuid",
        "uuid_java",
        "uuid_csharp",
        "uuid_python",
        "hex",
        "uuid_text",
        "pointer(C)",
        "dbref(c)",
    ],
    "text": ["string", "objectid", "pointer(C)", "dbref(c)"],
    "varchar(9)": ["string", "objectid"],
    "citext": ["string"],
    "bool": ["bool"],
    "int2": ["int", "double"],
    "int4": ["int", "double", "pointer(C)"],
    "int8": ["int", "double", "dbref(c)"],
    "float8": ["double"],
    "numeric": ["number", "decimal", "text"],
    "numeric(9,2)": ["number", "decimal", "text"],
    "timestamptz": ["date", "iso", "iso3"],
    "timestamptz(1)": ["date", "iso", "iso3"],
    "date": ["date", "text"],
    "bytea": [
        "binary",
        "binary_1",
        "binary_2",
        "binary_3",
        "binary_4",
        "binary_5",
        "binary_128",
        "binary_255",
    ],
    "jsonb": ["every"],
}
NO_ARRAYS = {"bytea", "jsonb", "citext"}
NO_KEYS = {"jsonb", "citext"}
NUMBERS = [("int8", "int"), ("int8", "double"), ("numeric", "number"), ("int2", "int")]
FITTING = {
    "objectid": [("uuid", "objectid"), ("text", "objectid"), ("uuid", "hex")],
    "string": [
        ("text", "string"),
        ("text", "string"),
        ("varchar(9)", "string"),
        ("timestamptz", "iso"),
        ("timestamptz(1)", "iso3"),
        ("uuid", "hex"),
        ("numeric", "text"),
        ("numeric(9,2)", "number"),
        ("int8", "int"),
        ("date", "text"),
        ("bool", "bool"),
        ("uuid", "pointer(C)"),
    ],
    "bool": [("bool", "bool")],
    "int32": [("int4", "int"), ("text", "string"), ("float8", "double"), *NUMBERS],
    "int64": [("int4", "int"), *NUMBERS],
    "double": [("float8", "double"), ("int4", "double"), *NUMBERS],
    "decimal": [("numeric", "decimal"), ("numeric(9,2)", "decimal"), ("int8", "int")],
    "date": [("timestamptz", "date"), ("timestamptz", "iso3"), ("date", "date")],
    "timestamp": [("timestamptz", "date")],
    "document": [("uuid", "dbref(c)"), ("jsonb", "every"), ("jsonb", "every")],
}
UUID_KINDS = {3: ["uuid_java", "uuid_csharp", "uuid_python"], 4: ["uuid"]}
SYSTEM_COLUMNS = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
NAMES = [
    "_extra",
    "_extra_2",
    "_position",
    "select",
    "User",
    "user",
    'a"b',
    "a'b",
    "é",
    "a b",
    "a.b",
    "%s",
    "*",
    "x" * 63,
]


def _array_of(elements: Elements) -> Elements:
    return st.lists(elements, max_size=4).map(lambda items: (0x04, write_array(items)))


def _document_of(shape: dict[bytes, Elements], strange: int) -> st.SearchStrategy[bytes]:
    """Documents with some of the fields of `shape`.

    `strange + 1` fields in 10 have any value, and now and then another key.
    """
    names = st.sampled_from(sorted(shape))
    fields = {key: st.tuples(st.just(key), value) for key, value in shape.items()}
    right = [names.flatmap(fields.__getitem__)] * (9 - strange)
    wrong = [st.tuples(names | values.keys, values.anything)] * (strange + 1)
    drawn = st.lists(st.one_of(right + wrong), max_size=7)
    chosen = st.tuples(drawn, st.integers(0, 7)).map(_keep_most_keys_once)
    return chosen.map(write_document)


def _keep_most_keys_once(drawn: tuple[list[Field], int]) -> list[Field]:
    """Seven of eight documents have no key twice, so that their columns are used."""
    fields, n = drawn
    return list(dict(fields).items()) if n else fields


def _documents_of(shape: dict[bytes, Elements], strange: int = 0) -> Elements:
    return _document_of(shape, strange).map(lambda raw: (0x03, raw))


PART: dict[bytes, Elements] = {
    b"label": values.names,
    b"size": values.numbers,
    b"a.b": values.strings,
    b"$oid": values.ids,
}
ITEM: dict[bytes, Elements] = {
    b"name": values.names,
    b"price": values.numbers,
    b"tags": _array_of(values.names | values.nulls),
    b"parts": _array_of(_documents_of(PART) | values.scalars) | _array_of(_documents_of(PART)),
    b"more": _documents_of(PART),
}
PLACE: dict[bytes, Elements] = {
    b"city": values.names,
    b"since": values.dates,
    b"": values.strings,
    b"lines": _array_of(_documents_of(PART)),
    b"geo": _documents_of({b"lat": values.doubles, b"lon": values.doubles}),
}
TOP: dict[bytes, Elements] = {
    b"name": values.strings,
    b"price": values.numbers,
    b"amount": values.decimals,
    b"count": values.int32s,
    b"total": values.int64s | values.int32s,
    b"ratio": values.doubles,
    b"when": values.dates | readable.iso_texts | readable.midnights,
    b"id": values.ids | readable.id_texts | readable.pointers | readable.dbrefs,
    b"digits": readable.number_texts | readable.whole_doubles,
    b"read": readable.anything_readable,
    b"ok": values.bools,
    b"owner": values.ids,
    b"uid": values.uuids,
    b"data": values.binaries,
    b"tags": st.one_of(
        [
            _array_of(e | values.nulls)
            for e in (
                values.strings,
                values.doubles,
                values.dates,
                values.bools,
                values.ids,
                values.decimals,
                readable.anything_readable,
                readable.iso_texts,
            )
        ]
    ),
    b"numbers": st.one_of(
        [_array_of(e) for e in (values.numbers, values.int64s, values.int32s, values.uuids)]
    ),
    b"place": _documents_of(PLACE) | values.nulls,
    b"liked": _array_of(readable.anything_readable | values.nulls) | values.scalars,
    b"items": _documents_of(ITEM)
    | _array_of(_documents_of(ITEM))
    | _array_of(_documents_of(ITEM) | values.anything),
    b"any": values.anything,
    b"_extra": values.strings,
    b"a.b": values.numbers,
}
tops = _document_of(TOP, 1)
other_ids: Elements = st.one_of(
    values.names, values.numbers, values.uuids, values.strings, values.anything
)
ids: Elements = st.integers(0, 9).flatmap(lambda n: values.ids if n < 6 else other_ids)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Raw BSON of a document: every kind, hostile keys and values, any, no or repeated `_id`."""
    drawn = parse(draw(tops)).fields
    fields = [(key, (value.code, value.raw)) for key, value in drawn]
    place = draw(st.integers(0, 11))
    if place < 10:
        fields.insert(0 if place else len(fields), (b"_id", draw(ids)))
    if place == 1:
        fields.append((b"_id", draw(ids)))
    return write_document(fields)


def in_order(raw: bytes) -> bytes:
    """A document whose fields stand in one order everywhere, as an application writes them."""
    return write_document(
        [
            (key, (value.code, _rewrite(value)))
            for key, value in sorted(parse(raw).fields, key=lambda field: field[0])
        ]
    )


def _rewrite(value: Value) -> bytes:
    if value.kind == "document":
        return in_order(value.raw)
    if value.kind == "array":
        return write_array([(item.code, _rewrite(item)) for _, item in value.fields])
    return value.raw


@dataclass
class Level:
    """The values at one path, and their kinds, the fields of documents, the elements of arrays."""

    values: list[Value] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    fields: dict[str, Level] = field(default_factory=dict)
    elements: Level | None = None

    def add(self, value: Value, depth: int = 0) -> None:
        """Count one more value."""
        binary = f":{value.number}" if value.kind == "binary" else ""
        self.values.append(value)
        self.kinds.add(value.kind + binary)
        if depth > 6:
            return
        if value.kind == "document":
            for key, inner in value.fields:
                if _is_nameable(key):
                    self.fields.setdefault(key.decode(), Level()).add(inner, depth + 1)
        elif value.kind == "array":
            self.elements = self.elements or Level()
            for _, inner in value.fields:
                self.elements.add(inner, depth + 1)


def _is_nameable(key: bytes) -> bool:
    try:
        return not key.decode().endswith("\\")
    except UnicodeDecodeError:
        return False


def format_path(keys: Iterable[str]) -> str:
    """A path as the manifest writes it."""
    return ".".join(key.replace(".", "\\.").replace("*", "\\*") for key in keys)


def find_types(level: Level) -> list[tuple[str, str]]:
    """Types and kinds that some value at the path may fit."""
    found = [pair for kind in sorted(level.kinds) for pair in FITTING.get(kind, [])]
    for kind in sorted(level.kinds):
        if kind.startswith("binary:"):
            subtype = int(kind[7:])
            found += [("uuid", uuid) for uuid in UUID_KINDS.get(subtype, [])]
            found.append(("bytea", f"binary_{subtype}" if subtype else "binary"))
    if level.elements:
        found += [
            (f"{kind}[]", of)
            for kind, of in find_types(level.elements)
            if kind not in NO_ARRAYS and not kind.endswith("[]")
        ]
    return found or [("jsonb", "every")]


def is_plain(level: Level, type_: str, kind: str) -> bool:
    """Whether the values at a path are all at home in a column, or not taken by it."""
    fits = [find_fit(value, type_, kind) for value in level.values]
    homes = {value.kind for value, fit in zip(level.values, fits, strict=True) if fit.home}
    return not any(
        fit.fits != fit.home or (value.kind in homes and not fit.home)
        for value, fit in zip(level.values, fits, strict=True)
    )


@dataclass
class Draft:
    """A table that is being drawn."""

    name: str
    keys: list[str]
    columns: dict[str, object] = field(default_factory=dict)
    nulls: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)

    def name_column(self, wish: str) -> str:
        """A free name, the wish itself where PostgreSQL can hold it."""
        if (
            wish
            and len(wish.encode()) <= 63
            and wish not in SYSTEM_COLUMNS
            and wish not in self.columns
            and wish not in self.keys
        ):
            return wish
        return next(
            name
            for n in range(10_000)
            if (name := f"c{n}") not in self.columns and name not in self.keys
        )


@st.composite
def manifests(draw: st.DrawFn, raw_documents: list[bytes], *, has_readings: bool = True) -> Plain:
    """A valid manifest, as plain dicts, of paths in the documents; types may fit or not.

    Without readings none of the values is read, and nothing but what is missing goes without a
    note.
    """
    top = Level()
    for raw in raw_documents:
        top.add(parse(raw))
    drawing = Drawing(draw, has_readings=has_readings)
    drawing.draw_root(top)
    plain: Plain = {"assise": 1, "name": "drawn", "tables": drawing.tables}
    if has_readings and draw(st.booleans()):
        plain["legacy_uuids"] = draw(st.sampled_from(["java", "csharp", "python"]))
    return plain


class Drawing:
    """The tables drawn so far."""

    def __init__(self, draw: st.DrawFn, *, has_readings: bool = True) -> None:
        self.draw, self.has_readings = draw, has_readings
        self.tables: dict[str, Plain] = {}

    def draw_root(self, top: Level) -> None:
        """The table of the collection, its children after it."""
        top.fields.setdefault("missing", Level())
        of_id = top.fields.get("_id", Level())
        column = self.draw(st.sampled_from(["_id", "_id", "id", "key", "_position"]))
        type_, kind = self.draw(self._key_types(of_id))
        table = Draft(self.draw(st.sampled_from(["docs", 'Docs "q"', "é"])), [column])
        of_id.fields, of_id.elements = {}, None
        if kind == "offset":
            entry: object = {"type": type_, "kind": kind}
        else:
            entry = self._write_column(column, type_, kind, ("_id",))
            top.fields.pop("_id", None)
        self._draw_table(
            table, top, {"collection": "docs", "primary_key": column, "columns": {column: entry}}
        )

    def _key_types(self, of_id: Level) -> st.SearchStrategy[tuple[str, str]]:
        found = [pair for pair in find_types(of_id) if pair[0] not in NO_KEYS]
        natural = [pair for pair in found if not pair[0].endswith("[]")] or [("text", "any")]
        wrong = [(t, k) for t, kinds in KINDS.items() if t not in NO_KEYS for k in kinds]
        return st.one_of(
            *[st.just(("text", "any"))] * 5,
            *[st.sampled_from(natural)] * 3,
            *[st.sampled_from([("int8", "offset"), ("int4", "offset")])] * 3,
            st.sampled_from(wrong),
        )

    def _draw_table(self, table: Draft, level: Level, entry: Plain) -> None:
        self.tables[table.name] = entry
        self._draw_level(table, level, ())
        if table.nulls:
            entry["nulls"] = [*table.nulls]
        if table.documents:
            entry["documents"] = [*table.documents]
        columns = entry.setdefault("columns", {})
        assert isinstance(columns, dict)
        columns.update(table.columns)

    def _draw_level(self, table: Draft, level: Level, path: tuple[str, ...]) -> None:
        for key, inner in sorted(level.fields.items()):
            use = self.draw(st.integers(0, 9))
            is_id = not path and key == "_id"
            if is_id and use:
                self._draw_column(table, inner, (*path, key))
            elif is_id:
                continue
            elif inner.fields and len(path) < 4 and use < 6:
                self._draw_level(table, inner, (*path, key))
                silent = self.draw(st.integers(0, 4)) if self.has_readings else 0
                if silent > 2:
                    paths = table.nulls if silent == 3 else table.documents
                    paths.append(format_path((*path, key)))
            elif (
                inner.elements is not None and use < (7 if inner.elements.fields else 2)
            ) or use == 9:
                if not self.has_readings and "document" in inner.kinds:
                    continue
                self._draw_child(table, inner.elements or Level(), (*path, key))
            elif use:
                self._draw_column(table, inner, (*path, key))
            elif self.has_readings and self.draw(st.booleans()):
                table.nulls.append(format_path((*path, key)))

    def _draw_column(self, table: Draft, level: Level, path: tuple[str, ...]) -> None:
        scalars = [(t, k) for t, kinds in KINDS.items() for k in kinds]
        arrays = [(f"{t}[]", k) for t, k in scalars if t not in NO_ARRAYS]
        right = find_types(level)
        if not self.has_readings:
            scalars, arrays, right = (
                [pair for pair in pairs if is_plain(level, *pair) and "dbref" not in pair[1]]
                or [("jsonb", "every")]
                for pairs in (scalars, arrays, right)
            )
        wrong = [st.just(("jsonb", "every"))]
        wrong += [st.sampled_from(scalars), st.sampled_from(arrays)]
        type_, kind = self.draw(st.one_of([st.sampled_from(right)] * 10 + wrong))
        wishes = [*[path[-1]] * 3, "_".join(path), *NAMES]
        name = table.name_column(self.draw(st.sampled_from(wishes)))
        entry = self._write_column(name, type_, kind, path)
        table.columns[name] = self._add_options(entry, type_)

    def _add_options(self, entry: object, type_: str, *, is_element: bool = False) -> object:
        """A column with what NULL means in it, and what it reads besides."""
        if not self.has_readings:
            return entry
        base, options = type_.removesuffix("[]").partition("(")[0], Plain()
        if not is_element and self.draw(st.integers(0, 3)) == 0:
            options["absent"] = self.draw(st.sampled_from([None, "null", "missing"]))
        if base == "timestamptz" and self.draw(st.booleans()):
            options["numbers"] = self.draw(st.sampled_from(["seconds", "milliseconds", "ticks"]))
        if base == "uuid" and self.draw(st.booleans()):
            options["legacy_uuids"] = self.draw(st.sampled_from(["java", "csharp", "python"]))
        if not options:
            return entry
        return {**(entry if isinstance(entry, dict) else {"type": entry}), **options}

    def _write_column(self, name: str, type_: str, kind: str, path: tuple[str, ...]) -> object:
        """The short form where it is enough, otherwise all but the defaults, or all."""
        long = self.draw(st.booleans())
        is_default = kind == KINDS[type_.removesuffix("[]")][0]
        if path == (name,) and is_default and not long:
            return type_
        entry = {"type": type_}
        if path != (name,) or long:
            entry["from"] = format_path(path)
        if not is_default or long:
            entry["kind"] = kind
        return entry

    def _draw_child(self, parent: Draft, elements: Level, path: tuple[str, ...]) -> None:
        ordinals = ["_position", "_position_2", "_position_3", "n1", "n2", "n3", "n4", "n5"]
        free = next(name for name in ordinals if name not in parent.keys)
        name = f"{parent.name[:20]}_{len(self.tables)}"
        table = Draft(name, [*parent.keys, free])
        entry: Plain = {
            "parent": parent.name,
            "from": format_path(path) + ".*",
            "primary_key": table.keys,
        }
        if self.has_readings and self.draw(st.booleans()):
            entry["absent"] = self.draw(st.sampled_from([None, [], "null", "[]", "missing"]))
        if self.has_readings and not elements.fields and self.draw(st.booleans()):
            self._draw_elements(table, elements, entry)
            return
        elements.fields.setdefault("missing", Level())
        self._draw_table(table, elements, entry)

    def _draw_elements(self, table: Draft, elements: Level, entry: Plain) -> None:
        """A child table whose elements are no documents."""
        found = find_types(elements)
        right = [(t, k) for t, k in found if t != "jsonb" and not t.endswith("[]")]
        type_, kind = self.draw(st.sampled_from(right or [("text", "string")]))
        column = {"type": type_, "from": "*", "kind": kind}
        self.tables[table.name] = entry
        entry["columns"] = {"value": self._add_options(column, type_, is_element=True)}
