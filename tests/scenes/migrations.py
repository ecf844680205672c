"""Hostile documents and manifests, drawn by strategy, on their way through the server."""

from __future__ import annotations

import base64
import json
import shutil
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from hypothesis import strategies as st
from tests.dumps import confirm, write_dump
from tests.oracle import values
from tests.oracle.equality import differences
from tests.oracle.expected import (
    Counts,
    Rows,
    add_rows,
    expected_rows,
    read_absent,
    read_tables,
    reject_reason,
    split_path,
)
from tests.oracle.fits import default_kind, find_fit
from tests.oracle.jsonform import escape_key
from tests.oracle.leaves import count_leaves
from tests.oracle.readable import HOME, READ, dbrefs, dbrefs_to, small_ints
from tests.oracle.strategies import KINDS, NO_ARRAYS, UUID_KINDS, documents, manifests
from tests.oracle.values import Element, Elements
from tests.oracle.walk import frames, parse
from tests.rows.rebuild import read_manifest
from tests.scenes.readback import Plain, Target, as_dict, quote, read_keys, read_type

from assise.manifest.model import Manifest
from assise.manifest.write import dump_manifest
from assise.project import Project

Hit = tuple[object, ...]
MISSING = object()
PARTS = 12
NOT_BSON, DUPLICATE_ID, KEY_MISFIT = 1, 2, 5
RULES = [(type_, kind) for type_, kinds in KINDS.items() for kind in kinds]
RULES += [(f"{type_}[]", kind) for type_, kind in RULES if type_ not in NO_ARRAYS]
READ_NOTHING = {"bytea", "jsonb"}


def _list_hits(rules: list[tuple[str, str]]) -> set[Hit]:
    """What values become in columns by these rules: at home, read, or neither."""
    found: set[Hit] = {(*rule, what) for rule in rules for what in ("home", "neither")}
    return found | {(*rule, "read") for rule in rules if rule[0] not in READ_NOTHING}


WANTED: set[Hit] = _list_hits(RULES)
OFFSETS: set[Hit] = {("int4", "offset", "home"), ("int8", "offset", "home")}
TOLD: set[Hit] = {("note", "$missing"), ("note", "$one"), ("note", "{}"), ("note", "null")}
TOLD |= {("value", what) for what in ("null", "home", "read", "neither")}
TOLD |= {("document", what) for what in ("not noted", "told", "missing")}
PLACES: set[Hit] = {("rows", what) for what in ("child", "grandchild", "great-grandchild")}
PLACES |= {("array", what) for what in ("[]", "null", "other")} | {
    ("document", what) for what in ("{}", "null", "other")
}
HOSTILE: set[Hit] = {
    ("escape", what) for what in ("$bson value", "$bson fields", "$numberDouble", "$element")
}
HOSTILE |= {("reject", NOT_BSON), ("reject", KEY_MISFIT)}
BELOW: dict[str, set[Hit]] = {
    "text": PLACES | {("escape", "$$ key"), ("text", "any", "home"), ("key", "sha256")},
    "float8": PLACES | {("escape", "$$ key")},
    "numeric": {("escape", "$$ key"), ("key", "equal"), ("reject", DUPLICATE_ID)},
}
WANTED |= OFFSETS | TOLD
WANTED |= {
    ("text", "any", "home"),
    ("key", "sha256"),
    ("key", "equal"),
}
WANTED |= {("rows", what) for what in ("child", "grandchild", "great-grandchild")}
WANTED |= {("array", what) for what in ("[]", "null", "other")} | {
    ("document", what) for what in ("{}", "null", "other")
}
WANTED |= {
    ("escape", what)
    for what in ("$bson value", "$bson fields", "$$ key", "$numberDouble", "$element")
}
WANTED |= {("reject", NOT_BSON), ("reject", DUPLICATE_ID), ("reject", KEY_MISFIT)}

RIGHT: dict[str, Elements] = {
    "objectid": values.ids,
    "string": values.names | values.strings,
    "bool": values.bools,
    "number": values.numbers,
    "decimal": values.decimals,
    "date": values.dates,
    "every": values.anything,
    **HOME,
}


