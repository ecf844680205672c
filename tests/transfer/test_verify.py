"""Verify: whatever is changed in any table after a load is found, and nothing else is reported."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from bson import Binary, Code, Decimal128, Int64, ObjectId
from psycopg import sql

from assise.errors import ChangedError, SourceError, UsageError
from assise.mongo.dump import open_dump
from assise.postgres.connection import Connection
from assise.project import Project, keep_silent
from assise.transfer import ledger
from assise.transfer.report import Verified
from assise.transfer.verify import verify_dump
from tests.dumps import agree, write_dump

Query = Callable[..., list[tuple[object, ...]]]
Figures = tuple[int, int, int, int]

HEAD = "assise: 1\nname: app\ntables:\n"
THINGS = """
  things:
    collection: things
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      u: {type: uuid, kind: uuid}
      u_java: {type: uuid, kind: uuid_java}
      u_csharp: {type: uuid, kind: uuid_csharp}
      u_python: {type: uuid, kind: uuid_python}
      ref: uuid
      word: text
      hex: {type: text, kind: objectid}
      flag: bool
      small: int4
      big: int8
      ratio: float8
      price: numeric
      total: {type: numeric, kind: decimal}
      at: timestamptz
      bytes: bytea
      bytes5: {type: bytea, kind: binary_5}
      doc: jsonb
      refs: "uuid[]"
      words: "text[]"
      flags: "bool[]"
      smalls: "int4[]"
      bigs: "int8[]"
      ratios: "float8[]"
      prices: "numeric[]"
      totals: {type: "numeric[]", kind: decimal}
      ats: "timestamptz[]"
      city: {type: text, from: address.city}
  thing_items:
    parent: things
    from: items.*
    primary_key: [thing_id, _position]
    columns: {_id: uuid, label: text, n: numeric, size: {type: int4, from: box.size}}
  thing_parts:
    parent: thing_items
    from: parts.*
    primary_key: [thing_id, _position, _position_2]
    columns: {code: text, tags: "text[]"}
  thing_notes:
    parent: things
    from: address.notes.*
    primary_key: [thing_id, _position]
    columns: {body: text}
"""
NOW = datetime(2024, 1, 31, 10, tzinfo=UTC)
IDS = [ObjectId(f"65b9f0a0000000000000000{n}") for n in range(4)]


def write_thing(n: int) -> dict[str, object]:
    """A document with something in every column and every `_extra`; `n` makes its values its own."""
    ref = ObjectId(f"5f7f1f77bcf86cd79943901{n}")
    uuid = UUID(int=0x1234567890ABCDEF1234567890ABCD00 + n).bytes
    part = {"code": f"p{n}", "tags": ["x", None], "odd": n}
    item = {"_id": ref, "label": f"item {n}", "n": n, "box": {"size": n, "color": "red"}, "parts": [part, {"code": "q"}, 7], "odd": 1.5}
    return {
        "_id": IDS[n],
        "u": Binary(uuid, 4),
        **{name: Binary(uuid, 3) for name in ("u_java", "u_csharp", "u_python")},
        "ref": ref,
        "word": f"word {n}",
        "hex": ref,
        "flag": bool(n),
        "small": 10 + n,
        "big": Int64(2**40 + n),
        "ratio": 1.5 + n / 8,
        "price": 10 if n else 9.5,
        "total": Decimal128(f"10.5{n}"),
        "at": NOW + timedelta(milliseconds=n),
        "bytes": b"abc%d" % n,
        "bytes5": Binary(b"abc%d" % n, 5),
        "doc": {"a": 1.5, "n": 10, "in": [{"deep": "leaf", "at": NOW, "id": ref}, None, []], "code": Code("f()", {"x": 1}), "none": {}},
        "refs": [ref, None],
        "words": ["a", "b"],
        "flags": [True, False],
        "smalls": [1, 2],
        "bigs": [Int64(2**40), Int64(1)],
        "ratios": [1.5, 1.25],
        "prices": [10, 10.5],
        "totals": [Decimal128("1.0"), Decimal128("1.00")],
        "ats": [NOW, NOW + timedelta(days=n + 1)],
        "address": {"city": "Lyon", "zip": "69001", "notes": [{"body": f"note {n}"}, {"body": "last", "by": "me"}]},
        "items": [item, {**item, "label": "second", "parts": []}, "no document", item],
        "rest": {"deep": {"deeper": [1, {"leaf": n}]}},
    }


@dataclass
class Loaded:
    """A load with a copy of all its rows beside it, and without foreign keys, so that every row can be changed."""

    project: Project
    conninfo: str
    query: Query
    tables: list[str]
    documents: int

    def columns(self, table: str) -> list[tuple[str, str]]:
        """The columns of a table with their types."""
        found = self.query(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
            (table,),
        )
        return [(str(name), str(kind)) for name, kind in found]

    def finds(self, statement: str, figures: Figures, *words: str) -> list[str]:
        """Run a statement that changes something; verify says so in figures and words, and is clean after it is undone."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            changed = connection.execute(statement.encode()).rowcount
            assert changed > 0, f"nothing was changed by {statement}"
            found, lines = self.verify()
            connection.execute(
                sql.SQL("; ").join(sql.SQL("DELETE FROM {t}; INSERT INTO {t} TABLE copy.{t}").format(t=sql.Identifier(table)) for table in self.tables)
            )
        assert (found.equal, found.different, found.missing, found.extra) == figures, (statement, lines)
        assert found.equal + found.different + found.missing == self.documents
        assert lines, statement
        for word in words:
            assert any(word in line for line in lines), (statement, word, lines)
        assert self.verify() == (Verified(self.documents), [])
        return lines

    def verify(self) -> tuple[Verified, list[str]]:
        """What verify finds in all collections."""
        with Connection(self.conninfo) as connection:
            load = ledger.find_loads(connection)[0]
            found = verify_dump(connection, load, open_dump(load.source), talk=keep_silent)
        parts = [vars(verified).values() for verified, _ in found.values()]
        return Verified(*map(sum, zip(*parts, strict=True))), [line for _, lines in found.values() for line in lines]


