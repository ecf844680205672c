"""Assembling rows that SQL has changed, on a real PostgreSQL.

Who wins, the order of fields, cells that BSON cannot hold.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import bson
import psycopg
import pytest
from bson import DBRef, Decimal128, Int64, ObjectId
from hypothesis import given
from hypothesis import strategies as st
from tests.dumps import confirm, write_dump
from tests.oracle.equality import differences
from tests.oracle.strategies import documents, manifests
from tests.oracle.values import write_array, write_document, write_scoped
from tests.oracle.walk import parse
from tests.rows.rebuild import read_manifest, rebuild, rows_of

from assise.documents.extjson_reader import SOME_FIELDS, SOME_ITEMS
from assise.errors import CellError, ExtendedJsonError
from assise.manifest.read import parse_manifest
from assise.project import Project
from assise.rows.assemble import Assembler
from assise.rows.model import ChildRows, Row
from assise.rows.shred import Shredder
from assise.types.wire import Cell

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
    "z": 1,
    "name": 7,
    "n": "ten",
    "big": None,
    "at": "soon",
    "tags": "none",
    "place": {"zip": "9", "city": 3},
    "items": [],
    "_id": OID,
}


@pytest.fixture
def change(project: Project, tmp_path: Path, database: str, query: Query) -> Change:
    """Loads DOCUMENT, runs SQL, and assembles the document from its rows."""
    project.path.write_text(MANIFEST)
    project.load(write_dump(tmp_path / "app", {"t": [DOCUMENT]}), confirm=confirm)

    def run(statement: str) -> bytes:
        if statement:
            query(statement)
        return assemble(project, database)

    return run


def to_cell(content: bytes | None) -> Cell | None:
    return None if content is None else Cell(content)


def assemble(project: Project, database: str, *, is_strict: bool = False) -> bytes:
    found = Assembler(project.manifest.layout, "t", is_strict=is_strict)
    child_rows: ChildRows = [{} for _ in found.layouts]
    with psycopg.connect(database) as connection:
        cursor = connection.cursor(binary=True)
        rows: list[list[Row]] = []
        for layout in found.layouts:
            names = ", ".join('"' + name + '"' for name in layout.names)
            order = ", ".join('"' + name + '"' for name in layout.primary_key)
            result = cursor.execute(
                f'SELECT {names} FROM "{layout.table}" ORDER BY {order}'.encode()
            ).pgresult
            assert result is not None
            cells = [
                [result.get_value(i, j) for j in range(result.nfields)]
                for i in range(result.ntuples)
            ]
            rows.append([[to_cell(cell) for cell in row] for row in cells])
    for i, layout in enumerate(found.layouts[1:], 1):
        for row in rows[i]:
            child_rows[i].setdefault(
                b"".join(cell or b"" for cell in row[1 : layout.key_width - 1]), []
            ).append(row)
    return found.assemble(rows[0][0], child_rows)


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
def test_a_cell_that_sql_has_changed_wins_over_the_original_in_extra(
    change: Change, statement: str, fields: dict[str, object]
) -> None:
    assert differences(changed(**fields), change(statement)) == []


def test_a_timestamp_of_sql_is_a_date_cut_to_milliseconds(change: Change) -> None:
    found = change("UPDATE t SET at = '2024-01-31 10:00:00.123999+00'")
    value = next(value for key, value in parse(found).fields if key == b"at")
    assert (value.kind, value.number) == ("date", 1706695200123)


def test_a_null_of_sql_wins_over_a_value_that_fitted(
    project: Project, tmp_path: Path, database: str, query: Query
) -> None:
    project.path.write_text(MANIFEST)
    fitting = {
        "_id": OID,
        "name": "a",
        "n": 1,
        "tags": ["x"],
        "place": {"city": "Bern", "zip": "9"},
        "any": {"a": 1},
    }
    project.load(write_dump(tmp_path / "app", {"t": [fitting]}), confirm=confirm)
    query('UPDATE t SET name = NULL, n = NULL, tags = NULL, city = NULL, "any" = NULL')
    assert (
        differences(bson.encode({"_id": OID, "place": {"zip": "9"}}), assemble(project, database))
        == []
    )


def test_a_null_of_sql_wins_over_a_key_digest_and_over_a_value_beside_its_cell(
    project: Project, tmp_path: Path, database: str, query: Query
) -> None:
    project.path.write_text(MANIFEST)
    project.load(write_dump(tmp_path / "app", {"t": [{"_id": OID, "name": "a"}]}), confirm=confirm)
    query('UPDATE t SET _extra = \'{"name": "a"}\', name = NULL')
    assert differences(bson.encode({"_id": OID}), assemble(project, database)) == []
    query("UPDATE t SET name = 'a'")
    assert differences(bson.encode({"_id": OID, "name": "a"}), assemble(project, database)) == []
    with pytest.raises(CellError, match="name is in its cells and in _extra"):
        assemble(project, database, is_strict=True)


def test_child_rows_win_over_the_parents_note(change: Change) -> None:
    key = "(SELECT id FROM t)"
    found = change(f"INSERT INTO items (t_id, _position, n) VALUES ({key}, 0, 5), ({key}, 1, NULL)")
    assert differences(changed(items=[{"n": 5}, {}]), found) == []
    found = change(f"INSERT INTO parts (t_id, _position, _position_2, p) VALUES ({key}, 1, 0, 9)")
    assert differences(changed(items=[{"n": 5}, {"parts": [{"p": 9}]}]), found) == []
    assert differences(changed(), change("DELETE FROM items")) == []


def test_fields_that_sql_has_put_into_extra_are_fields(change: Change) -> None:
    found = change(
        """UPDATE t SET _extra =
        '{"new": {"$oid": "507f1f77bcf86cd799439012"}, "$$date": 1, "place": {"x": []}}'"""
    )
    expected = {
        "_id": OID,
        "new": ObjectId("507f1f77bcf86cd799439012"),
        "$date": 1,
        "place": {"x": [], "city": "3"},
        "name": "7",
        "tags": ["none"],
    }
    assert differences(bson.encode(expected), found) == []
    del expected["new"], expected["$date"]
    expected["place"] = {"city": "3"}
    assert differences(bson.encode(expected), change("UPDATE t SET _extra = NULL")) == []
    assert differences(bson.encode(expected), change("UPDATE t SET _extra = '{}'")) == []


def test_a_dbref_has_its_fields_in_the_order_of_drivers(
    project: Project, tmp_path: Path, database: str
) -> None:
    project.path.write_text(MANIFEST)
    documents = {
        "_id": OID,
        "link": DBRef("users", OID, "app", extra=1),
        "other": DBRef("users", 7),
        "any": DBRef("users", 8, "app"),
    }
    project.load(write_dump(tmp_path / "app", {"t": [documents]}), confirm=confirm)
    found = assemble(project, database)
    assert bson.decode(found) == documents
    fields = {key: [name for name, _ in value.fields] for key, value in parse(found).fields}
    assert fields[b"link"][:3] == fields[b"any"] == [b"$ref", b"$id", b"$db"]
    assert fields[b"other"] == [b"$ref", b"$id"]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "UPDATE t SET n = 9223372036854775808",
            "9223372036854775808 is an integral number of more than 64 bits",
        ),
        (
            "UPDATE t SET d = 12345678901234567890123456789012345",
            "has more digits than a Decimal128",
        ),
        ("UPDATE t SET at = 'infinity'", "a timestamptz that is infinite has no BSON date"),
        ("UPDATE t SET at = '-infinity'", "a timestamptz that is infinite has no BSON date"),
        (
            "UPDATE t SET tags = '{{a},{b}}'",
            "an array of 2 dimensions is not what a column of arrays holds",
        ),
        ("UPDATE t SET _extra = '[]'", "_extra holds .*, which is not an object"),
    ],
)
def test_a_cell_that_bson_cannot_hold_is_an_error_that_says_so(
    change: Change, statement: str, message: str
) -> None:
    with pytest.raises(CellError, match=message):
        change(statement)


@pytest.mark.parametrize(
    "text",
    ['{"a": {"$oid": "7"}}', '{"a": {"$bson": "x"}}', '{"place": {"city": {"$date": true}}}'],
)
def test_an_extra_that_is_no_extended_json_is_an_error_that_says_so(
    change: Change, text: str
) -> None:
    with pytest.raises((ExtendedJsonError, CellError), match="is not what Extended JSON has under"):
        change(f"UPDATE t SET _extra = '{text}'")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE t SET n = 10.00, _extra = NULL", "is not as a load writes it"),
        (
            "UPDATE t SET at = '2024-01-31 10:00:00.000001+00', _extra = NULL",
            "is not as a load writes it",
        ),
        ("UPDATE t SET _extra = '{}'", "_extra is {} instead of NULL"),
        ("UPDATE t SET _extra = '{\"x\": 1.50}'", "1.50 in jsonb is not how a double is written"),
        (
            "UPDATE t SET _extra = NULL, name = NULL, tags = NULL, city = NULL, \"any\" = '2.0e0'",
            None,
        ),
        (
            "UPDATE t SET _extra = NULL, \"any\" = '2.00'",
            "2.00 in jsonb is not how a double is written",
        ),
        (
            "UPDATE t SET _extra = '{\"place\": {}}', city = 'x'",
            "place is in its cells and in _extra",
        ),
    ],
)
def test_verify_reads_strictly_what_no_load_has_written(
    change: Change, project: Project, database: str, statement: str, message: str | None
) -> None:
    change(statement)
    if message is None:
        assert (
            differences(
                bson.encode({"_id": OID, "any": 2.0}), assemble(project, database, is_strict=True)
            )
            == []
        )
        return
    with pytest.raises(CellError, match=message):
        assemble(project, database, is_strict=True)


def test_a_uuid_that_is_no_objectid_is_a_binary_of_subtype_4(change: Change) -> None:
    found = change("UPDATE t SET ref = '507f1f77-bcf8-46cd-8799-439011000000'")
    link = next(value for key, value in parse(found).fields if key == b"link")
    assert [(key, value.kind, value.number) for key, value in link.fields] == [
        (b"$id", "binary", 4)
    ]
    assert struct.unpack_from("<i", link.raw)[0] == len(link.raw)


LARGE = "assise.types.jsonb.LARGE_BYTES"
NAMES = [
    *"a b tags place city items n ref _id t i $ref $id $db $$oid $element $scope".split(),
    *"$oid $date $numberLong $numberDouble $bson $code $symbol".split(),
]
TEXTS = [
    "x",
    '\U0001f600\n"\\',
    "507f1f77bcf86cd799439011",
    "2024-01-31T10:00:00Z",
    "7",
    "EwAAABAAAQAAAAA=",
    "DwAAABBhAAEAAAAQYQACAAAAAA==",
]
json_scalars = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        7,
        -5,
        1 << 40,
        0.5,
        1.5e-7,
        1e300,
        *TEXTS,
    ]
)
json_values = st.recursive(
    json_scalars,
    lambda inner: (
        st.lists(inner, max_size=7)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
        | st.dictionaries(st.text("abcé", max_size=2), inner)
    ),
    max_leaves=40,
)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell is large; a piece has two fields, and of objects only type wrappers are in it."""
    monkeypatch.setattr(LARGE, 0)
    for name, pattern in (("SOME_FIELDS", SOME_FIELDS), ("SOME_ITEMS", SOME_ITEMS)):
        small = pattern.replace(b"{0,4}", b"{0,2}").replace(b"{1,256}", b"{1,2}")
        monkeypatch.setattr(f"assise.documents.extjson_reader.{name}", small)