def _binaries(subtype: int, payload: st.SearchStrategy[bytes]) -> Elements:
    return payload.map(lambda content: (0x05, values.write_binary(subtype, content)))


RIGHT |= {
    f"binary_{n}" if n else "binary": _binaries(n, st.binary(max_size=20)) for n in range(256)
}
RIGHT |= {
    kind: _binaries(n, st.binary(min_size=16, max_size=16))
    for n, kinds in UUID_KINDS.items()
    for kind in kinds
}


DBREFS = {
    base: st.one_of(*[dbrefs_to(targets)] * 3, dbrefs)
    for base, targets in (("uuid", values.ids), ("text", values.names), ("int8", small_ints))
}
"""Base type -> DBRefs of which most are at home in it."""


@cache
def _values(type_: str, kind: str, what: str) -> Elements:
    """Values for a column: most at home, most read, or most neither; of `mixed` any of them.

    Where `picked`, nearly all are at home.
    """
    if what == "picked":
        several = st.lists(_values(type_, kind, "home"), min_size=9, max_size=9)
        return several.map(lambda drawn: _pick_home(drawn, type_, kind))
    wrong = values.nulls if type_ == "jsonb" else values.scalars
    base = type_.removesuffix("[]").partition("(")[0]
    read = READ.get(base, values.anything)
    right = DBREFS[base] if kind == "dbref(c)" else RIGHT[kind]
    home = right
    if type_ != "float8" and kind != "string":
        home = st.one_of(*[right] * 5, read)
    if type_ == "float8[]":
        home = values.doubles
    by_name = {"home": home, "read": read | read | home, "neither": wrong}
    drawn = by_name.get(what, st.one_of(home, read, wrong))
    if not type_.endswith("[]") or what == "neither":
        return drawn
    items = st.lists(st.one_of(drawn, drawn, values.nulls), min_size=1, max_size=2)
    arrays = items.map(lambda found: (0x04, values.write_array(found)))
    return arrays | drawn if what == "read" else arrays


def _pick_home(drawn: list[Element], type_: str, kind: str) -> Element:
    """The first value that is at home in a column, or else the first."""
    values_drawn = parse(values.write_document([(b"", element) for element in drawn])).fields
    homes = (
        element
        for element, (_, value) in zip(drawn, values_drawn, strict=True)
        if find_fit(value, type_, kind).home
    )
    return next(homes, drawn[0])


@st.composite
def aimed(draw: st.DrawFn, part: int) -> tuple[Plain, list[bytes]]:
    """One part of the table of what fits, each rule as a column.

    Documents with right values, with wrong ones, with both.
    """
    rules = RULES[part::PARTS]
    columns: Plain = {"id": {"type": draw(st.sampled_from(["int4", "int8"])), "kind": "offset"}}
    columns |= {f"c{n}": {"type": type_, "kind": kind} for n, (type_, kind) in enumerate(rules)}
    shares = ("picked", "home", "home", "read", "read", "read", "neither", "mixed")
    raws = [
        values.write_document(
            (b"c%d" % n, draw(_values(*rule, share))) for n, rule in enumerate(rules)
        )
        for share in shares
    ]
    return {
        "assise": 1,
        "name": "drawn",
        "tables": {"docs": {"collection": "docs", "primary_key": "id", "columns": columns}},
    }, raws


