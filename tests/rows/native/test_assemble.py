"""Documents that the crate assembles: what the strict assembler gives, or nothing."""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import bson
import pytest
from bson import Code, ObjectId
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.equality import differences
from tests.oracle.strategies import documents, in_order, manifests
from tests.oracle.values import write_document, write_text
from tests.rows.rebuild import cut, read_manifest, rows_of, send, send_all

from assise.documents.extjson import WORDS
from assise.errors import AssiseError
from assise.manifest.layout import Layout
from assise.native import find_native
from assise.rows.assemble import Assembler
from assise.rows.model import ChildRows, Row
from assise.rows.shred import Shredder
from assise.types.wire import Cell


@st.composite
def migrations(draw: st.DrawFn) -> tuple[object, list[bytes]]:
    raws = draw(st.lists(documents().map(in_order), min_size=1, max_size=6))
    has_readings = draw(st.integers(0, 3)) == 0
    return draw(manifests(raws, has_readings=has_readings)), raws


def int32(number: int) -> tuple[int, bytes]:
    return 0x10, number.to_bytes(4, "little")


VALUES: list[object] = [None, 1, "x", {}, [], {"$oid": "x"}]
NOTES = st.dictionaries(
    st.sampled_from(["name", "price", "a", "$oid", "place"]), st.sampled_from(VALUES)
)


def change(row: Row, rows: Sequence[Row], data: st.DataObject) -> Row:
    """A row in which SQL has changed a cell or two, to NULL or to what another row has."""
    changed = list(row)
    for place in data.draw(st.lists(st.integers(0, len(changed) - 1), max_size=2)):
        changed[place] = data.draw(st.sampled_from([None, *(other[place] for other in rows)]))
    if data.draw(st.integers(0, 3)) == 0:
        changed[-1] = Cell(b"\1" + json.dumps(data.draw(NOTES)).encode())
    return changed


def assemble(assembler: Assembler, row: Row, child_rows: ChildRows) -> bytes | None:
    try:
        document = assembler.assemble(row, child_rows)
    except (AssiseError, ValueError, TypeError, LookupError):
        return None
    return None if any(child_rows) else document


def strict_assembler(layout: Layout, root: str = "t") -> Assembler:
    """A strict assembler, which takes the native way."""
    return Assembler(layout, root, is_strict=True)


pytestmark = pytest.mark.skipif(find_native() is None, reason="assise-native is not installed")
ASSEMBLED, AT_ONCE = [0, 0], [0, 0]


@pytest.fixture(autouse=True, scope="module")
def some_are_assembled() -> Iterator[None]:
    yield
    assert 5 * ASSEMBLED[1] >= ASSEMBLED[0], ASSEMBLED
    assert 3 * AT_ONCE[1] >= sum(AT_ONCE), AT_ONCE


@given(migrations(), st.data())
def test_documents_of_the_crate_are_those_of_the_document_path(
    migration: tuple[object, list[bytes]], data: st.DataObject
) -> None:
    plain, raws = migration
    manifest = read_manifest(plain)
    root = next(name for name, table in manifest.tables.items() if table.collection)
    shredder, assembler = Shredder(manifest.layout, root), strict_assembler(manifest.layout, root)
    batch = shredder.shred(list(enumerate(raws)))
    pairs = [rows_of(batch, shredder, number) for number in range(len(batch.offsets))]
    loaded = [raws[offset] for offset in batch.offsets]
    rows, child_rows = [row for row, _ in pairs], [found for _, found in pairs]
    found = assembler.assemble_all(loaded, rows, child_rows)
    for raw, document in zip(loaded, found, strict=True):
        ASSEMBLED[0] += 1
        ASSEMBLED[1] += document is not None
        assert document is None or differences(raw, document) == []
    # As in a table, where each key is of one row.
    if assembler.native is not None and len({*batch.keys}) == len(batch.keys):
        documents = [*zip(batch.offsets, loaded, strict=True)]
        at_once = assembler.native.assemble_all(documents, *send_all(rows, child_rows))
        assert at_once is None or cut(*at_once) == [document or b"" for document in found]
        AT_ONCE[at_once is not None] += 1
    changed = [change(row, rows, data) for row in rows]
    found = assembler.assemble_all(loaded, changed, copy.deepcopy(child_rows))
    for row, of_row, document in zip(changed, child_rows, found, strict=True):
        if document is not None:
            expected = assemble(assembler, row, of_row)
            assert expected is not None
            assert differences(expected, document) == []


