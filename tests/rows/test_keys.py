"""Keys: their cells, which of them are equal, ObjectIds as users write them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from hashlib import sha256
from uuid import UUID

import psycopg
import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.equality import differences
from tests.oracle.fits import find_fit
from tests.oracle.values import Element, write_array, write_binary, write_document, write_text
from tests.oracle.walk import parse
from tests.rows.rebuild import PATHS, read_manifest, read_row, rebuild

from assise.rows.keys import compile_keys, normal_key, objectid_to_uuid, show_key, uuid_to_objectid
from assise.rows.model import Reason
from assise.rows.shred import Shredder
from assise.types.wire import Cell

Query = Callable[..., list[tuple[object, ...]]]
NULL: Element = (0x0A, b"")


def keyed(type_: str, kind: str) -> object:
    entry = {"type": type_, "kind": kind} | ({} if kind == "offset" else {"from": "_id"})
    return {
        "assise": 1,
        "name": "a",
        "tables": {"t": {"collection": "t", "primary_key": "id", "columns": {"id": entry}}},
    }


def of_id(value: Element) -> bytes:
    return write_document([(b"_id", value)])


def int32(number: int) -> Element:
    return 0x10, struct.pack("<i", number)


def double(number: float) -> Element:
    return 0x01, struct.pack("<d", number)


def key_of(type_: str, kind: str, raw: bytes, offset: int = 0) -> Cell:
    """The cell of a document's key, which both paths and the reader of keys give."""
    manifest = read_manifest(keyed(type_, kind))
    (cell,) = compile_keys(manifest.layout, "t")([(offset, raw)])
    assert cell is not None
    for is_native in PATHS:
        batch = Shredder(manifest.layout, "t", is_native=is_native).shred([(offset, raw)])
        assert batch.rejected == []
        assert read_row(next(iter(batch.rows[0])))[0] == cell == batch.keys[0][4:]
    return cell


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (int32(7), "7"),
        ((0x12, struct.pack("<q", 7)), "7"),
        (double(7.0), '{"$numberDouble":"7.0"}'),
        ((0x02, write_text(b"a")), '"a"'),
        ((0x02, write_text(b"7")), '"7"'),
        ((0x07, bytes.fromhex("507f1f77bcf86cd799439011")), '{"$oid":"507f1f77bcf86cd799439011"}'),
        (NULL, "null"),
        (
            (0x03, write_document([(b"b", int32(1)), (b"a", double(2.0))])),
            '{"b":1,"a":{"$numberDouble":"2.0"}}',
        ),
        ((0x03, write_document([(b"$oid", NULL)])), '{"$$oid":null}'),
        ((0x04, write_array([int32(1)])), "[1]"),
        ((0x09, struct.pack("<q", 0)), '{"$date":{"$numberLong":"0"}}'),
        (
            (0x05, write_binary(4, bytes(16))),
            '{"$binary":{"base64":"AAAAAAAAAAAAAAAAAAAAAA==","subType":"04"}}',
        ),
    ],
)
def test_a_key_of_kind_any_is_canonical_json_with_ints_without_width(
    is_native: bool, value: Element, text: str
) -> None:
    raw = of_id(value)
    assert (
        key_of("text", "any", raw).decode()
        == text
        == find_fit(parse(raw).fields[0][1], "text", "any").text
    )
    manifest = read_manifest(keyed("text", "any"))
    found, _ = rebuild(manifest, "t", [(0, raw)], is_native=is_native)
    assert differences(raw, found[0]) == []


@pytest.mark.parametrize(
    "key", [b"$oid", b"$$oid", b"$bson", b"$numberInt", b"$element", b"$ref", b"$", b"", b"\xff"]
)
def test_an_id_with_hostile_keys_comes_back_in_its_order(is_native: bool, key: bytes) -> None:
    for fields in (
        [(b"z", NULL), (key, int32(1))],
        [(key, (0x02, write_text(b"x"))), (b"$ref", NULL)],
        [(key, NULL), (key, int32(2))],
    ):
        raw = of_id((0x03, write_document([(b"in", (0x03, write_document(fields)))])))
        manifest = read_manifest(keyed("text", "any"))
        found, batch = rebuild(manifest, "t", [(0, raw)], is_native=is_native)
        assert batch.rejected == []
        assert differences(raw, found[0]) == []