@st.composite
def told(draw: st.DrawFn) -> tuple[Plain, list[bytes]]:
    """What goes without a note: nulls, empty arrays, what is missing, at every level."""
    nothing = st.sampled_from([None, "missing", "null", "[]"])
    tables: Plain = {
        "docs": {
            "collection": "docs",
            "primary_key": "id",
            "nulls": ["gone", "place.far"],
            "documents": draw(st.sampled_from([[], ["place"], ["place", "place.geo"]])),
            "columns": {
                "id": {"type": "int8", "kind": "offset"},
                "n": {"type": "int4", "absent": None},
                "city": {"type": "text", "from": "place.city", "absent": draw(st.just("null"))},
                "lat": {"type": "float8", "from": "place.geo.lat", "absent": None},
            },
        },
        "items": {
            "parent": "docs",
            "from": "place.items.*",
            "primary_key": ["id", "position"],
            "absent": draw(nothing),
            "columns": {"name": {"type": "varchar(9)", "absent": None}},
        },
        "liked": {
            "parent": "docs",
            "from": "liked.*",
            "primary_key": ["id", "position"],
            "absent": draw(nothing),
            "columns": {"value": {"type": "int4", "from": "*"}},
        },
    }
    return {"assise": 1, "name": "drawn", "tables": tables}, draw(
        st.lists(_told_documents(), min_size=6, max_size=12)
    )


@st.composite
def _told_documents(draw: st.DrawFn) -> bytes:
    item = _fields(name=values.names | values.nulls) | st.just((0x03, EMPTY_ARRAY[1]))
    items = st.one_of(item, item, _array_of(item), st.just(EMPTY_ARRAY), values.nulls)
    one = values.int32s | READ["int4"] | values.scalars | values.nulls
    choices: dict[bytes, Elements] = {
        b"n": values.int32s | values.nulls,
        b"gone": values.nulls | values.nulls | values.scalars,
        b"liked": _array_of(one) | values.nulls | st.just(EMPTY_ARRAY),
    }
    inner: dict[bytes, Elements] = {
        b"city": values.names | values.nulls | values.nulls,
        b"far": values.nulls | values.nulls | values.scalars,
        b"geo": st.sampled_from([(0x03, values.write_document([(b"lat", (0x0A, b""))]))])
        | _fields(lat=values.doubles),
        b"items": items,
    }
    place = [(key, draw(value)) for key, value in inner.items() if draw(st.booleans())]
    fields = [(key, draw(value)) for key, value in choices.items() if draw(st.integers(0, 2))]
    if draw(st.integers(0, 3)):
        fields.append((b"place", (0x03, values.write_document(place))))
    return values.write_document(fields)


EMPTY_ARRAY: Element = (0x04, b"\5\0\0\0\0")
TEN: list[Element] = [
    (0x10, b"\x0a\0\0\0"),
    (0x01, bytes.fromhex("0000000000002440")),
    (0x12, b"\x0a" + b"\0" * 7),
]
LONG_IDS: Elements = st.integers(900, 1100).map(lambda size: (0x02, values.write_text(b"k" * size)))
KEYS: dict[str, tuple[str, list[Elements]]] = {
    "numeric": (
        "number",
        [st.sampled_from(TEN), st.sampled_from(TEN), st.sampled_from(TEN), values.numbers],
    ),
    "float8": ("double", [values.doubles]),
    "text": ("any", [LONG_IDS, values.anything]),
}


def _fields(**shape: Elements) -> Elements:
    """Documents with these fields."""
    parts = [st.tuples(st.just(key.encode()), value) for key, value in shape.items()]
    return st.tuples(*parts).map(lambda fields: (0x03, values.write_document(fields)))


def _array_of(elements: Elements) -> Elements:
    """Arrays of one element or more, now and then with one of another kind."""
    return st.lists(st.one_of(elements, elements, values.anything), min_size=1, max_size=3).map(
        lambda items: (0x04, values.write_array(items))
    )


def _nested_documents(key: str) -> list[Elements]:
    """One document for each thing that may stand in place of a document or of its arrays."""
    leaves = _array_of(_fields(size=values.numbers, more=values.scalars))
    cells = _array_of(_fields(size=values.int32s, leaves=leaves | values.nulls | values.empty))
    items = _array_of(_fields(name=values.strings, cells=cells | values.nulls | values.empty))
    deep = _array_of(_fields(cells=_array_of(_fields(leaves=leaves))))
    arrays = (deep, items, values.nulls, values.empty, st.just(EMPTY_ARRAY), values.anything)
    places = [
        *(_fields(city=values.names, items=array) for array in arrays),
        values.nulls,
        values.empty,
        values.anything,
    ]
    ids = KEYS[key][1]
    return [
        _fields(
            **{
                "_id": ids[n % len(ids)],
                "place": place,
                "x": values.scalars,
                "$oid": values.scalars,
            }
        )
        for n, place in enumerate(places)
    ]