OID = bytes.fromhex("507f1f77bcf86cd799439011")
TABLES = {
    "t": {
        "collection": "t",
        "primary_key": "id",
        "columns": {
            "id": {"type": "uuid", "from": "_id"},
            "name": "text",
            "price": "numeric",
            "at": "timestamptz",
            "owner": "uuid",
            "city": {"type": "text", "from": "place.city"},
        },
    },
    "items": {
        "parent": "t",
        "from": "items.*",
        "primary_key": ["t_id", "_position"],
        "columns": {"n": "int4"},
    },
    "parts": {
        "parent": "items",
        "from": "parts.*",
        "primary_key": ["t_id", "_position", "_position_2"],
        "columns": {"n": "int4"},
    },
}
LIKE = {
    "_id": ObjectId(OID),
    "name": "a",
    "price": 10,
    "at": datetime(2024, 1, 1, tzinfo=UTC),
    "owner": ObjectId(OID),
    "place": {"city": "Lyon"},
    "odd": None,
    "items": [{"n": 1, "parts": [{"n": 2}, {"n": 3}]}, {"n": 4}],
}
NAME, PRICE, AT, OWNER, CITY, EXTRA = range(1, 7)


def notes(**fields: object) -> Cell:
    return Cell(b"\1" + json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("place", "cell"),
    [
        (EXTRA, notes(name=None)),
        (EXTRA, notes(place=None)),
        (EXTRA, notes(items=None)),
        (EXTRA, notes()),
        (EXTRA, notes(name="b")),
        (EXTRA, notes(**{"$oid": None})),
        (EXTRA, notes(odd={"$date": "2024-01-01T10:00:00.000Z"})),
        (PRICE, bytes.fromhex("0001000000000002000a")),  # 10.00
        (AT, (1).to_bytes(8)),
    ],
)
def test_what_a_load_does_not_write_is_left_to_the_document_path(place: int, cell: bytes) -> None:
    manifest = read_manifest({"assise": 1, "name": "a", "tables": TABLES})
    shredder, assembler = Shredder(manifest.layout, "t"), strict_assembler(manifest.layout)
    raw = bson.encode(LIKE)
    row, child_rows = rows_of(shredder.shred([(0, raw)]), shredder, 0)
    assert assembler.assemble_all([raw], [row], [child_rows]) == [raw]
    changed = [*row]
    changed[place] = Cell(cell)
    assert assembler.assemble_all([raw, raw], [row, changed], [child_rows, child_rows]) == [
        raw,
        None,
    ]


@pytest.mark.parametrize(
    "cell",
    [
        bytes(16),
        *map(
            bytes.fromhex,
            ("507f1f77bcf896cd8799439011000000", "507f1f77bcf886cd9799439011000000"),
        ),
        *(
            bytes.fromhex(f"507f1f77bcf886cd8799439011{text}")
            for text in ("010000", "000100", "000001")
        ),
    ],
)
def test_a_uuid_of_no_object_id_is_a_binary(cell: bytes) -> None:
    manifest = read_manifest({"assise": 1, "name": "a", "tables": TABLES})
    shredder, assembler = Shredder(manifest.layout, "t"), strict_assembler(manifest.layout)
    raw = bson.encode(LIKE)
    row, child_rows = rows_of(shredder.shred([(0, raw)]), shredder, 0)
    changed = [*row]
    changed[OWNER] = Cell(cell)
    [found] = assembler.assemble_all([raw], [changed], [child_rows])
    assert found is not None
    assert differences(assembler.assemble(changed, child_rows), found) == []
    assert bson.decode(found)["owner"] == bson.Binary(cell, 4)


def renumber(rows: list[Row], last: int) -> None:
    rows[-1] = [*rows[-1][:last], Cell(b"\0\0\0\7"), *rows[-1][last + 1 :]]


