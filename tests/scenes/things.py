"""Documents with something in every column of every type, and every child table, and their load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
from bson import Binary, Code, Decimal128, Int64, ObjectId
from psycopg import sql
from tests.dumps import confirm, write_dump

from assise.mongo.opening import open_source
from assise.postgres.connection import Connection
from assise.project import Project
from assise.transfer import ledger
from assise.transfer.ledger import Load
from assise.transfer.report import Verified
from assise.transfer.verify import verify_source
from assise.transfer.workers.pool import Workers
from assise.workspace import keep_silent

Row = tuple[object, ...]
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
    primary_key: [thing_id, position]
    columns: {_id: uuid, label: text, n: numeric, size: {type: int4, from: box.size}}
  thing_parts:
    parent: thing_items
    from: parts.*
    primary_key: [thing_id, position, position_2]
    columns: {code: text, tags: "text[]"}
  thing_notes:
    parent: things
    from: address.notes.*
    primary_key: [thing_id, position]
    columns: {body: text}
"""
NOW = datetime(2024, 1, 31, 10, tzinfo=UTC)
IDS = [ObjectId(f"65b9f0a0000000000000000{n}") for n in range(4)]


def write_thing(n: int) -> dict[str, object]:
    """A document with something in every column and every `_extra`.

    `n` makes its values its own.
    """
    ref = ObjectId(f"5f7f1f77bcf86cd79943901{n}")
    uuid = UUID(int=0x1234567890ABCDEF1234567890ABCD00 + n).bytes
    part = {"code": f"p{n}", "tags": ["x", None], "odd": n}
    item = {
        "_id": ref,
        "label": f"item {n}",
        "n": n,
        "box": {"size": n, "color": "red"},
        "parts": [part, {"code": "q"}, 7],
        "odd": 1.5,
    }
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
        "doc": {
            "a": 1.5,
            "n": 10,
            "in": [{"deep": "leaf", "at": NOW, "id": ref}, None, []],
            "code": Code("f()", {"x": 1}),
            "none": {},
        },
        "refs": [ref, None],
        "words": ["a", "b"],
        "flags": [True, False],
        "smalls": [1, 2],
        "bigs": [Int64(2**40), Int64(1)],
        "ratios": [1.5, 1.25],
        "prices": [10, 10.5],
        "totals": [Decimal128("1.0"), Decimal128("1.00")],
        "ats": [NOW, NOW + timedelta(days=n + 1)],
        "address": {
            "city": "Lyon",
            "zip": "69001",
            "notes": [{"body": f"note {n}"}, {"body": "last", "by": "me"}],
        },
        "items": [item, {**item, "label": "second", "parts": []}, "no document", item],
        "rest": {"deep": {"deeper": [1, {"leaf": n}]}},
    }


@dataclass
class Loaded:
    """A load with a copy of all its rows beside it.

    It has no foreign keys, so that every row can be changed.
    """

    project: Project
    conninfo: str
    tables: list[str]
    documents: int
    load: Load

    def query(self, statement: str, parameters: tuple[object, ...] = ()) -> list[Row]:
        """Run SQL, committed at once, and return the rows."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def columns(self, table: str) -> list[tuple[str, str]]:
        """The columns of a table with their types."""
        found = self.query(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute WHERE"
            " attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
            (table,),
        )
        return [(str(name), str(kind)) for name, kind in found]

    def finds(self, statement: str, figures: Figures, *words: str) -> list[str]:
        """Run a statement that changes something.

        Verify says so in figures and words, and is clean after it is undone.
        """
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            changed = connection.execute(statement.encode()).rowcount
            assert changed > 0, f"nothing was changed by {statement}"
            found, lines = self.verify()
            restore = sql.SQL("DELETE FROM {t}; INSERT INTO {t} TABLE copy.{t}")
            connection.execute(
                sql.SQL("; ").join(restore.format(t=sql.Identifier(table)) for table in self.tables)
            )
        assert (found.equal, found.different, found.missing, found.extra) == figures, (
            statement,
            lines,
        )
        assert found.equal + found.different + found.missing == self.documents
        assert lines, statement
        for word in words:
            assert any(word in line for line in lines), (statement, word, lines)
        assert self.verify() == (Verified(self.documents), [])
        return lines

    def verify(self) -> tuple[Verified, list[str]]:
        """What verify finds in all collections."""
        with Connection(self.conninfo) as connection:
            found = verify_source(
                connection,
                self.load,
                open_source(self.load.source),
                Workers(1),
                log=keep_silent,
                progress=keep_silent,
            )
        parts = [vars(each.verified).values() for each in found.values()]
        return Verified(*map(sum, zip(*parts, strict=True))), [
            line for each in found.values() for line in each.differences
        ]


def load_things(
    project: Project,
    tmp_path: Path,
    conninfo: str,
    tables: str,
    collections: Mapping[str, list[dict[str, object]]],
) -> Loaded:
    """Load collections into the tables of a manifest and copy the rows aside."""
    project.path.write_text(HEAD + tables)
    report = project.migrate(write_dump(tmp_path / "app", collections), confirm=confirm)
    assert report.exit_code == 0, [collection.differences for collection in report.collections]
    loaded = open_loaded(project, conninfo)
    loaded.query("CREATE SCHEMA copy")
    keys = "SELECT conname::text FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'f'"
    for table in loaded.tables:
        loaded.query(f'CREATE TABLE copy."{table}" AS TABLE "{table}"')
        for (name,) in loaded.query(keys, (table,)):
            loaded.query(f'ALTER TABLE "{table}" DROP CONSTRAINT "{name}"')
    return loaded


def open_loaded(project: Project, conninfo: str) -> Loaded:
    """The load of `load_things`, or of a copy of its database."""
    with Connection(conninfo) as connection:
        load = ledger.find_load(connection, project.manifest.name)
        assert load is not None
        documents = sum(
            ledger.sum_chunks(connection, load, name).loaded for name in load.layout.roots.values()
        )
    return Loaded(project, conninfo, [*project.manifest.tables], documents, load)