@pytest.mark.parametrize("size", [998, 999, 9_000])
def test_a_key_over_1000_bytes_is_its_digest_and_the_id_stands_in_extra(
    is_native: bool, size: int
) -> None:
    raw = of_id((0x02, write_text(b"x" * size)))
    key, text = key_of("text", "any", raw), b'"' + b"x" * size + b'"'
    assert key == (text if size == 998 else b"sha256:" + sha256(text).hexdigest().encode())
    manifest = read_manifest(keyed("text", "any"))
    found, batch = rebuild(manifest, "t", [(0, raw)], is_native=is_native)
    assert differences(raw, found[0]) == []
    assert (read_row(next(iter(batch.rows[0])))[-1] is None) == (size == 998)


@pytest.mark.parametrize(("type_", "last"), [("int4", 2**31 - 1), ("int8", 2**63 - 1)])
def test_an_offset_is_the_key_where_the_type_holds_it(
    is_native: bool, type_: str, last: int
) -> None:
    raw = write_document([(b"a", NULL)])
    for offset in (0, 7, last):
        assert int.from_bytes(key_of(type_, "offset", raw, offset), "big") == offset
    if type_ == "int4":
        manifest = read_manifest(keyed(type_, "offset"))
        batch = Shredder(manifest.layout, "t", is_native=is_native).shred([(last + 1, raw)])
        assert compile_keys(manifest.layout, "t")([(last + 1, raw)]) == [None]
        assert [(rejected.reason, rejected.offset) for rejected in batch.rejected] == [
            (Reason.KEY_MISFIT, last + 1)
        ]


def test_keys_are_equal_where_postgresql_calls_them_equal(database: str) -> None:
    numbers = [
        int32(10),
        double(10.0),
        double(10.5),
        int32(0),
        double(0.0),
        double(1e22),
        double(float("nan")),
        double(float("inf")),
        double(-10.0),
    ]
    doubles = [
        double(0.0),
        double(-0.0),
        double(1.0),
        (0x01, bytes.fromhex("010000000000f87f")),
        (0x01, bytes.fromhex("000000000000f8ff")),
    ]
    with psycopg.connect(database) as connection:
        for type_, kind, values in (("numeric", "number", numbers), ("float8", "double", doubles)):
            cells = [key_of(type_, kind, of_id(value)) for value in values]
            connection.execute(f"CREATE TEMP TABLE keys_{type_} (i serial, k {type_})".encode())
            with connection.cursor().copy(
                f"COPY keys_{type_} (k) FROM STDIN (FORMAT binary)".encode()
            ) as copy:
                rows = b"".join([b"\0\1" + struct.pack(">i", len(cell)) + cell for cell in cells])
                copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows + b"\xff\xff")
            found = connection.execute(
                f"SELECT a.i - 1, b.i - 1, a.k = b.k FROM keys_{type_} a, keys_{type_} b".encode()
            ).fetchall()
            assert len(found) == len(values) ** 2
            for i, j, is_equal in found:
                assert (normal_key(type_, cells[i]) == normal_key(type_, cells[j])) == is_equal, (
                    values[i],
                    values[j],
                )


@given(st.binary(min_size=12, max_size=12), st.binary(min_size=12, max_size=12))
def test_uuids_of_objectids_convert_back_and_sort_as_they_do(one: bytes, other: bytes) -> None:
    first, second = objectid_to_uuid(one.hex()), objectid_to_uuid(other.hex())
    assert uuid_to_objectid(first) == one.hex()
    assert (first < second) == (one < other)
    assert (
        str(first)
        == find_fit(
            parse(of_id((0x07, one))).fields[0][1],
            "uuid",
            "objectid",
        ).text
    )
    assert first.version == 8


