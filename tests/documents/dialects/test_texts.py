"""Texts of every dialect beside the BSON that they stand for, as pymongo's encoder writes it.

Each text is read by the fast reader, by the exact one, and by the one that verify uses.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import bson
import pytest
from bson import (
    Binary,
    Code,
    DatetimeMS,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from tests.conftest import DATA

from assise.documents.dialects.exact import read_exactly
from assise.documents.dialects.fast import read_document
from assise.documents.dialects.rules import Guess, Rules, Version
from assise.documents.reread.reader import read_again
from assise.errors import ExtendedJsonError
from assise.native import find_native

V1, V2 = Version.V1, Version.V2
HEX = "507f1f77bcf86cd799439011"
OID = ObjectId(HEX)
NOON = datetime(2024, 1, 2, 12, 0, 0, 123_000, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


def raw(kind: int, data: bytes) -> bytes:
    """One field `v`, of a kind that pymongo's encoder does not write."""
    body = bytes([kind]) + b"v\0" + data
    return (len(body) + 5).to_bytes(4, "little") + body + b"\0"


def read(text: str | bytes, rules: Rules) -> bytes:
    """Read by all readers, which must agree."""
    content = text.encode() if isinstance(text, str) else text
    fresh = [Rules(rules.dialect, rules.zone) for _ in range(2)]
    exact = read_exactly(content, fresh[0])
    assert read_document(content, fresh[1]) == exact
    again = read_again(content, is_old=rules.is_old, zone=rules.zone)
    assert again == exact, (again, exact)
    assert fresh[0].guesses == fresh[1].guesses
    assert read_by_crate(content) in {None, exact}
    assert read_by_crate(content) is None or not fresh[0].guesses
    rules.guesses.update(fresh[0].guesses)
    return exact


def read_by_crate(text: bytes) -> bytes | None:
    """What the crate reads; None where it declines, or is not installed."""
    native = find_native()
    (found,) = native.read_texts([(0, text)]) if native else [None]
    assert found is None or isinstance(found, bytes)
    return found


def refuse(text: str | bytes, rules: Rules) -> str:
    """Read by all readers, which must refuse; returns the first one's words."""
    content = text.encode() if isinstance(text, str) else text
    with pytest.raises(ExtendedJsonError) as caught:
        read_exactly(content, rules)
    with pytest.raises(ExtendedJsonError):
        read_document(content, rules)
    with pytest.raises(ExtendedJsonError):
        read_again(content, is_old=rules.is_old, zone=rules.zone)
    assert read_by_crate(content) is None
    return caught.value.message