def load(project: Project, tmp_path: Path, conninfo: str, tables: str, collections: dict[str, list[dict[str, object]]]) -> Loaded:
    """Load collections into the tables of a manifest and copy the rows aside."""
    project.path.write_text(HEAD + tables)
    report = project.migrate(write_dump(tmp_path / "app", collections), agree=agree)
    assert report.exit_code == 0, [collection.differences for collection in report.collections]
    names = list(project.manifest.tables)

    def query(statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    query("CREATE SCHEMA copy")
    for table in names:
        query(f'CREATE TABLE copy."{table}" AS TABLE "{table}"')
        for (name,) in query("SELECT conname::text FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'f'", (table,)):
            query(f'ALTER TABLE "{table}" DROP CONSTRAINT "{name}"')
    return Loaded(project, conninfo, query, names, report.loaded)


@pytest.fixture
def things(project: Project, tmp_path: Path, database: str) -> Loaded:
    """Two documents with everything, and two without anything but their `_id`; all in one collection."""
    documents = [write_thing(0), write_thing(1), {"_id": IDS[2]}, {"_id": IDS[3]}]
    return load(project, tmp_path, database, THINGS, {"things": documents})


CHANGES = {
    "uuid": [
        "(left({c}::text, 35) || CASE right({c}::text, 1) WHEN '0' THEN '1' ELSE '0' END)::uuid",
        "(CASE left({c}::text, 1) WHEN '0' THEN '1' ELSE '0' END || substr({c}::text, 2))::uuid",
    ],
    "text": ["{c} || ' '", "left({c}, -1)", "overlay({c} placing '~' from 1 for 1)", "upper({c}) || ''", "''"],
    "boolean": ["NOT {c}"],
    "integer": ["{c} + 1", "-{c} - 1"],
    "bigint": ["{c} + 1", "-{c}"],
    "double precision": ["{c} + 2e-16", "-{c}", "'NaN'", "'-Infinity'"],
    "numeric": ["{c} + 0.0 * 0.00", "{c} + 0.1", "'NaN'", "'Infinity'", "12345678901234567890123456789012345678901234567890"],
    "timestamp with time zone": ["{c} + interval '%s'" % step for step in ("1 us", "-1 us", "1 ms", "1 hour")] + ["'infinity'", "'-infinity'"],
    "bytea": ["set_byte({c}, 0, get_byte({c}, 0) # 1)", r"{c} || '\x00'", "substr({c}, 2)", r"'\x'"],
    "jsonb": ["{c} || '{{\"new\": null}}'", "{c} || '{{\"new\": 1}}'", "jsonb_build_object()", "'[]'", "'7'", "'null'", "jsonb_build_array({c})"],
}
ARRAY_CHANGES = [
    "{c}[2:]", "{c}[:1]", "ARRAY[{c}[2], {c}[1]]", "array_append({c}, NULL)", "array_append({c}, {c}[1])", "array_prepend(NULL, {c})",
    "array_replace({c}, {c}[1], NULL)", "ARRAY[{c}]", "'{{}}'", "('[0:1]=' || {c}::text)::{t}", "('[2:3]=' || {c}::text)::{t}",
]  # fmt: skip


def changes_of(column: str, column_type: str) -> list[str]:
    """Expressions that give another value than a column of this type has."""
    found = ARRAY_CHANGES if column_type.endswith("[]") else CHANGES[column_type]
    return [text.format(c=f'"{column}"', t=column_type) for text in found]


def is_changed(loaded: Loaded, table: str, column: str, value: str) -> bool:
    """Whether an expression gives another text than the first row with a value has (`upper` of digits does not)."""
    row = f'ctid = (SELECT min(ctid) FROM "{table}" WHERE "{column}" IS NOT NULL)'
    return loaded.query(f'SELECT "{column}"::text IS DISTINCT FROM ({value})::text FROM "{table}" WHERE {row}') == [(True,)]


@pytest.mark.parametrize("table", ["things", "thing_items", "thing_parts", "thing_notes"])
def test_every_change_of_every_column_is_found(things: Loaded, table: str) -> None:
    keys = {"id", "thing_id", "_position", "_position_2"}
    columns = [(name, kind) for name, kind in things.columns(table) if name not in keys]
    assert len(columns) == {"things": 28, "thing_items": 5, "thing_parts": 3, "thing_notes": 2}[table]
    for column, kind in columns:
        set_one = f'UPDATE "{table}" SET "{column}" = %s WHERE ctid = (SELECT min(ctid) FROM "{table}" WHERE "{column}" IS %s NULL)'
        for value in ["NULL", *changes_of(column, kind)]:
            if is_changed(things, table, column, value):
                lines = things.finds(set_one % (value, "NOT"), (3, 1, 0, 0))
                assert all(re.match(r"things: document at offset [0-9,]+ \(key [0-9a-f]{32}\): ", line) for line in lines)
                assert column == "_extra" or any(re.search(rf"\b{column}\b", line) for line in lines), (column, value, lines)
        if things.query(f'SELECT FROM "{table}" WHERE "{column}" IS NULL'):
            filled = f'(SELECT "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL LIMIT 1)'
            things.finds(set_one % (filled, ""), (3, 1, 0, 0), "things: document at offset ")