def outcome(assembler: Assembler, row: Row, child_rows: ChildRows) -> bytes | str:
    """The document, or what is said of it."""
    try:
        return assembler.assemble(row, [dict(groups) for groups in child_rows])
    except (CellError, ExtendedJsonError) as error:
        return error.message


def both_ways(
    assembler: Assembler, row: Row, child_rows: ChildRows
) -> tuple[bytes | str, bytes | str]:
    """The outcome in pieces, and as a whole."""
    pieces = outcome(assembler, row, child_rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LARGE, 1 << 30)
        return pieces, outcome(assembler, row, child_rows)


@pytest.mark.usefixtures("small_pieces")
@given(st.data())
def test_a_large_cell_gives_the_same_bytes_in_pieces(data: st.DataObject) -> None:
    raws = data.draw(st.lists(documents(), min_size=1, max_size=3))
    plain = data.draw(manifests(raws))
    manifest = read_manifest(plain)
    root = next(iter(manifest.roots))
    shredder = Shredder(manifest.layout, root)
    batch = shredder.shred(enumerate(raws))
    for is_strict in (False, True):
        assembler = Assembler(manifest.layout, root, is_strict=is_strict)
        for document in range(len(batch.offsets)):
            pieces, expected = both_ways(assembler, *rows_of(batch, shredder, document))
            assert isinstance(pieces, bytes), pieces
            assert pieces == expected


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("is_strict", [False, True])
@given(extra=st.dictionaries(st.sampled_from(NAMES), json_values, min_size=1), value=json_values)
def test_a_large_cell_written_by_sql_gives_the_same_or_is_refused_too(
    is_strict: bool, extra: object, value: object
) -> None:
    assembler = Assembler(parse_manifest(MANIFEST, "app.yaml").layout, "t", is_strict=is_strict)
    names = assembler.layouts[0].names
    for column, content in (("_extra", extra), ("any", value)):
        cells: list[Cell | None] = [None] * len(names)
        text = json.dumps(content, ensure_ascii=False)
        cells[names.index(column)] = Cell(b"\1" + text.encode())
        pieces, expected = both_ways(assembler, cells, [{} for _ in assembler.layouts])
        assert pieces == expected or (isinstance(pieces, str) and isinstance(expected, str))


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("is_strict", [False, True])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"zz": {"$oid": "7"}}', '$oid: "7" is not what Extended JSON has under $oid'),
        (
            '{"place": {"city": {"$date": true}, "x": [1, 2, 3]}}',
            "$date: true is not what Extended JSON has under $date",
        ),
        (
            '{"zz": {"a": 1, "b": 2, "c": {"$numberLong": 5}}}',
            "$numberLong: 5 is not what Extended JSON has under $numberLong",
        ),
        (
            '{"zz": {"$oid": {"a": 1, "b": 2, "c": 3}}}',
            '$oid: {"a": [16, "…"]} is not what Extended JSON has under $oid',
        ),
        (
            '{"zz": {"a": 1, "b": 2, "c": 3, "$symbol": "s"}}',
            "$symbol has other keys beside it: $symbol, a",
        ),
        (
            '{"zz": {"$bson": "x", "a": 1, "b": 2, "c": 3}}',
            '$bson: "x" is not what Extended JSON has under $bson',
        ),
        (
            '{"zz": {"$code": "f", "$scope": {"a": 1, "b": 2, "c": {"$oid": 1}}}}',
            "$oid: 1 is not what Extended JSON has under $oid",
        ),
        ("[]", "_extra holds [], which is not an object"),
        (
            '{"zz": ' + "[" * 5_000 + "]" * 5_000 + "}",
            "a jsonb value is nested deeper than a load writes it",
        ),
    ],
)
def test_a_large_extra_that_is_no_extended_json_is_refused(
    is_strict: bool, text: str, message: str
) -> None:
    assembler = Assembler(parse_manifest(MANIFEST, "app.yaml").layout, "t", is_strict=is_strict)
    cells = [None] * (len(assembler.layouts[0].names) - 1)
    assert message in str(
        outcome(
            assembler,
            [*cells, Cell(b"\1" + text.encode())],
            [{} for _ in assembler.layouts],
        )
    )


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    "text",
    [
        "1.50",
        "1e5",
        "100000000000000000000",
        '{"$numberLong": "7"}',
        '{"$date": "2024-01-31T10:00:00.000Z"}',
    ],
)
def test_a_large_extra_is_read_strictly(text: str) -> None:
    content = b'\1{"a": 1, "b": 2, "c": {"x": [1, 2, 3, [%b]], "y": 1, "z": 2}}' % text.encode()
    cell = Cell(content)
    for is_strict in (False, True):
        assembler = Assembler(parse_manifest(MANIFEST, "app.yaml").layout, "t", is_strict=is_strict)
        row: Row = [*[None] * (len(assembler.layouts[0].names) - 1), cell]
        pieces, expected = both_ways(assembler, row, [{} for _ in assembler.layouts])
        assert pieces == expected
        assert isinstance(pieces, str if is_strict else bytes)


@pytest.mark.parametrize("levels", [0, 1, 97, 98, 99, 100, 101])
@pytest.mark.parametrize("column", [{}, {"deep": "jsonb"}])
def test_code_whose_scope_reaches_the_last_level_comes_back_strictly(
    is_native: bool, levels: int, column: dict[str, str]
) -> None:
    value = (
        0x0F,
        write_scoped(b"a", write_document([(b"", (0x04, write_array([(0x04, write_array([]))])))])),
    )
    for _ in range(levels):
        value = 0x04, write_array([value])
    raw = write_document([(b"_id", (0x10, bytes(4))), (b"deep", value)])
    table = {
        "collection": "t",
        "primary_key": "id",
        "columns": {"id": {"type": "int4", "from": "_id"}, **column},
    }
    manifest = read_manifest({"assise": 1, "name": "a", "tables": {"t": table}})
    found, _ = rebuild(manifest, "t", [(0, raw)], is_native=is_native)
    assert differences(raw, found[0]) == []