def test_the_uuid_shows_the_digits_of_the_objectid() -> None:
    assert (
        str(objectid_to_uuid("507f1f77bcf86cd799439011")) == "507f1f77-bcf8-86cd-8799-439011000000"
    )
    assert objectid_to_uuid("507F1F77BCF86CD799439011") == objectid_to_uuid(
        "507f1f77bcf86cd799439011"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "507f1f77bcf86cd79943901",
        "507f1f77bcf86cd7994390111",
        "507f1f77bcf86cd79943901g",
        "507f1f77 bcf8 6cd7 9943 9011",
    ],
)
def test_what_is_no_objectid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"ObjectId|hexadecimal"):
        objectid_to_uuid(text)


@pytest.mark.parametrize(
    "key",
    [
        "507f1f77-bcf8-46cd-8799-439011000000",
        "507f1f77-bcf8-86cd-9799-439011000000",
        "507f1f77-bcf8-86cd-8799-439011000001",
    ],
)
def test_a_uuid_that_is_no_objectid_is_told_as_such(key: str) -> None:
    assert uuid_to_objectid(UUID(key)) is None


def test_an_objectid_of_the_driver_is_found() -> None:
    found = ObjectId()
    assert uuid_to_objectid(objectid_to_uuid(str(found))) == str(found)


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("uuid", "objectid"),
        ("text", "string"),
        ("int8", "int"),
        ("numeric", "number"),
        ("text", "any"),
    ],
)
def test_what_is_cut_has_no_key_or_a_whole_one(type_: str, kind: str) -> None:
    read_keys = compile_keys(read_manifest(keyed(type_, kind)).layout, "t")
    values = {
        "objectid": (0x07, bytes(12)),
        "string": (0x02, write_text(b"x" * 9)),
        "int": (0x12, bytes(8)),
        "number": int32(7),
        "any": NULL,
    }
    for fields in (
        [(b"_id", values[kind])],
        [
            (b"a", NULL),
            (b"_id", values[kind]),
            (b"b", NULL),
        ],
    ):
        whole = write_document(fields)
        (key,) = read_keys([(0, whole)])
        assert key
        for size in range(len(whole)):
            cut = size.to_bytes(4, "little") + whole[4:size]
            assert read_keys([(0, whole[:size])])[0] in {None, key}
            assert read_keys([(0, cut), (size, cut)])[0] in {None, key}
    assert read_keys([(0, write_document([(b"_id", (0x0B, b"a\0\0"))]))]) == (
        [None] if kind != "any" else read_keys([(0, of_id((0x0B, b"a\0\0")))])
    )


@pytest.mark.parametrize(
    ("type_", "cell", "text"),
    [
        ("int4", struct.pack(">i", -7), "-7"),
        ("int8", struct.pack(">q", 1 << 40), "1099511627776"),
        ("float8", struct.pack(">d", 1.5), "1.5"),
        ("bool", b"\1", "true"),
        (
            "uuid",
            bytes.fromhex("507f1f77bcf886cd8799439011000000"),
            "507f1f77-bcf8-86cd-8799-439011000000",
        ),
        ("numeric", bytes.fromhex("0001000000000001000a"), "10.0"),
        ("timestamptz", struct.pack(">q", 1_500_000), "2000-01-01 00:00:01.500000+00:00"),
        (
            "timestamptz",
            struct.pack(">q", 1 << 62),
            "4,611,686,018,427,387,904 microseconds after 2000-01-01",
        ),
        ("bytea", b"\1\xff", "01ff"),
        ("text", b"a\x1b[31mRED\n" + b"x" * 300, "a\\x1b[31mRED\\n" + "x" * 190),
    ],
)
def test_a_key_is_shown_on_one_line_as_sql_shows_it(type_: str, cell: bytes, text: str) -> None:
    assert show_key(type_, Cell(cell)) == text