NESTED = {key: _nested_documents(key) for key in KEYS}


@st.composite
def nested(draw: st.DrawFn, key: str) -> tuple[Plain, list[bytes]]:
    """Arrays of documents three levels deep below a flattened document.

    Other things may stand in their places, and keys may be equal or long.
    """
    raws = [draw(shape)[1] for shape in NESTED[key]]
    long = {"type": key, "from": "_id", "kind": KEYS[key][0]}
    tables: Plain = {
        "docs": {
            "collection": "docs",
            "primary_key": "id",
            "columns": {"id": long, "city": {"type": "text", "from": "place.city"}},
        },
        "items": {
            "parent": "docs",
            "from": "place.items.*",
            "primary_key": ["id", "n1"],
            "columns": {"name": "text"},
        },
        "cells": {
            "parent": "items",
            "from": "cells.*",
            "primary_key": ["id", "n1", "n2"],
            "columns": {"size": "int4"},
        },
        "leaves": {
            "parent": "cells",
            "from": "leaves.*",
            "primary_key": ["id", "n1", "n2", "n3"],
            "columns": {"size": "numeric"},
        },
    }
    return {"assise": 1, "name": "drawn", "tables": tables}, raws


def _damage(raw: bytes) -> list[bytes]:
    """A document with what is no document before it, cut, or twice."""
    broken = values.write_document([(b"a", (0x08, b"\2"))])
    return [
        b"\xff" * 7 + raw,
        raw[:-1],
        broken + raw,
        raw + raw,
        raw[: len(raw) // 2] + raw,
    ]


@st.composite
def drawn(draw: st.DrawFn) -> tuple[Plain, list[bytes]]:
    """Hostile documents and a manifest drawn from their paths.

    Now and then there is a double that no JSON number shows.
    """
    raws = draw(st.lists(documents(), min_size=1, max_size=6))
    if draw(st.integers(0, 4)) == 0:
        body = (
            raws[0][4:-1]
            + b"\x04tiny\0"
            + values.write_array([(0x04, values.write_array([(0x01, struct.pack("<d", 5e-324))]))])
        )
        raws[0] = struct.pack("<i", len(body) + 5) + body + b"\0"
    if draw(st.integers(0, 3)) == 0:
        body = raws[-1][4:-1] + b"\x10twice\0\7\0\0\0" * 2
        raws[-1] = struct.pack("<i", len(body) + 5) + body + b"\0"
    return draw(manifests(raws)), raws


@st.composite
def files(
    draw: st.DrawFn, migrations: st.SearchStrategy[tuple[Plain, list[bytes]]]
) -> tuple[Plain, bytes]:
    """A manifest and the content of a file: documents, and now and then something else."""
    plain, raws = draw(migrations)
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(raws) - 1))
        raws[at] = draw(st.sampled_from(_damage(raws[at])))
    return plain, b"".join(raws)


Migrations = st.SearchStrategy[tuple[Plain, list[bytes]]]
SLICES: dict[str, tuple[Migrations, int, set[Hit]]] = {
    f"drawn {n}": (drawn(), 100, HOSTILE) for n in range(4)
}
SLICES |= {f"nested below {key}": (nested(key), 24, BELOW[key]) for key in KEYS}
SLICES |= {
    f"rules {n}": (
        aimed(n),
        32,
        OFFSETS | _list_hits(RULES[n::PARTS]),
    )
    for n in range(PARTS)
}
SLICES |= {"told": (told(), 48, TOLD)}
"""The share of 200 examples of each strategy, and what its examples must hit."""


