"""Assembling rows that SQL has changed: who wins, the order of fields, cells that BSON cannot hold. On a real PostgreSQL."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import bson
import psycopg
import pytest
from bson import DBRef, Decimal128, Int64, ObjectId
from tests.dumps import agree, write_dump
from tests.oracle.equality import differences
from tests.oracle.walk import parse

from assise.errors import CellError, ExtendedJsonError
from assise.project import Project
from assise.rows.assemble import Assembler, Kids

Query = Callable[..., list[tuple[object, ...]]]
Change = Callable[[str], bytes]
OID = ObjectId("507f1f77bcf86cd799439011")
MANIFEST = """
assise: 1
name: app
tables:
  t:
    collection: t
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      name: text
      n: numeric
      d: {type: numeric, kind: decimal}
      big: int8
      at: timestamptz
      tags: text[]
      any: jsonb
      city: {type: text, from: place.city}
      ref: {type: uuid, from: link.$id}
  items:
    parent: t
    from: items.*
    primary_key: [t_id, _position]
    columns: {n: int4}
  parts:
    parent: items
    from: parts.*
    primary_key: [t_id, _position, _position_2]
    columns: {p: int4}
"""
DOCUMENT = {
    "z": 1, "name": 7, "n": "ten", "big": None, "at": "soon", "tags": "none", "place": {"zip": "9", "city": 3}, "items": [],
    "_id": OID,
}  # fmt: skip


@pytest.fixture
def change(project: Project, tmp_path: Path, database: str, query: Query) -> Change:
    """Loads DOCUMENT, runs SQL, and assembles the document from its rows."""
    project.path.write_text(MANIFEST)
    project.load(write_dump(tmp_path / "app", {"t": [DOCUMENT]}), agree=agree)

    def run(statement: str) -> bytes:
        if statement:
            query(statement)
        return assemble(project, database)

    return run


def assemble(project: Project, database: str, *, is_strict: bool = False) -> bytes:
    found = Assembler(project.manifest, "t", is_strict=is_strict)
    kids: Kids = [{} for _ in found.layouts]
    with psycopg.connect(database) as connection:
        cursor = connection.cursor(binary=True)
        rows: list[list[tuple[bytes | None, ...]]] = []
        for layout in found.layouts:
            names = ", ".join('"' + name + '"' for name in layout.names)
            order = ", ".join('"' + name + '"' for name in layout.primary_key)
            result = cursor.execute(f'SELECT {names} FROM "{layout.table}" ORDER BY {order}'.encode()).pgresult
            assert result is not None
            rows.append([tuple(result.get_value(i, j) for j in range(result.nfields)) for i in range(result.ntuples)])
    for i, layout in enumerate(found.layouts[1:], 1):
        for row in rows[i]:
            kids[i].setdefault(b"".join(cell or b"" for cell in row[1 : layout.front - 1]), []).append(row)
    return found.assemble(rows[0][0], kids)


def changed(**fields: object) -> bytes:
    return bson.encode({**DOCUMENT, **fields})


def without(*names: str) -> bytes:
    return bson.encode({name: value for name, value in DOCUMENT.items() if name not in names})


def test_unchanged_rows_give_the_document_with_its_id_first(change: Change) -> None:
    found = change("")
    assert differences(changed(), found) == []
    assert parse(found).fields[0][0] == b"_id"


@pytest.mark.parametrize(
    ("statement", "fields"),
    [
        ("UPDATE t SET name = 'new'", {"name": "new"}),
        ("UPDATE t SET n = 10", {"n": 10}),
        ("UPDATE t SET n = 10.00", {"n": 10.0}),
        ("UPDATE t SET n = 0.5", {"n": 0.5}),
        ("UPDATE t SET n = 'Infinity'", {"n": float("inf")}),
        ("UPDATE t SET n = '-Infinity'", {"n": float("-inf")}),
        ("UPDATE t SET n = 9223372036854775807", {"n": Int64(2**63 - 1)}),
        ("UPDATE t SET d = 1.50", {"d": Decimal128("1.50")}),
        ("UPDATE t SET big = 5", {"big": Int64(5)}),
        ("UPDATE t SET tags = '{a,NULL}'", {"tags": ["a", None]}),
        ("UPDATE t SET tags = '{}'", {"tags": []}),
        ('UPDATE t SET "any" = \'{"a": [1, 2.0]}\'', {"any": {"a": [1, 2.0]}}),
        ("UPDATE t SET \"any\" = 'null'", {"any": None}),
        ("UPDATE t SET city = 'Bern'", {"place": {"zip": "9", "city": "Bern"}}),
    ],
)
def test_a_cell_that_sql_has_changed_wins_over_the_original_in_extra(change: Change, statement: str, fields: dict[str, object]) -> None:
    assert differences(changed(**fields), change(statement)) == []


def test_a_timestamp_of_sql_is_a_date_cut_to_milliseconds(change: Change) -> None:
    found = change("UPDATE t SET at = '2024-01-31 10:00:00.123999+00'")
    value = next(value for key, value in parse(found).fields if key == b"at")
    assert (value.kind, value.number) == ("date", 1706695200123)


def test_a_null_of_sql_wins_over_a_value_that_fitted(project: Project, tmp_path: Path, database: str, query: Query) -> None:
    project.path.write_text(MANIFEST)
    fitting = {"_id": OID, "name": "a", "n": 1, "tags": ["x"], "place": {"city": "Bern", "zip": "9"}, "any": {"a": 1}}
    project.load(write_dump(tmp_path / "app", {"t": [fitting]}), agree=agree)
    query('UPDATE t SET name = NULL, n = NULL, tags = NULL, city = NULL, "any" = NULL')
    assert differences(bson.encode({"_id": OID, "place": {"zip": "9"}}), assemble(project, database)) == []


def test_a_null_of_sql_wins_over_a_key_digest_and_over_a_value_beside_its_cell(project: Project, tmp_path: Path, database: str, query: Query) -> None:
    project.path.write_text(MANIFEST)
    project.load(write_dump(tmp_path / "app", {"t": [{"_id": OID, "name": "a"}]}), agree=agree)
    query('UPDATE t SET _extra = \'{"name": "a"}\', name = NULL')
    assert differences(bson.encode({"_id": OID}), assemble(project, database)) == []
    query("UPDATE t SET name = 'a'")
    assert differences(bson.encode({"_id": OID, "name": "a"}), assemble(project, database)) == []
    with pytest.raises(CellError, match="name stands in its cells and in _extra"):
        assemble(project, database, is_strict=True)


def test_child_rows_win_over_the_parents_note(change: Change) -> None:
    key = "(SELECT id FROM t)"
    found = change(f"INSERT INTO items (t_id, _position, n) VALUES ({key}, 0, 5), ({key}, 1, NULL)")
    assert differences(changed(items=[{"n": 5}, {}]), found) == []
    found = change(f"INSERT INTO parts (t_id, _position, _position_2, p) VALUES ({key}, 1, 0, 9)")
    assert differences(changed(items=[{"n": 5}, {"parts": [{"p": 9}]}]), found) == []
    assert differences(changed(), change("DELETE FROM items")) == []


def test_fields_that_sql_has_put_into_extra_are_fields(change: Change) -> None:
    found = change("""UPDATE t SET _extra = '{"new": {"$oid": "507f1f77bcf86cd799439012"}, "$$date": 1, "place": {"x": []}}'""")
    expected = {"_id": OID, "new": ObjectId("507f1f77bcf86cd799439012"), "$date": 1, "place": {"x": []}}
    assert differences(bson.encode(expected), found) == []
    assert differences(bson.encode({"_id": OID}), change("UPDATE t SET _extra = NULL")) == []
    assert differences(bson.encode({"_id": OID}), change("UPDATE t SET _extra = '{}'")) == []


def test_a_dbref_has_its_fields_in_the_order_of_drivers(project: Project, tmp_path: Path, database: str) -> None:
    project.path.write_text(MANIFEST)
    documents = {"_id": OID, "link": DBRef("users", OID, "app", extra=1), "other": DBRef("users", 7), "any": DBRef("users", 8, "app")}
    project.load(write_dump(tmp_path / "app", {"t": [documents]}), agree=agree)
    found = assemble(project, database)
    assert bson.decode(found) == documents
    fields = {key: [name for name, _ in value.fields] for key, value in parse(found).fields}
    assert fields[b"link"][:3] == fields[b"any"] == [b"$ref", b"$id", b"$db"]
    assert fields[b"other"] == [b"$ref", b"$id"]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE t SET n = 9223372036854775808", "9223372036854775808 is an integral number of more than 64 bits"),
        ("UPDATE t SET d = 12345678901234567890123456789012345", "has more digits than a Decimal128"),
        ("UPDATE t SET at = 'infinity'", "a timestamptz that is infinite has no BSON date"),
        ("UPDATE t SET at = '-infinity'", "a timestamptz that is infinite has no BSON date"),
        ("UPDATE t SET tags = '{{a},{b}}'", "an array of 2 dimensions is not what a column of arrays holds"),
        ("UPDATE t SET _extra = '[]'", "_extra holds .*, which is no object"),
    ],
)
def test_a_cell_that_bson_cannot_hold_is_an_error_that_says_so(change: Change, statement: str, message: str) -> None:
    with pytest.raises(CellError, match=message):
        change(statement)


@pytest.mark.parametrize("text", ['{"a": {"$oid": "7"}}', '{"a": {"$bson": "x"}}', '{"place": {"city": {"$date": true}}}'])
def test_an_extra_that_is_no_extended_json_is_an_error_that_says_so(change: Change, text: str) -> None:
    with pytest.raises((ExtendedJsonError, CellError), match="is not what Extended JSON has under"):
        change(f"UPDATE t SET _extra = '{text}'")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE t SET n = 10.00, _extra = NULL", "is not as a load writes it"),
        ("UPDATE t SET at = '2024-01-31 10:00:00.000001+00', _extra = NULL", "is not as a load writes it"),
        ("UPDATE t SET _extra = '{}'", "_extra is {} instead of NULL"),
        ("UPDATE t SET _extra = '{\"x\": 1.50}'", "1.50 in jsonb is not how a double is written"),
        ("UPDATE t SET _extra = NULL, \"any\" = '2.0e0'", None),
        ("UPDATE t SET _extra = NULL, \"any\" = '2.00'", "2.00 in jsonb is not how a double is written"),
        ("UPDATE t SET _extra = '{\"place\": {}}', city = 'x'", "place stands in its cells and in _extra"),
    ],
)
def test_verify_reads_strictly_what_no_load_has_written(change: Change, project: Project, database: str, statement: str, message: str | None) -> None:
    change(statement)
    if message is None:
        assert differences(bson.encode({"_id": OID, "any": 2.0}), assemble(project, database, is_strict=True)) == []
        return
    with pytest.raises(CellError, match=message):
        assemble(project, database, is_strict=True)


def test_a_uuid_that_is_no_objectid_is_a_binary_of_subtype_4(change: Change) -> None:
    found = change("UPDATE t SET ref = '507f1f77-bcf8-46cd-8799-439011000000'")
    link = next(value for key, value in parse(found).fields if key == b"link")
    assert [(key, value.kind, value.number) for key, value in link.fields] == [(b"$id", "binary", 4)]
    assert struct.unpack_from("<i", link.raw)[0] == len(link.raw)