IN_BOTH = [
    (f'{{"$oid": "{HEX}"}}', OID),
    ('"text é \\u00e9 \\ud83d\\ude00 \\n\\u0000"', "text é é 😀 \n\0"),
    ("true", True),
    ("null", None),
    ("5", 5),
    ("2147483647", 2147483647),
    ("-2147483648", -2147483648),
    ("2147483648", Int64(2147483648)),
    ("9223372036854775807", Int64((1 << 63) - 1)),
    ("-9223372036854775808", Int64(-(1 << 63))),
    ("9223372036854775808", 9223372036854775808.0),
    ("100000000000000000000", 1e20),
    ("1.0", 1.0),
    ("1E+7", 1e7),
    ("5e-324", 5e-324),
    ("1e-400", 0.0),
    ("-0.0", -0.0),
    ("-0", -0.0),
    ('{"$numberLong": "5"}', Int64(5)),
    ('{"$numberDecimal": "1.10"}', Decimal128("1.10")),
    ('{"$numberDecimal": "-Infinity"}', Decimal128("-Infinity")),
    ('{"$date": "2024-01-02T12:00:00.123Z"}', NOON),
    ('{"$date": "2024-01-02T13:00:00.123+01:00"}', NOON),
    ('{"$date": "2024-01-02T07:00:00.123-0500"}', NOON),
    ('{"$date": "2024-01-02T12:00:00.123456Z"}', NOON),
    ('{"$date": "2024-01-02T12:00Z"}', NOON.replace(microsecond=0)),
    ('{"$date": "1969-12-31T23:59:59.999Z"}', DatetimeMS(-1)),
    ('{"$date": "0001-01-01T00:00:00Z"}', datetime(1, 1, 1, tzinfo=UTC)),
    ('{"$date": "9999-12-31T23:59:59.999999999Z"}', DatetimeMS(253402300799999)),
    ('{"$date": {"$numberLong": "-9223372036854775808"}}', DatetimeMS(-(1 << 63))),
    ('{"$timestamp": {"t": 1, "i": 4294967295}}', Timestamp(1, 4294967295)),
    ('{"$minKey": 1}', MinKey()),
    ('{"$maxKey": 1}', MaxKey()),
    ('{"$code": "f()"}', Code("f()")),
    ('{"$code": "f()", "$scope": {"a": 1}}', Code("f()", {"a": 1})),
    ('{"$scope": {"a": 1}, "$code": "f()"}', Code("f()", {"a": 1})),
    (f'{{"$ref": "c", "$id": {{"$oid": "{HEX}"}}, "x": 1}}', {"$ref": "c", "$id": OID, "x": 1}),
    ('{"$type": "string"}', {"$type": "string"}),
    ('{"$regex": "a"}', {"$regex": "a"}),
    ('{"$scope": 1}', {"$scope": 1}),
    ('{"$": 1, "$x": 2}', {"$": 1, "$x": 2}),
    ('[1, [], {}, {"a": []}]', [1, [], {}, {"a": []}]),
    ("NaN", float("nan")),
    ("-Infinity", float("-inf")),
    ("nan", float("nan")),
    ("inf", float("inf")),
    ("-inf", float("-inf")),
    ('{"$date": "10000-01-01T00:00:00.001Z"}', DatetimeMS(253402300800001)),
    ('{"$date": "292278994-08-17T07:12:55.807Z"}', DatetimeMS((1 << 63) - 1)),
]
ONLY_V2 = [
    ('{"$numberInt": "-5"}', -5),
    ('{"$numberDouble": "1.5"}', 1.5),
    ('{"$numberDouble": "-0.0"}', -0.0),
    ('{"$numberDouble": "NaN"}', float("nan")),
    ('{"$numberDouble": "-Infinity"}', float("-inf")),
    ('{"$binary": {"base64": "AAEC", "subType": "00"}}', b"\0\1\2"),
    ('{"$binary": {"subType": "2", "base64": "AAEC"}}', Binary(b"\0\1\2", 2)),
    ('{"$binary": {"base64": "", "subType": "80"}}', Binary(b"", 128)),
    ('{"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}', Binary(bytes(range(0, 256, 17)), 4)),
    ('{"$regularExpression": {"pattern": "a/b", "options": "im"}}', Regex("a/b", "im")),
]
ONLY_V1 = [
    ('{"$date": 1704196800123}', NOON),
    ('{"$date": 5}', DatetimeMS(5)),
    ('{"$binary": "AAEC", "$type": "00"}', b"\0\1\2"),
    ('{"$type": "ffffff80", "$binary": "AAEC"}', Binary(b"\0\1\2", 128)),
    ('{"$binary": "AAEC", "$type": 5}', Binary(b"\0\1\2", 5)),
    ('{"$uuid": "00112233445566778899aabbccddeeff"}', Binary(bytes(range(0, 256, 17)), 4)),
    ('{"$regex": "a", "$options": "i"}', Regex("a", "i")),
]
SHELL = [
    (f'ObjectId("{HEX}")', OID),
    (f"new ObjectId('{HEX}')", OID),
    ('ISODate("2024-01-02T12:00:00.123Z")', NOON),
    ('ISODate("2024-01-02T12:00:00.123")', NOON),
    ("ISODate('2024-01-02')", datetime(2024, 1, 2, tzinfo=UTC)),
    ("new Date(1704196800123)", NOON),
    ("Date(5)", DatetimeMS(5)),
    ("new Date('2024-01-02T12:00:00.123Z')", NOON),
    ("NumberInt(5)", 5),
    ("NumberInt('5')", 5),
    ("Int32( 5 )", 5),
    ("NumberLong(9007199254740993)", Int64(9007199254740993)),
    ('NumberLong("-5")', Int64(-5)),
    ("Long('5')", Int64(5)),
    ('Long.fromString("5")', Int64(5)),
    ('NumberDecimal("1.10")', Decimal128("1.10")),
    ('Decimal128("NaN")', Decimal128("NaN")),
    ("NumberDecimal(7)", Decimal128("7")),
    ("Double(5)", 5.0),
    ("Double(1.5)", 1.5),
    ("Timestamp(7, 8)", Timestamp(7, 8)),
    ("Timestamp({t: 7, i: 8})", Timestamp(7, 8)),
    ('BinData(5, "AAEC")', Binary(b"\0\1\2", 5)),
    ("HexData(0, '000102')", b"\0\1\2"),
    ("Binary.createFromBase64('AAEC', 0)", b"\0\1\2"),
    ('UUID("00112233-4455-6677-8899-aabbccddeeff")', Binary(bytes(range(0, 256, 17)), 4)),
    ('UUID("00112233445566778899aabbccddeeff")', Binary(bytes(range(0, 256, 17)), 4)),
    ("MD5('000102')", Binary(b"\0\1\2", 5)),
    ("MinKey", MinKey()),
    ("MaxKey()", MaxKey()),
    ("new MinKey()", MinKey()),
    (f'DBRef("c", ObjectId("{HEX}"))', {"$ref": "c", "$id": OID}),
    ("DBRef('c', 1, 'db')", {"$ref": "c", "$id": 1, "$db": "db"}),
    ("/a[/]\\/b/im", Regex("a[/]\\/b", "im")),
    ('RegExp("a")', Regex("a")),
    ("RegExp('a', 'i')", Regex("a", "i")),
    ("Code('f()')", Code("f()")),
    ("Code('f()', {a: 1})", Code("f()", {"a": 1})),
    ("'it\\'s \\x41 \"q\"'", 'it\'s A "q"'),
    ("[1, 2, ]", [1, 2]),
    ("{a: 1, 'b': 2, $c: 3, é: 4, 5: 6, }", {"a": 1, "b": 2, "$c": 3, "é": 4, "5": 6}),
    ("/* one */ 1 // two\n", 1),
    ("[1, // }, {\n {a: 1}]", [1, {"a": 1}]),
]
RARE = [
    ('{"$undefined": true}', raw(0x06, b"")),
    ("undefined", raw(0x06, b"")),
    ('{"$symbol": "s"}', raw(0x0E, b"\2\0\0\0s\0")),
    ("Symbol('s')", raw(0x0E, b"\2\0\0\0s\0")),
    (f"DBPointer('a.b', ObjectId('{HEX}'))", raw(0x0C, b"\4\0\0\0a.b\0" + OID.binary)),
]
POINTER = f'{{"$dbPointer": {{"$ref": "a.b", "$id": {{"$oid": "{HEX}"}}}}}}'