class Migration:
    """One example on its way through the server, in a schema of its own."""

    def __init__(self, target: Target, folder: Path, hits: set[Hit]) -> None:
        self.target, self.folder, self.hits = target, folder, hits
        self.counts = Counts()

    def check(self, plain: Plain, content: bytes) -> None:
        """Load, verify, read back and compare."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.target.run(f"DROP SCHEMA IF EXISTS {self.target.schema} CASCADE")
        self.target.run(f"CREATE SCHEMA {self.target.schema}")
        if self.target.run("SELECT to_regclass('assise.load')") != [[None]]:
            self.target.run("DELETE FROM assise.load")
            self.target.run("DELETE FROM assise.reject")
        expected, rejects, sources = self.expect(plain, content)
        manifest = read_manifest(plain)
        dump = write_dump(self.folder / "dump", {"docs": [content]})
        project = Project(self.folder, to=self.target.conninfo)
        project.path.write_text(dump_manifest(manifest), encoding="utf-8")
        report = project.migrate(dump, confirm=confirm)
        assert (report.documents, report.loaded, report.rejected) == (
            len(sources) + len(rejects),
            len(sources),
            len(rejects),
        )
        assert report.verified is not None
        assert vars(report.verified) == {
            "equal": len(sources),
            "different": 0,
            "missing": 0,
            "extra": 0,
        }, report.collections[0].differences
        leaves = sum(count_leaves(parse(raw)) for raw in sources.values())
        counts = vars(report.collections[0].values)
        assert sum(counts.values()) == leaves
        assert +Counts(counts) == +self.counts
        self.check_rejects(rejects, content)
        self.target.check_rows(plain, expected)
        root = next(name for name, table in manifest.tables.items() if table.collection)
        found = self.target.assemble(manifest, root)
        assert found.keys() == sources.keys()
        for key, raw in sources.items():
            assert differences(raw, found[key]) == []
        self.check_update(plain, manifest, sources)

    def check_update(self, plain: Plain, manifest: Manifest, sources: dict[str, bytes]) -> None:
        """Set one column of every document to NULL: the field is gone, or null where NULL says so.

        All other fields are as before, and the cells of before bring back the originals.
        """
        table, entry = next(
            (name, as_dict(entry))
            for name, entry in as_dict(plain["tables"]).items()
            if "collection" in as_dict(entry)
        )
        chosen = next(
            (
                (name, *rule[2])
                for name, written in as_dict(entry["columns"]).items()
                if len((rule := read_rule(name, written))[2]) == 1
                and rule[1] != "offset"
                and name not in read_keys(entry)
            ),
            None,
        )
        if chosen is None:
            return
        name, key = chosen
        column, of_table = quote(name), quote(self.target.schema, table)
        ids = quote(read_keys(entry)[0])
        self.target.run(f"CREATE TEMP TABLE kept AS SELECT {ids}, {column} FROM {of_table}")
        self.target.run(f"UPDATE {of_table} SET {column} = NULL WHERE {column} IS NOT NULL")
        changed = self.target.assemble(manifest, table, is_strict=False)
        written = as_dict(entry["columns"])[name]
        is_null = isinstance(written, dict) and read_absent(written) == "null"
        for text, raw in sources.items():
            kept = [(inner, (value.code, value.raw)) for inner, value in parse(raw).fields]
            had_cell = (
                any(
                    inner == key.encode()
                    and find_fit(parse(raw).fields[n][1], *read_fit(name, written, plain)).fits
                    for n, (inner, _) in enumerate(kept)
                )
                and sum(inner == key.encode() for inner, _ in kept) == 1
            )
            if had_cell:
                kept = [field for field in kept if field[0] != key.encode()]
                kept += [(key.encode(), (0x0A, b""))] if is_null else []
            assert differences(values.write_document(kept), changed[text]) == []
        self.target.run(
            f"UPDATE {of_table} AS t SET {column} = kept.{column} FROM kept"
            f" WHERE kept.{ids} = t.{ids}"
        )
        again = self.target.assemble(manifest, table, is_strict=False)
        for text, raw in sources.items():
            assert differences(raw, again[text]) == []
        self.target.run("DROP TABLE kept")

    def expect(
        self, plain: Plain, content: bytes
    ) -> tuple[Rows, dict[int, tuple[int, int]], dict[str, bytes]]:
        """The rows, the rejects (offset -> end, reason), the documents by the text of their key."""
        tables = {name: as_dict(entry) for name, entry in as_dict(plain["tables"]).items()}
        root, entry = next((name, entry) for name, entry in tables.items() if "collection" in entry)
        key = read_keys(entry)[0]
        rejects: dict[int, tuple[int, int]] = {}
        candidates: list[tuple[int, int, Rows]] = []
        for what, start, end in frames(content):
            reason = (
                NOT_BSON if what != "document" else reject_reason(plain, content[start:end], start)
            )
            if reason:
                rejects[start] = end, reason
            else:
                candidates.append((start, end, expected_rows(plain, content[start:end], start)))
        texts = [str(rows[root][0][key]) for _, _, rows in candidates]
        firsts = self.target.first_of_equal(texts, read_type(as_dict(entry["columns"])[key]))
        expected: Rows = {name: [] for name in tables}
        sources: dict[str, bytes] = {}
        self.counts, root_table = Counts(), read_tables(plain)[0]
        for n, (start, end, rows) in enumerate(candidates):
            if firsts[n] != n:
                rejects[start] = end, DUPLICATE_ID
                self.hits |= {("key", "equal")} if texts[firsts[n]] != texts[n] else set()
                continue
            sources[texts[n]] = content[start:end]
            unused: Rows = {name: [] for name in tables}
            self.counts += add_rows(unused, root_table, parse(content[start:end]), start)
            for name in tables:
                expected[name] += rows[name]
        self.hits |= {("reject", reason) for _, reason in rejects.values()}
        self.hits |= set(find_hits(tables, expected))
        return expected, rejects, sources

    def check_rejects(self, rejects: dict[int, tuple[int, int]], content: bytes) -> None:
        """Reason, place and bytes of every reject."""
        found = self.target.run(
            "SELECT start_offset, size, reason, raw, sha256 FROM assise.reject ORDER BY 1",
            is_binary=True,
        )
        numbers = [tuple(int.from_bytes(cell or b"") for cell in row[:3]) for row in found]
        assert numbers == [
            (start, end - start, reason) for start, (end, reason) in sorted(rejects.items())
        ]
        assert [row[3] for row in found] == [
            content[start : start + size] for start, size, _ in numbers
        ]


def find_hits(tables: dict[str, Plain], expected: Rows) -> Iterator[Hit]:
    """What the rows of one example show of the rules."""
    for name, entry in tables.items():
        keys, columns = read_keys(entry), as_dict(entry.get("columns", {}))
        arrays = [
            split_path(str(child["from"]))[:-1]
            for child in tables.values()
            if child.get("parent") == name
        ]
        if expected[name] and len(keys) > 1:
            yield (
                "rows",
                [
                    "child",
                    "grandchild",
                    "great-grandchild",
                ][min(len(keys), 4) - 2],
            )
        for row in expected[name]:
            own = next(column for column in row if column not in keys and column not in columns)
            notes = json.loads(row[own] or "null")
            yield from find_escapes(notes)
            yield from find_words(notes)
            yield from find_containers(
                notes,
                arrays,
                [read_rule(column, written)[2] for column, written in columns.items()],
            )
            yield from find_fits(columns, row, notes)
            yield from find_silent(entry, row, notes)
            if (row[keys[0]] or "").startswith("sha256:") and len(keys) == 1:
                yield "key", "sha256"


def find_silent(entry: Plain, row: dict[str, str | None], notes: object) -> Iterator[Hit]:
    """Documents that are there though no cell and no note says so, and missing ones."""
    listed = entry.get("documents", [])
    assert isinstance(listed, list)
    cells = [
        (read_rule(column, written)[2], row[column])
        for column, written in as_dict(entry.get("columns", {})).items()
    ]
    for path in [split_path(str(path)) for path in listed]:
        outer = find_note(notes, path[:-1])
        gone = outer.get("$missing", []) if isinstance(outer, dict) else []
        told = [keys for keys, cell in cells if cell is not None]
        is_there = len(path) == 1 or any(keys[: len(path) - 1] == path[:-1] for keys in told)
        if escape_key(path[-1]) in gone:
            yield "document", "missing"
        elif is_there and find_note(notes, path) is MISSING:
            is_told = any(keys[: len(path)] == path for keys in told)
            yield "document", "told" if is_told else "not noted"


def read_rule(column: str, written: object) -> tuple[str, str, tuple[str, ...]]:
    """Type, kind and path of a column of a plain manifest."""
    long = written if isinstance(written, dict) else {"type": written}
    type_ = str(long["type"])
    return (
        type_,
        str(long.get("kind", default_kind(type_))),
        split_path(str(long.get("from", column))),
    )


def read_fit(column: str, written: object, plain: Plain) -> tuple[str, str, str]:
    """Type, kind and readings of a column of a plain manifest."""
    type_, kind, _ = read_rule(column, written)
    long = written if isinstance(written, dict) else {}
    legacy = plain.get("legacy_uuids") if type_.removesuffix("[]") == "uuid" else ""
    return type_, kind, str(long.get("numbers") or long.get("legacy_uuids") or legacy or "")


def find_fits(columns: Plain, row: dict[str, str | None], notes: object) -> Iterator[Hit]:
    """The rules that one row follows: a value at home, one that is read, or one that is neither."""
    for column, written in columns.items():
        type_, kind, path = read_rule(column, written)
        is_element = isinstance(written, dict) and written.get("from") == "*"
        note = find_note(notes, ("$element",) if is_element else path)
        if is_element:
            what = "home" if note is MISSING else "read"
            yield "value", "null" if row[column] is None else what
            if note is not MISSING and row[column] is None:
                yield "value", "neither"
        elif row[column] is not None and row[column] != "{}":
            yield type_, kind, "home" if note is MISSING else "read"
        elif note is not MISSING and (note is not None or type_ == "jsonb"):
            yield type_, kind, "neither"


def find_note(notes: object, path: tuple[str, ...]) -> object:
    """What stands in `_extra` at a path."""
    for key in path:
        name = key if key == "$element" else escape_key(key)
        if not isinstance(notes, dict) or name not in notes:
            return MISSING
        notes = notes[name]
    return notes


def find_containers(
    notes: object, arrays: list[tuple[str, ...]], columns: list[tuple[str, ...]]
) -> Iterator[Hit]:
    """Notes in the place of child rows and of flattened documents."""
    for path in arrays:
        note = find_note(notes, path)
        if note is not MISSING:
            yield "array", "[]" if note == [] else "null" if note is None else "other"
    for path in columns:
        for size in range(1, len(path)):
            note = find_note(notes, path[:size])
            if note is not MISSING and (note == {} or not isinstance(note, dict)):
                yield "document", "{}" if note == {} else "null" if note is None else "other"


def find_words(notes: object) -> Iterator[Hit]:
    """The words of ours in `_extra`, at the levels of a document."""
    if isinstance(notes, dict):
        for key, inner in notes.items():
            if key in {"$missing", "$one"}:
                yield "note", key
            if inner == {}:
                yield "note", "{}"
            if inner is None:
                yield "note", "null"
            yield from find_words(inner)


def find_escapes(note: object) -> Iterator[Hit]:
    """The escapes in a jsonb value."""
    if isinstance(note, list):
        for inner in note:
            yield from find_escapes(inner)
    elif isinstance(note, dict):
        if isinstance(note.get("$bson"), str):
            fields = parse(base64.b64decode(note["$bson"])).fields
            yield "escape", "$bson value" if [key for key, _ in fields] == [b""] else "$bson fields"
        for key, inner in note.items():
            if key.startswith("$$") or key in {"$numberDouble", "$element"}:
                yield "escape", "$$ key" if key.startswith("$$") else key
            yield from find_escapes(inner)
