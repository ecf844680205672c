"""Tests of the oracle itself: the corpus of the BSON specification, files broken on purpose."""

from __future__ import annotations

import base64
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.oracle.equality import differences, equal
from tests.oracle.expected import expected_rows, reject_reason
from tests.oracle.profile import find_uniform
from tests.oracle.strategies import documents, manifests
from tests.oracle.texts import print_float8
from tests.oracle.walk import NotBson, frames, parse

DATA = (
    Path(os.environ.get("ASSISE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    / "mongo"
)
CORPUS = DATA / "spec_mongodb" / "bson-corpus" / "tests"
LIBBSON = DATA / "libbson_tests" / "src" / "libbson" / "tests" / "binary"
needs_data = pytest.mark.skipif(
    not CORPUS.exists(), reason=f"no data of others in {DATA}: set ASSISE_TEST_DATA"
)


def document(*fields: tuple[int, bytes, bytes]) -> bytes:
    body = b"".join(b"%c%b\0%b" % field for field in fields)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def int32(number: int) -> bytes:
    return struct.pack("<i", number)


def cases(section: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    for path in sorted(CORPUS.glob("*.json")):
        for case in json.loads(path.read_text()).get(section, []):
            yield path.stem, case["description"], case


@needs_data
def test_the_valid_documents_of_the_corpus_parse_and_equal_themselves() -> None:
    count = 0
    for _, description, case in cases("valid"):
        raw = bytes.fromhex(case["canonical_bson"])
        assert parse(raw).raw == raw, description
        assert differences(raw, bytes(bytearray(raw))) == [], description
        count += 1
    assert count == 728


@needs_data
def test_what_the_corpus_refuses_is_not_bson_except_invalid_utf8() -> None:
    kept = 0
    for _, description, case in cases("decodeErrors"):
        raw = bytes.fromhex(case["bson"])
        if "utf-8" in description.lower():
            assert parse(raw).raw == raw
            kept += 1
        else:
            with pytest.raises(NotBson):
                parse(raw)
    assert kept > 0


BROKEN = {f"test{n}.bson" for n in (*range(40, 56), 57, 59, 60)} | {
    "overflow2.bson",
    "overflow3.bson",
    "overflow4.bson",
    "trailingnull.bson",
}
MORE = {
    "cdriver2269.bson": ["invalid", "garbage"],
    "overflow1.bson": ["garbage"],
    "stream_corrupt.bson": ["document"] * 1000 + ["garbage"],
}


@needs_data
def test_the_files_of_libbson_frame_as_documents_or_are_refused() -> None:
    files = sorted(LIBBSON.glob("*.bson"))
    assert len(files) == 77
    for path in files:
        found = [what for what, _, _ in frames(path.read_bytes())]
        expected = MORE.get(path.name, ["document"] * len(found))
        if path.name in BROKEN:
            expected = ["invalid"]
        assert found == expected, path.name


def test_frames_go_on_after_garbage_where_two_documents_follow() -> None:
    one = document((0x10, b"a", int32(1)))
    two = document((0x10, b"b", int32(2)))
    broken = document((0x08, b"a", b"\2"))
    data = one + broken + b"\xff\xff\xff\xff\xff" + one + two + two[:-1]
    end = len(one + broken)
    stop = end + 5
    assert frames(data) == [
        ("document", 0, len(one)),
        ("invalid", len(one), end),
        ("garbage", end, stop),
        ("document", stop, stop + len(one)),
        ("document", stop + len(one), stop + len(one + two)),
        ("garbage", stop + len(one + two), len(data)),
    ]
    assert frames(b"") == []
    assert [frame[0] for frame in frames(b"\xff" * 9 + one)] == ["garbage", "document"]


def test_a_hundred_thousand_levels_are_no_limit() -> None:
    levels = 100_000
    lengths = range(5 + 9 * levels, 5, -9)
    raw = (
        b"".join(int32(length) + b"\3ab\0" for length in lengths)
        + int32(5)
        + b"\0"
        + b"\0" * levels
    )
    other = (
        b"".join(int32(length) + b"\3ab\0" for length in lengths[:-1])
        + int32(14)
        + b"\3ac\0"
        + int32(5)
        + b"\0"
        + b"\0" * levels
    )
    assert equal(raw, raw)
    assert differences(raw, bytes(bytearray(raw))) == []
    assert len(differences(raw, other)) == 2


INT, INT64, ZERO, MINUS_ZERO = (
    int32(1),
    struct.pack("<q", 1),
    struct.pack("<d", 0.0),
    struct.pack("<d", -0.0),
)
EMPTY = int32(5) + b"\0"


def in_document_in_array(inner: bytes) -> bytes:
    return document((4, b"x", document((3, b"0", inner))))


A_B, B_A = (
    document((0x10, b"a", INT), (0x10, b"b", INT)),
    document((0x10, b"b", INT), (0x10, b"a", INT)),
)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (A_B, B_A, True),
        (document((3, b"x", A_B)), document((3, b"x", B_A)), True),
        (document((3, b"_id", A_B)), document((3, b"_id", B_A)), False),
        (
            document((3, b"_id", document((4, b"x", document((3, b"0", A_B)))))),
            document((3, b"_id", document((4, b"x", document((3, b"0", B_A)))))),
            False,
        ),
        (
            document((3, b"x", document((3, b"_id", A_B)))),
            document((3, b"x", document((3, b"_id", B_A)))),
            True,
        ),
        (document((0x10, b"a", INT)), document((0x12, b"a", INT64)), True),
        (document((0x10, b"a", INT)), document((0x01, b"a", struct.pack("<d", 1))), False),
        (document((0x01, b"a", ZERO)), document((0x01, b"a", MINUS_ZERO)), False),
        (document((0x0A, b"a", b"")), document(), False),
        (document((0x0A, b"a", b"")), document((0x06, b"a", b"")), False),
        (
            document((0x10, b"a", INT), (0x0A, b"a", b"")),
            document((0x0A, b"a", b""), (0x10, b"a", INT)),
            False,
        ),
        (
            document((0x10, b"a", INT), (0x0A, b"b", b""), (8, b"a", b"\1")),
            document((0x0A, b"b", b""), (0x10, b"a", INT), (8, b"a", b"\1")),
            True,
        ),
        (
            document((4, b"a", A_B)),
            document((4, b"a", document((0x10, b"0", INT), (0x10, b"0", INT)))),
            True,
        ),
        (document((4, b"a", EMPTY)), document((3, b"a", EMPTY)), False),
        (
            document((4, b"a", A_B)),
            document((4, b"a", document((0x10, b"0", INT)))),
            False,
        ),
        (
            document((5, b"a", int32(1) + b"\0x")),
            document((5, b"a", int32(1) + b"\4x")),
            False,
        ),
    ],
)
def test_equality_of_the_first_law(a: bytes, b: bytes, same: bool) -> None:
    assert equal(a, b) is same
    assert equal(b, a) is same
    assert bool(differences(a, b)) is not same


def text(value: bytes) -> bytes:
    return int32(len(value) + 1) + value + b"\0"


def test_expected_rows_of_a_document_by_hand() -> None:
    manifest = {
        "assise": 1,
        "name": "t",
        "tables": {
            "docs": {
                "collection": "docs",
                "primary_key": "id",
                "columns": {
                    "id": {"type": "uuid", "from": "_id"},
                    "n": "int8",
                    "city": {"type": "text", "from": "place.city"},
                    "tags": "text[]",
                    "price": "numeric",
                    "when": "timestamptz",
                    "_extra": {"type": "bool", "from": r"a\.b"},
                },
            },
            "items": {
                "parent": "docs",
                "from": "place.items.*",
                "primary_key": ["doc_id", "_position"],
                "columns": {"name": "text", "any": "jsonb"},
            },
            "parts": {
                "parent": "items",
                "from": "parts.*",
                "primary_key": ["doc_id", "_position", "_part"],
                "columns": {"size": "int4"},
            },
        },
    }
    name = (2, b"name", text(b"x"))
    part = document((0x12, b"size", struct.pack("<q", 7)), (0x10, b"$oid", INT))
    parts = document((3, b"0", part), (0x0A, b"1", b""))
    item = document(name, (4, b"parts", parts), (1, b"any", struct.pack("<d", 1e16)))
    items = document(
        (3, b"0", item),
        (3, b"1", EMPTY),
        (0x10, b"2", INT),
        (3, b"3", document((4, b"parts", EMPTY))),
    )
    raw = document(
        (7, b"_id", bytes.fromhex("507f1f77bcf86cd799439011")),
        (2, b"n", text(b"7")),
        (3, b"place", document((0x0A, b"city", b""), (4, b"items", items))),
        (
            4,
            b"tags",
            document(
                (2, b"0", text(b"a b")),
                (0x0A, b"1", b""),
                (2, b"2", text(b"null")),
                (2, b"3", text(b"")),
            ),
        ),
        (1, b"price", struct.pack("<d", 10.0)),
        (9, b"when", struct.pack("<q", -62167219200001)),
        (8, b"a.b", b"\1"),
        (0x10, b"x", INT),
        (0x10, b"x", INT),
    )
    key = "507f1f77-bcf8-86cd-8799-439011000000"
    twice = document((0x10, b"x", INT), (0x10, b"x", INT))
    shown = base64.b64encode(twice).decode()
    child = {"doc_id": key, "name": None, "any": None}
    assert expected_rows(manifest, raw, 0) == {
        "docs": [
            {
                "id": key,
                "n": "7",
                "city": None,
                "tags": '{"a b",NULL,"null",""}',
                "price": "10.0",
                "when": "0002-12-31 23:59:59.999+00 BC",
                "_extra": "true",
                "_extra_2": '{"n":"7","place":{"city":null},"$bson":"' + shown + '"}',
            }
        ],
        "items": [
            {**child, "_position": "0", "name": "x", "any": "10000000000000000.0", "_extra": None},
            {**child, "_position": "1", "_extra": None},
            {**child, "_position": "2", "_extra": '{"$element":1}'},
            {**child, "_position": "3", "_extra": '{"parts":[]}'},
        ],
        "parts": [
            {"doc_id": key, "_position": "0", "_part": "0", "size": "7", "_extra": '{"$$oid":1}'},
            {
                "doc_id": key,
                "_position": "0",
                "_part": "1",
                "size": None,
                "_extra": '{"$element":null}',
            },
        ],
    }
    assert reject_reason(manifest, raw, 0) is None
    assert reject_reason(manifest, document(name), 0) == 5
    assert reject_reason(manifest, raw[:-1], 0) == 1


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0.1, "0.1"),
        (-0.0, "-0"),
        (1e14, "100000000000000"),
        (1e15, "1e+15"),
        (1e-4, "0.0001"),
        (1e-5, "1e-05"),
        (1e23, "9.999999999999999e+22"),
        (1626983080611305.75, "1.6269830806113058e+15"),
        (5e-324, "5e-324"),
        (1e300, "1e+300"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_doubles_as_postgresql_prints_them(number: float, expected: str) -> None:
    assert print_float8(struct.pack("<d", number)) == expected


@needs_data
def test_the_profile_leaves_out_the_map_and_finds_the_rest() -> None:
    data = (DATA / "atlas_mcampo2" / "dump" / "sample_analytics" / "customers.bson").read_bytes()
    bounds = [(start, end) for _, start, end in frames(data)]
    found = find_uniform(parse(data[start:end]) for start, end in bounds)
    assert found == {
        "_id": 500,
        "username": 500,
        "name": 500,
        "address": 500,
        "birthdate": 500,
        "email": 500,
        "accounts[]": 1746,
    }


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
@given(data=st.data())
def test_drawn_documents_are_bson_and_have_rows(data: st.DataObject) -> None:
    raws = data.draw(st.lists(documents(), min_size=1, max_size=3))
    manifest = data.draw(manifests(raws))
    for raw in raws:
        assert differences(raw, bytes(bytearray(raw))) == []
        rows = [row for table in expected_rows(manifest, raw, 0).values() for row in table]
        assert bool(rows) is (reject_reason(manifest, raw, 0) is None)