@pytest.mark.parametrize("dialect", [V1, V2])
@pytest.mark.parametrize(("text", "value"), IN_BOTH + SHELL)
def test_what_both_dialects_read_alike(text: str, value: object, dialect: Version) -> None:
    assert read('{"v": ' + text + "}", Rules(dialect)) == bson.encode({"v": value})
    nested = read('{"a": {"b": [' + text + "]}}", Rules(dialect))
    assert nested == bson.encode({"a": {"b": [value]}})


@pytest.mark.parametrize(("text", "expected"), [*RARE, (POINTER, raw(0x0C, RARE[4][1][7:-1]))])
def test_types_that_pymongo_does_not_write(text: str, expected: bytes) -> None:
    assert read('{"v": ' + text + "}", Rules(V2)) == expected


@pytest.mark.parametrize(("text", "value"), ONLY_V2)
def test_words_of_version_2_are_read_and_make_the_dialect(text: str, value: object) -> None:
    for dialect in Version:
        rules = Rules(dialect)
        assert read('{"v": ' + text + "}", rules) == bson.encode({"v": value})
        read_exactly(b'{"v": ' + text.encode() + b"}", rules)
        assert [*rules.signs] == [V2]


@pytest.mark.parametrize(("text", "value"), ONLY_V1)
def test_words_of_version_1_are_not_read_in_version_2(text: str, value: object) -> None:
    rules, document = Rules(V1), '{"v": ' + text + "}"
    assert read(document, rules) == bson.encode({"v": value})
    read_exactly(document.encode(), rules)
    assert [*rules.signs] == [V1]
    if "$regex" in text:
        assert read(document, Rules(V2)) == bson.encode({"v": json.loads(text)})
    else:
        refuse(document, Rules(V2))