CHANGES: list[Callable[[list[Row], int], object]] = [
    lambda rows, _: rows.pop(0),
    renumber,
    lambda rows, _: rows.append(rows[0]),
]


@pytest.mark.parametrize("table", [1, 2])
def test_child_rows_without_their_place_are_left_to_the_document_path(table: int) -> None:
    manifest = read_manifest({"assise": 1, "name": "a", "tables": TABLES})
    shredder, assembler = Shredder(manifest.layout, "t"), strict_assembler(manifest.layout)
    raw = bson.encode(LIKE)
    row, child_rows = rows_of(shredder.shred([(0, raw)]), shredder, 0)
    last = shredder.layouts[table].key_width - 1
    assert assembler.assemble_all([raw], [row], [child_rows]) == [raw]
    for harm in CHANGES:
        changed = copy.deepcopy(child_rows)
        harm(next(iter(changed[table].values())), last)
        assert assembler.assemble_all([raw], [row], [changed]) == [None]
    elsewhere = copy.deepcopy(child_rows)
    elsewhere[table][b"\0\0\0\5" * table] = elsewhere[table].pop(next(iter(elsewhere[table])))
    assert assembler.assemble_all([raw], [row], [elsewhere]) == [None]


def test_jsonb_is_given_back_in_the_order_of_its_source() -> None:
    manifest = read_manifest({"assise": 1, "name": "a", "tables": JSONB_TABLES})
    inner = {
        "zeta": 1,
        "é": {"messages": 1, "tokens": 2, "in": [{"tokens": 1, "id": 2}]},
        "$regex": {"b": 1, "a": 2},
        "$date": 1,
        "aa": 10.5,
    }
    raws = [bson.encode({"_id": n, "data": inner}) for n in range(20)]
    shredder, assembler = Shredder(manifest.layout, "t"), strict_assembler(manifest.layout)
    batch = shredder.shred(list(enumerate(raws)))
    pairs = [rows_of(batch, shredder, n) for n in range(20)]
    rows = [[*row[:1], Cell(b"\1" + sort_as_jsonb(row[1])), *row[2:]] for row, _ in pairs]
    assert rows != [row for row, _ in pairs]
    assert assembler.assemble_all(raws, rows, [found for _, found in pairs]) == raws


def test_many_fields_are_given_back_in_the_order_of_their_source() -> None:
    """Twenty thousand of a level: each is looked up; looking through all took seven seconds."""
    manifest = read_manifest({"assise": 1, "name": "a", "tables": JSONB_TABLES})
    shredder, assembler = Shredder(manifest.layout, "t"), strict_assembler(manifest.layout)
    numbers = [7_919 * n % 20_011 for n in range(1, 20_000)]
    many: dict[str, object] = {"$oid": 1, "$$date": 2, **{f"{n:x}": n for n in numbers}}
    documents: list[dict[str, object]] = [{"_id": 1, **many}, {"_id": 1, "data": many}]
    for document in documents:
        raw = bson.encode(document)
        row, child_rows = rows_of(shredder.shred([(0, raw)]), shredder, 0)
        key, *others = row
        cells = [key, *(cell and Cell(b"\1" + sort_as_jsonb(cell)) for cell in others)]
        assert cells != row
        assert assembler.assemble_all([raw], [cells], [child_rows]) == [raw]


def test_a_large_document_is_left_to_the_document_path() -> None:
    manifest = read_manifest({"assise": 1, "name": "a", "tables": JSONB_TABLES})
    shredder, assembler = Shredder(manifest.layout, "t"), strict_assembler(manifest.layout)
    for size, is_taken in ((900_000, True), (1 << 20, False)):
        raw = bson.encode({"_id": 1, "data": "x" * size})
        batch = shredder.shred([(0, raw)])
        assert batch.declined == (not is_taken)
        row, child_rows = rows_of(batch, shredder, 0)
        found = assembler.assemble_all([raw], [row], [child_rows])
        assert found == [raw if is_taken else None]


