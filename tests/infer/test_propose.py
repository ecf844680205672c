"""The proposed manifest, rule by rule."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import bson
import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex
from bson.binary import UuidRepresentation
from hypothesis import strategies as st
from tests.infer.profiles import INT, STRING, merge_parts, profile_of
from tests.infer.proposals import columns, propose_documents, propose_raw
from tests.oracle import strategies
from tests.oracle.slices import check_slice
from tests.oracle.values import Element, write_document, write_text

from assise.infer.propose import propose
from assise.manifest.read import parse_manifest
from assise.manifest.sections.constraints import DEFAULT
from assise.manifest.write import dump_manifest
from assise.rows.model import Reason
from assise.rows.shred import Shredder

OID = ObjectId("507f1f77bcf86cd799439011")
UUID_4 = Binary.from_uuid(UUID(int=7), UuidRepresentation.STANDARD)
DAY = datetime(2024, 1, 31, tzinfo=UTC)


def key_of(raws: Iterable[bytes], *, ids: Literal["uuid", "text"] = "uuid") -> str:
    proposal = propose_raw(raws, ids=ids)
    table = proposal.manifest.tables["docs"]
    column = table.columns[table.primary_key[0]]
    path = "" if column.kind == "offset" else f" <{column.from_}>"
    return f"{table.primary_key[0]}: {column.type} {column.kind}{path}"


def with_ids(*values: object) -> list[bytes]:
    return [bson.encode({"_id": value}) for value in values]


def double_id(bits: int) -> bytes:
    return write_document([(b"_id", (0x01, bits.to_bytes(8, "little")))])


def date_id(ms: int) -> bytes:
    return write_document([(b"_id", (0x09, ms.to_bytes(8, "little", signed=True)))])


ANY = "id: text any <_id>"


@pytest.mark.parametrize(
    ("raws", "expected"),
    [
        ([], "id: uuid objectid <_id>"),
        (with_ids(OID, OID), "id: uuid objectid <_id>"),
        (with_ids(1, 2), "id: int4 int <_id>"),
        (with_ids(1, Int64(2)), "id: int8 int <_id>"),
        (with_ids(Int64(2)), "id: int8 int <_id>"),
        (with_ids(1.5, 2.0), "id: numeric number <_id>"),
        (with_ids(1.5, 2, Int64(3)), "id: numeric number <_id>"),
        (with_ids(1.5, -0.0), ANY),
        ([double_id(0x7FF8000000000000)], "id: numeric number <_id>"),
        ([double_id(0x7FF0000000000000)], "id: numeric number <_id>"),
        ([double_id(0x7FF8000000000001)], ANY),
        ([double_id(0xFFF8000000000000)], ANY),
        (with_ids("a", "é"), "id: text string <_id>"),
        (with_ids("a" * 1000), "id: text string <_id>"),
        (with_ids("a", "a" * 1001), ANY),
        (with_ids("a", "b\0"), ANY),
        ([write_document([(b"_id", (0x02, write_text(b"\xff")))])], ANY),
        (with_ids(True), "id: bool bool <_id>"),
        (with_ids(DAY), "id: timestamptz date <_id>"),
        ([date_id(-210866803200000)], "id: timestamptz date <_id>"),
        ([date_id(-210866803200001)], ANY),
        ([date_id(9224318016000000 - 1)], "id: timestamptz date <_id>"),
        ([date_id(9224318016000000)], ANY),
        (with_ids(UUID_4), "id: uuid uuid <_id>"),
        (with_ids(Binary(b"short", 4)), ANY),
        (with_ids(Binary(b"x" * 16, 3)), "id: uuid uuid_python <_id>"),
        (with_ids(Binary(b"x" * 16, 3), Binary(b"x", 3)), ANY),
        (with_ids(b"x"), ANY),
        (with_ids(Decimal128("1.50")), "id: numeric decimal <_id>"),
        (with_ids(Decimal128("NaN"), Decimal128("-Infinity")), "id: numeric decimal <_id>"),
        (with_ids(Decimal128("1.5"), Decimal128("1E+3")), ANY),
        (with_ids(Decimal128("-0")), ANY),
        (with_ids({"a": 1}), ANY),
        (with_ids(None), ANY),
        (with_ids(1, "a"), ANY),
        (with_ids(OID, "a"), ANY),
        (with_ids(1, Decimal128("1")), ANY),
        ([bson.encode({"a": 1})], "_offset: int8 offset"),
        ([*with_ids(1, 2), bson.encode({"a": 1})], "_offset: int8 offset"),
        ([write_document([(b"_id", INT), (b"_id", INT)])], "_offset: int8 offset"),
    ],
)
def test_key(raws: list[bytes], expected: str) -> None:
    assert key_of(raws) == expected


NEW_KEY = "gen_random_uuid()"


@pytest.mark.parametrize(
    ("raws", "ids", "default"),
    [
        (with_ids("a", "b"), "uuid", NEW_KEY),
        (with_ids("a", 1), "uuid", NEW_KEY),
        (with_ids(UUID_4), "uuid", NEW_KEY),
        (with_ids(Binary(b"x" * 16, 3)), "uuid", NEW_KEY),
        (with_ids(OID), "uuid", None),
        (with_ids(OID), "text", None),
        (with_ids(1, 2), "uuid", None),
        (with_ids(1.5), "uuid", None),
        (with_ids(DAY), "uuid", None),
        ([bson.encode({"a": 1})], "uuid", None),
    ],
)
def test_keys_of_texts_and_uuids_have_a_default(
    raws: list[bytes], ids: Literal["uuid", "text"], default: str | None
) -> None:
    proposal = propose_raw(raws, ids=ids)
    table = proposal.manifest.tables["docs"]
    name = table.primary_key[0]
    assert DEFAULT.of(table.columns[name]) == default
    said = proposal.comments.get(("tables", "docs", "columns", name), "")
    assert said.endswith("a row that gives none gets a UUID") == (default is not None)


def test_ids_as_text() -> None:
    assert key_of([], ids="text") == "id: text objectid <_id>"
    assert key_of(with_ids(OID), ids="text") == "id: text objectid <_id>"
    found = propose_documents([{"owner": OID, "friends": [OID]}], ids="text")
    assert columns(found) == {
        "owner": "text objectid <owner>",
        "friends": "text[] objectid <friends>",
    }


def test_no_usable_id() -> None:
    found = propose_raw(
        [
            bson.encode({"_id": 1, "_offset": "user's", "items": [{"a": 1}]}),
            bson.encode({"id": "x"}),
        ]
    )
    table = found.manifest.tables["docs"]
    assert table.primary_key == ("_offset_2",)
    assert [*table.columns] == ["_offset_2", "id", "_offset", "id_2"]
    assert columns(found)["id"] == "int4 int <_id>"
    assert found.manifest.tables["doc_items"].primary_key == ("doc_offset_2", "position")
    assert found.comments["tables", "docs"] == "2 documents, _id: int32, missing or repeated 1"
    without = bson.encode({"a": 1})
    mixed = propose_raw([*with_ids(1, "a", {"b": 1}), without])
    assert columns(mixed) == {"a": "int4 int <a>"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a"], "text string"),
        ([True], "bool bool"),
        ([1], "int4 int"),
        ([1, Int64(1)], "int8 int"),
        ([1.5], "float8 double"),
        ([1.5, 2], "numeric number"),
        ([1.5] * 99 + [Int64(2)], "numeric number"),
        ([DAY], "timestamptz date"),
        ([OID], "uuid objectid"),
        ([b"x"], "bytea binary"),
        ([UUID_4], "uuid uuid"),
        ([Binary(b"short", 4)], "bytea binary_4"),
        ([Binary(b"x" * 16, 3)], "uuid uuid_python"),
        ([Binary(b"x" * 16, 3), Binary(b"x", 3)], "bytea binary_3"),
        ([[Binary(b"x" * 16, 3)]], "uuid[] uuid_python"),
        ([Binary(b"x", 255)], "bytea binary_255"),
        ([Decimal128("1")], "numeric decimal"),
        ([Regex("a")], "jsonb every"),
        ([1] * 9 + ["a"], "int4 int"),
        ([1] * 8 + ["a"], "jsonb every"),
        ([1] * 8 + ["a", None, None], "jsonb every"),
        ([None, None, "a"], "text string"),
        ([None], None),
        ([{"a": 1}] * 19 + [1], {"value_a": "int4 int <value.a>"}),
        ([{"a": 1}] * 18 + [1], "jsonb every"),
        ([{}], None),
        ([["a", None]], "text[] string"),
        ([[1, 2.5]], "numeric[] number"),
        ([[1], []], "int4[] int"),
        ([[1] * 9 + ["a"]], "jsonb every"),
        ([[1]] * 9 + [["a"]], "int4[] int"),
        ([[1] * 20] * 8 + [[1, "a"]] * 2, "jsonb every"),
        ([[1] * 8 + ["a"]], "jsonb every"),
        ([[OID]], "uuid[] objectid"),
        ([[UUID_4]], "uuid[] uuid"),
        ([[Decimal128("1")]], "numeric[] decimal"),
        ([[b"x"]], "jsonb every"),
        ([[]], "jsonb every"),
        ([[None]], "jsonb every"),
        ([[[1]]], "jsonb every"),
        ([[{}]], "jsonb every"),
        ([["a"]] * 9 + ["a"], "text[] string"),
        ([["a"]] * 8 + ["a"], "jsonb every"),
    ],
)
def test_column_type(values: list[object], expected: str | dict[str, str] | None) -> None:
    found = columns(propose_documents([{"value": value} for value in values]))
    if isinstance(expected, str):
        expected = {"value": f"{expected} <value>"}
    assert found == (expected or {})


@pytest.mark.parametrize(
    ("rows", "count", "is_column"),
    [
        (99, 1, True),
        (200, 1, False),
        (200, 2, True),
        (10_100, 99, False),
        (10_100, 100, True),
    ],
)
@pytest.mark.parametrize("value", [1, [1], [{"a": 1}], {"a": 1}])
def test_rare_paths_have_no_column(
    rows: int, count: int, value: object, *, is_column: bool
) -> None:
    having = bson.encode({"_id": 1, "value": value})
    bare = bson.encode({"_id": 1})
    found = propose_raw([having] * count + [bare] * (rows - count))
    assert bool(columns(found) or len(found.manifest.tables) > 1) == is_column


def test_three_levels_are_flattened() -> None:
    inner = {"leaf": 1, "d": {"e": 1}, "list": [{"x": 1}]}
    found = propose_documents([{"a": {"b": {"c": inner}}}])
    assert columns(found) == {
        "a_b_c_leaf": "int4 int <a.b.c.leaf>",
        "a_b_c_d": "jsonb every <a.b.c.d>",
    }
    assert found.manifest.tables["doc_a_b_c_list"].from_ == "a.b.c.list.*"
    assert found.comments["tables", "docs", "columns", "a_b_c_d"] == (
        "document; 4 levels deep; at most 3 become columns of their own"
    )


@pytest.mark.parametrize(
    ("value", "is_map"),
    [
        ({"1": "a", "2": "b"}, True),
        ({"1": "a", "2": None}, True),
        ({"1": 1, "2": 2.5}, True),
        ({"1": "a"}, False),
        ({"1": "a", "2": 5}, False),
        ({"1": "a", "x": "b"}, False),
        ({"1": "a", "2": "a", "x": "b"}, True),
        ({"2024-01-31": 1, "2024-02-01": 1}, True),
        ({"2024-01": 1, "2024-02": 1}, True),
        ({"20240131": 1, "20240201": 1}, True),
        ({"507f1f77bcf86cd799439011": 1, "507f1f77bcf86cd799439012": 1}, True),
        (
            {"123e4567-e89b-12d3-a456-426614174000": 1, "123e4567-e89b-12d3-a456-426614174001": 1},
            True,
        ),
        ({"ann@example.com": 1, "bob@example.com": 1}, True),
        ({"first": 1, "second": 1}, False),
        ({f"k{i}": i for i in range(100)}, False),
        ({f"k{i}": i for i in range(101)}, True),
    ],
)
def test_maps_whose_keys_are_data(value: dict[str, object], *, is_map: bool) -> None:
    found = propose_documents([{"map": value}])
    assert (columns(found) == {"map": "jsonb every <map>"}) == is_map
    assert found.notes == (
        ["docs: map is a map whose keys are data: one jsonb column"] if is_map else []
    )
    inside = propose_documents([{"maps": [value]}])
    assert (columns(inside) == {"maps": "jsonb every <maps>"}) == is_map


def test_many_keys_over_many_documents_are_a_map() -> None:
    maps = ({f"k{i}": {"n": 1}} for i in range(5_000))
    found = propose_documents({"map": each, "name": "a"} for each in maps)
    assert columns(found) == {"map": "jsonb every <map>", "name": "text string <name>"}


def test_arrays_of_documents_are_child_tables() -> None:
    found = propose_documents(
        [
            {
                "files": [
                    {"path": "a", "versions": [{"n": 1, "position_2": 2}]},
                    {"path": "b", "position": 1},
                ],
                "id": 5,
            }
        ]
    )
    tables = found.manifest.tables
    assert [*tables] == ["docs", "doc_files", "doc_file_versions"]
    assert tables["doc_files"].primary_key == ("doc_id", "_position")
    assert columns(found, "doc_files") == {
        "path": "text string <path>",
        "position": "int4 int <position>",
    }
    versions = tables["doc_file_versions"]
    assert (versions.parent, versions.from_) == ("doc_files", "versions.*")
    assert versions.primary_key == ("doc_id", "position", "position_3")
    assert found.comments["tables", "doc_files"] == "2 elements"


def test_nine_of_ten_elements_must_be_documents() -> None:
    nine, eight = [{"a": 1}] * 9, [{"a": 1}] * 8
    assert len(propose_documents([{"list": [*nine, 1, None]}]).manifest.tables) == 2
    assert columns(propose_documents([{"list": [*eight, 1]}])) == {"list": "jsonb every <list>"}


def test_nothing_is_read_below_id() -> None:
    assert columns(propose_raw(with_ids({"a": 1, "b": [{"c": 1}]}))) == {}


def test_colliding_names() -> None:
    found = propose_documents(
        [
            {
                "a": {"b": 1},
                "a_b": 1,
                "A_b": 1,
                "aB": 1,
                "a.b": 1,
                "id": 1,
                "ID": 1,
                "xmin": 1,
                "select": 1,
                "_extra": 1,
            }
        ]
    )
    assert columns(found) == {
        "a_b": "int4 int <a.b>",
        "a_b_2": "int4 int <a_b>",
        "a_b_3": "int4 int <A_b>",
        "a_b_4": "int4 int <aB>",
        "a_b_5": r"int4 int <a\.b>",
        "id_2": "int4 int <id>",
        "id_3": "int4 int <ID>",
        "xmin_": "int4 int <xmin>",
        "select": "int4 int <select>",
        "_extra": "int4 int <_extra>",
    }
    assert found.comments["tables", "docs", "columns", "a_b_3"] == "int32; path A_b"
    assert found.manifest.layout.tables["docs"].extra == "_extra_2"


def test_the_key_of_a_child_table_comes_before_the_fields() -> None:
    found = propose_documents([{"items": [{"docId": 1, "_id": OID, "id": 1}]}])
    assert columns(found, "doc_items") == {
        "doc_id_2": "int4 int <docId>",
        "id": "uuid objectid <_id>",
        "id_2": "int4 int <id>",
    }


def test_long_keys() -> None:
    long = "k" * 70
    found = propose_documents(
        [
            {
                f"{long}a": 1,
                f"{long}b": 1,
                "k" * 1001: 1,
            }
        ]
    )
    assert [len(name) for name in columns(found)] == [63, 63]


def test_at_most_320_columns() -> None:
    documents: list[dict[str, object]] = [
        {f"f{i}": 1 for i in range(400)},
        {f"f{i}": 1 for i in range(100, 400)},
    ]
    found = propose_documents(documents)
    assert len(found.manifest.tables["docs"].columns) == 319
    kept = [*range(18), *range(100, 400)]
    assert [*columns(found)] == [f"f{i}" for i in kept]
    assert found.notes == ["docs: 82 of 400 columns, the rarest, are left to _extra"]


def test_at_most_320_columns_in_a_child_table() -> None:
    part = {f"f{i}": 1 for i in range(90)}
    element = dict.fromkeys("abcd", part)
    child = propose_documents([{"list": [element]}]).manifest.tables["doc_list"]
    assert len(child.primary_key) + len(child.columns) + 1 == 320


def test_a_map_seen_in_parts() -> None:
    raws = []
    for i in range(400):
        one, other = {f"k{i % 130}": i}, {f"k{i % 90}": "a"}
        raws.append(
            bson.encode(
                {
                    "_id": i,
                    "map": one,
                    f"f{i % 7}": other,
                }
            )
        )
    whole, parts = (
        propose({"docs": profile}, name="x")
        for profile in (profile_of(raws), merge_parts(raws, [120, 150, 399]))
    )
    assert parts == whole
    assert whole.notes == ["docs: map is a map whose keys are data: one jsonb column"]


def test_5000_distinct_keys() -> None:
    found = propose_documents([{f"k{i}": i, "name": "a"} for i in range(5_000)])
    assert columns(found) == {"name": "text string <name>"}
    assert found.notes == []


def test_notes() -> None:
    profile = profile_of([bson.encode({"_id": 1, "a": 1, "b": 1}), b"broken"], paths=1)
    assert propose({"docs\n": profile}, name="x").notes == [
        "docs\\n: only the first 1 path were profiled (infer.paths); the others are left to _extra",
        "docs\\n: 1 place is no document, the first at byte 1",
    ]


def test_buckets_of_a_time_series_are_told() -> None:
    profile = profile_of([bson.encode({"_id": 1})])
    assert propose({"system.buckets.readings": profile}, name="x").notes == [
        "system.buckets.readings: buckets of a time series; their measurements are not rows"
    ]


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([{"v": "a"}], "string"),
        ([{"v": "a"}, {}], "string in 1 document"),
        (
            [{"v": 1}] * 1200 + [{"v": "a"}] * 9 + [{"v": None}],
            ("int32 in 1,200 documents, string in 9 (read where they fit), null in 1"),
        ),
        ([{"v": 1}, {"v": 2.5}, {"v": 2}], "int32 in 2 documents, double in 1"),
        ([{"v": None}] * 5 + [{"v": 1}, {"v": "a"}], "int32 in 1 document, string in 1, null in 5"),
        ([{"v": ["a"]}], "array of string"),
        ([{"v": [1, 2.5, None, 3]}, {}], "array (int32 2, double 1, null 1) in 1 document"),
        ([{"v": []}, {"v": 1}], "array in 1 document, int32 in 1"),
        ([{"v": []}], "array; always empty: its elements have no type"),
        ([{"v": []}, {"v": [[]]}], "array of array"),
        ([{"v": UUID_4}, {}], "uuid in 1 document"),
    ],
)
def test_evidence(documents: list[dict[str, object]], expected: str) -> None:
    assert propose_documents(documents).comments["tables", "docs", "columns", "v"] == expected


def test_names_of_tables() -> None:
    found = propose(
        {
            name: profile_of([bson.encode({"_id": 1, "b": [{"c": 1}]})])
            for name in ("a.b", "a_b", "users", "users_pkey", "😀")
        },
        name="x",
    )
    assert {
        name: table.collection or table.from_ for name, table in found.manifest.tables.items()
    } == {
        "a_b": "a.b",
        "a_b_b": "b.*",
        "a_b_2": "a_b",
        "a_b_2_b": "b.*",
        "users": "users",
        "user_b": "b.*",
        "users_pkey_2": "users_pkey",
        "users_pkey_2_b": "b.*",
        "grinning_face": "😀",
        "grinning_face_b": "b.*",
    }


@pytest.mark.parametrize("number", range(4))
def test_every_proposal_is_a_manifest_whose_keys_fit(number: int) -> None:
    names = st.text(min_size=1, max_size=8).filter(lambda name: "\0" not in name)
    check_slice(
        check_proposal,
        st.lists(strategies.documents(), max_size=6),
        st.sampled_from(["uuid", "text"]),
        names,
        number=number,
        share=50,
    )


def check_proposal(documents: list[bytes], ids: Literal["uuid", "text"], collection: str) -> None:
    profile = profile_of(documents)
    found = propose({collection: profile}, name="test", ids=ids)
    text = dump_manifest(found.manifest, comments=found.comments)
    assert parse_manifest(text) == found.manifest
    again = propose({collection: profile_of(documents)}, name="test", ids=ids)
    assert dump_manifest(again.manifest, comments=again.comments) == text
    root = next(iter(found.manifest.tables))
    batch = Shredder(found.manifest.layout, root).shred(enumerate(documents))
    assert [each for each in batch.rejected if each.reason is Reason.KEY_MISFIT] == []


def test_hostile_keys_in_any_number() -> None:
    seeded = random.Random(7)
    letters = "aAbB_. -$\\\u00e9\u0130\u0301\ufeff\u2028\u202e1*"

    def make_field() -> tuple[bytes, Element]:
        key = "".join(seeded.choices(letters, k=seeded.randrange(6)))
        return key.encode(), seeded.choice([INT, STRING])

    def make_document() -> bytes:
        return write_document([make_field() for _ in range(40)])

    raws = [make_document() for _ in range(50)]
    assert len(columns(propose_raw(raws))) > 100