REFUSED = [
    '{"v": {"$oid": 5}}',
    '{"v": {"$oid": "507f1f77bcf86cd79943901"}}',
    f'{{"v": {{"$oid": "{HEX}", "x": 1}}}}',
    f'{{"v": {{"x": 1, "$oid": "{HEX}"}}}}',
    f'{{"$oid": "{HEX}"}}',
    f'{{"v": {{"$oid": "{HEX}", "$oid": "{HEX}"}}}}',
    '{"v": {"$numberInt": "2147483648"}}',
    '{"v": {"$numberInt": " 5"}}',
    '{"v": {"$numberInt": "1_0"}}',
    '{"v": {"$numberInt": "٣"}}',
    '{"v": {"$numberInt": 5}}',
    '{"v": {"$numberLong": "9223372036854775808"}}',
    '{"v": {"$numberLong": 5}}',
    '{"v": {"$numberDouble": "1e400"}}',
    '{"v": {"$numberDouble": "inf"}}',
    '{"v": {"$numberDecimal": "1.00000000000000000000000000000000001"}}',
    '{"v": {"$numberDecimal": "1_0"}}',
    '{"v": {"$date": "2024-02-30T00:00:00Z"}}',
    '{"v": {"$date": "2024-01-01T24:00:00Z"}}',
    '{"v": {"$date": "2024-01-01T00:00:60Z"}}',
    '{"v": {"$date": "2024-01-01T00:00:00+16:00"}}',
    '{"v": {"$date": "20240101T000000Z"}}',
    '{"v": {"$date": {"$numberLong": "NaN"}}}',
    '{"v": {"$date": 1.5}}',
    '{"v": {"$date": null}}',
    '{"v": {"$timestamp": {"t": 1, "i": 4294967296}}}',
    '{"v": {"$timestamp": {"t": 1}}}',
    '{"v": {"$binary": {"base64": "AAE", "subType": "00"}}}',
    '{"v": {"$binary": {"base64": "AAEC", "subType": "100"}}}',
    '{"v": {"$uuid": "0011223-34455-6677-8899-aabbccddeeff"}}',
    '{"v": {"$regularExpression": {"pattern": "a\\u0000", "options": ""}}}',
    '{"v": {"$minKey": 2}}',
    '{"v": {"$undefined": false}}',
    '{"v": {"$code": "f", "$scope": 1}}',
    '{"v": 1e400}',
    '{"v": ' + "9" * 400 + "}",
    '{"v": 007}',
    '{"v": 1.}',
    '{"v": +1}',
    '{"v": "\\ud800"}',
    '{"\\udc00": 1}',
    '{"a\\u0000b": 1}',
    '{"v": "\\q"}',
    '{"v": "a\tb"}',
    '{"v": "a',
    '{"v": "a\nb"}',
    '{"v": [1,,2]}',
    '{"v": [1}',
    '{"v": 1]',
    '{"v" 1}',
    '{"v": 1} x',
    '{"v": 1}{"v": 2}',
    '{"v": tru}',
    '{"v": eval("1")}',
    '{"v": ObjectId()}',
    '{"v": ObjectId(5)}',
    '{"v": NumberInt(1.5)}',
    '{"v": NumberLong("x")}',
    '{"v": new Date(2024, 1, 1)}',
    '{"v": new Date("2024-01-01T00:00:00")}',
    "[1]",
    "5",
    "-0",
    "ObjectId('507f1f77bcf86cd799439011')",
    "DBRef('a', 1)",
    "",
    '{"v": ' + "[" * 300 + "]" * 300 + "}",
    '{"a":' * 250 + "1" + "}" * 250,
]


@pytest.mark.parametrize("dialect", [V1, V2])
@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_document(text: str, dialect: Version) -> None:
    assert refuse(text, Rules(dialect))