def sort_as_jsonb(cell: bytes | None) -> bytes:
    """The text that PostgreSQL gives for a jsonb cell: keys by length, then by bytes."""

    def sort(value: object) -> object:
        if isinstance(value, list):
            return [sort(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            name: sort(value[name])
            for name in sorted(value, key=lambda name: (len(name.encode()), name.encode()))
        }

    assert cell is not None
    return json.dumps(sort(json.loads(cell[1:])), ensure_ascii=False).encode()


def test_elements_are_given_back_in_the_order_of_their_source() -> None:
    manifest = read_manifest({"assise": 1, "name": "a", "tables": TABLES})
    plain = [{"n": n} for n in range(1_000)]
    raws = [
        bson.encode({"_id": ObjectId(OID), "items": items})
        for items in (plain, [{"n": 1, "model": None, "parts": [{"n": 2}]}] * 100)
    ]
    shredder, assembler = Shredder(manifest.layout, "t"), strict_assembler(manifest.layout)
    batch = shredder.shred(list(enumerate(raws)))
    pairs = [rows_of(batch, shredder, n) for n in range(2)]
    rows = [row for row, _ in pairs]
    assert assembler.assemble_all(raws, rows, [found for _, found in pairs]) == raws


JSONB_TABLES = {
    "t": {
        "collection": "t",
        "primary_key": "id",
        "columns": {"id": {"type": "int4", "from": "_id"}, "data": "jsonb"},
    }
}


@pytest.mark.parametrize("is_note", [False, True])
@pytest.mark.parametrize("word", [word for word in WORDS if word != "bson"])
def test_a_key_that_is_not_escaped_is_none_of_the_document(word: str, is_note: bool) -> None:
    manifest = read_manifest({"assise": 1, "name": "a", "tables": JSONB_TABLES})
    field = "other" if is_note else "data"
    shredder, assembler = Shredder(manifest.layout, "t"), strict_assembler(manifest.layout)
    repeated = write_document(
        [(b"$" + word.encode(), int32(1)), (b"b", int32(1)), (b"b", int32(2))]
    )
    inner = [write_document([(b"$" + word.encode(), (0x02, write_text(b"x")))]), repeated]
    raws = [
        write_document([(b"_id", int32(n)), (field.encode(), (0x03, document))])
        for n, document in enumerate(inner)
    ]
    raws += [bson.encode({"_id": n, field: {"$bson": 1, f"${word}": 2}}) for n in range(2, 20)]
    batch = shredder.shred(list(enumerate(raws)))
    for n in range(2):
        row, child_rows = rows_of(batch, shredder, n)
        key, *others = row
        sorted_cells = [cell and Cell(b"\1" + sort_as_jsonb(cell)) for cell in others]
        unescaped = [cell and Cell(cell.replace(b"$$", b"$")) for cell in sorted_cells]
        assert unescaped != sorted_cells
        changed = [key, *unescaped]
        assembler = strict_assembler(manifest.layout)
        found, *_ = assembler.assemble_all(raws, [changed] * 20, [child_rows] * 20)
        for again in (found, assemble(assembler, changed, child_rows)):
            assert again is None or differences(raws[n], again)  # {"$code": "x"} is code


def test_a_source_that_is_no_bson_changes_no_more_than_an_order() -> None:
    manifest = read_manifest({"assise": 1, "name": "a", "tables": TABLES})
    shredder, assembler = Shredder(manifest.layout, "t"), strict_assembler(manifest.layout)
    good = bson.encode(LIKE)
    row, child_rows = rows_of(shredder.shred([(0, good)]), shredder, 0)
    broken = [
        good[:i] + bytes([byte]) + good[i + 1 :]
        for i in range(len(good))
        for byte in (0, 1, 3, 4, 0x20, 0xFF)
    ]
    count = len(broken)
    for found in assembler.assemble_all(broken, [row] * count, [child_rows] * count):
        assert found is not None
        assert differences(good, found) == []


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize("levels", range(94, 103))
def test_code_whose_scope_lies_100_levels_deep_is_read_strictly(levels: int, size: int) -> None:
    columns = {"id": {"type": "int4", "from": "_id"}}
    manifest = read_manifest(
        {
            "assise": 1,
            "name": "a",
            "tables": {"t": {"collection": "t", "primary_key": "id", "columns": columns}},
        }
    )
    value: object = Code("f", {"s": {}, "t": [{}]})
    for level in range(levels):
        value = [value] if level % 3 == 2 else {"a": value}
    raw = bson.encode({"_id": 1, "deep": value, "big": "x" * size})
    shredder, assembler = Shredder(manifest.layout, "t"), strict_assembler(manifest.layout)
    row, child_rows = rows_of(shredder.shred([(0, raw)]), shredder, 0)
    assert differences(raw, assembler.assemble(row, child_rows)) == []


@pytest.mark.parametrize(
    "value", ["x", 7, 1.5, None, True, ObjectId(OID), datetime(2024, 1, 1, tzinfo=UTC)]
)
def test_a_scalar_that_jsonb_spells_out_is_not_read_from_its_bytes(value: object) -> None:
    manifest = read_manifest({"assise": 1, "name": "a", "tables": JSONB_TABLES})
    shredder, assembler = Shredder(manifest.layout, "t"), strict_assembler(manifest.layout)
    row, child_rows = rows_of(
        shredder.shred([(0, bson.encode({"_id": 1, "other": value}))]), shredder, 0
    )
    changed = [*row[:-1], notes(other={"$bson": b64encode(bson.encode({"": value})).decode()})]
    with pytest.raises(AssiseError, match="that the jsonb form writes without"):
        assembler.assemble(changed, child_rows)


def test_child_rows_without_a_row_are_left_to_the_document_path() -> None:
    manifest = read_manifest({"assise": 1, "name": "a", "tables": TABLES})
    shredder, native = Shredder(manifest.layout, "t"), strict_assembler(manifest.layout).native
    assert native is not None
    documents = [(0, bson.encode(LIKE))]
    row, children = rows_of(shredder.shred(documents), shredder, 0)
    rows, child_rows = send_all([row], [children])
    assert any(child_rows)
    found = native.assemble_all(documents, rows, child_rows)
    assert found is not None
    assert cut(*found) == [raw for _, raw in documents]
    assert native.assemble_all(documents, [], child_rows) is None
    assert native.assemble_all([], rows, child_rows) is None


def test_rows_as_the_server_sends_them_are_joined_documents() -> None:
    columns = {"id": {"type": "text", "from": "_id"}, "n": "int4"}
    tables = {"t": {"collection": "t", "primary_key": "id", "columns": columns}}
    native = strict_assembler(
        read_manifest({"assise": 1, "name": "a", "tables": tables}).layout
    ).native
    assert native is not None
    names = ["b", "", "a", "c"]
    raws = [bson.encode({"_id": name, "n": n}) for n, name in enumerate(names)]
    documents = [*zip(range(7, 11), raws, strict=True)]
    keys = b"".join(len(name).to_bytes(4, "big") + name.encode() for name in names)
    assert native.find_keys(documents) == (keys, 4)
    rows: list[Row] = [
        [Cell(name.encode()), Cell(n.to_bytes(4, "big")), None] for n, name in enumerate(names)
    ]

    def assemble_all(rows: Sequence[Row], documents: list[tuple[int, bytes]]) -> list[bytes]:
        found = native.assemble_all(documents, [send(row) for row in rows], [[]])
        assert found is not None
        return cut(*found)

    assert assemble_all(rows, documents) == raws
    assert assemble_all(rows[::-1], documents) == raws
    assert assemble_all(rows[1:], documents) == [b"", *raws[1:]]
    assert assemble_all([], documents) == [b""] * 4
    # A row is of one document: of a second one with the same key nothing is there.
    assert assemble_all(rows, [*documents, (11, raws[0])]) == [*raws, b""]
    # What is no document has no key, and what has another value is not as it was.
    assert native.find_keys([(0, raws[0][:-1]), (1, bson.encode({"n": 1}))]) == (b"", 0)
    other = bson.encode({"_id": "b", "n": 5})
    assert assemble_all(rows, [(0, other)]) == [raws[0]]
    assert native.assemble_all(documents, [b"\0\0\0\1"], [[]]) is None