def test_text_that_is_not_utf8() -> None:
    assert refuse(b'{"v": "\xff"}', Rules(V2)) == "not UTF-8 at about byte 7"


def test_repeated_keys_stay() -> None:
    expected = b"\x13\0\0\0\x10v\0\1\0\0\0\x10v\0\2\0\0\0\0"
    assert read('{"v": 1, "v": 2}', Rules(V2)) == expected


def test_the_order_of_fields_stays() -> None:
    assert read('{"b": 1, "_id": 2}', Rules(V2)) == bson.encode({"": {"b": 1, "_id": 2}})[6:-1]


def test_200_levels_are_read() -> None:
    text = '{"a":' * 199 + "[]" + "}" * 199
    assert len(read(text, Rules(V2))) == 199 * 8 + 5


def test_dates_without_a_zone_need_one() -> None:
    text = '{"v": {"$date": "2024-07-01T12:00:00"}}'
    assert "--zone Europe/Paris" in refuse(text, Rules(V2))
    rules = Rules(V2, PARIS)
    assert read(text, rules) == bson.encode({"v": datetime(2024, 7, 1, 10, tzinfo=UTC)})
    assert rules.guesses == {Guess.ZONE: 1}
    assert read('{"v": new Date("2024-01-01")}', rules) == bson.encode(
        {"v": datetime(2023, 12, 31, 23, tzinfo=UTC)}
    )


@pytest.mark.parametrize(
    ("text", "guess"),
    [
        ("9223372036854775808", Guess.BIG_INTEGER),
        ("-0", Guess.MINUS_ZERO),
        ('{"$date": "2024-01-01T00:00:00.0001Z"}', Guess.CUT_DIGITS),
        ('{"$date": "9999-12-31T23:59:59.999999999Z"}', Guess.LOST_DATE),
        ('ISODate("2024-01-01T00:00:00")', Guess.ISODATE),
        ('{"$uuid": "00112233445566778899aabbccddeeff"}', Guess.UUID),
        ('{"$regex": "a", "$options": "i"}', Guess.REGEX),
    ],
)
def test_guesses_are_counted(text: str, guess: Guess) -> None:
    rules = Rules(V1)
    read(f'{{"v": [{text}, 1, {text}]}}', rules)
    assert rules.guesses == {guess: 2}
    refuse(f'{{"v": [{text}, 1, {text}', rules)
    assert rules.guesses == {guess: 2}, "a document that is refused has no guesses"


def test_a_query_of_a_user_is_told_in_version_2() -> None:
    rules = Rules(V2)
    read('{"v": {"$regex": "a", "$options": "i"}}', rules)
    assert rules.guesses == {Guess.QUERY: 1}


def test_large_documents() -> None:
    text = '{"v": "' + "x" * (16 << 20) + '"}'
    assert len(read_document(text.encode(), Rules(V2))) == (16 << 20) + 13
    with pytest.raises(ExtendedJsonError, match="over 16,793,600 bytes"):
        read_document(b'{"v": "' + b"x" * (17 << 20) + b'"}', Rules(V2))


CORPUS = DATA / "mongo" / "spec_mongodb" / "bson-corpus" / "tests"


UNSORTED = "flags not alphabetized"
"""The specification sorts the options of a pattern; they stay as they are written."""


@pytest.mark.skipif(not CORPUS.exists(), reason=f"no data of others in {CORPUS}")
def test_the_corpus_of_the_specification() -> None:
    valid = refused = 0
    for path in sorted(CORPUS.glob("*.json")):
        found = json.loads(path.read_text())
        for case in found.get("valid", []):
            if case.get("lossy"):
                continue
            expected = bytes.fromhex(case["canonical_bson"])
            for name in ("canonical_extjson", "degenerate_extjson"):
                if name in case and case["description"] != UNSORTED:
                    valid += 1
                    assert read(case[name], Rules(V2)) == expected, (path, case)
        for case in found.get("parseErrors", []):
            if found["bson_type"] == "0x13":
                text = json.dumps({"d": {"$numberDecimal": case["string"]}})
            else:
                text = case["string"]
            refused += 1
            with pytest.raises(ExtendedJsonError):
                read_exactly(text.encode(), Rules(V2))
    assert (valid, refused) == (1040, 180)
