"""Extended JSON: texts of each dialect, escapes of the jsonb form, and texts that are refused."""

from __future__ import annotations

import json
import re
import struct
from base64 import b64decode, b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracle.equality import differences
from tests.oracle.jsonform import full_key_text, jsonb_text
from tests.oracle.strategies import documents
from tests.oracle.values import Element, write_array, write_document, write_scoped, write_text
from tests.oracle.walk import Value, parse

from assise.documents import extjson
from assise.documents.extjson import (
    CANONICAL,
    ESCAPES,
    JSONB,
    KEY,
    RELAXED,
    Dialect,
    JsonWriter,
    decode_fields,
    write_json,
)
from assise.documents.extjson_reader import Form, read_json, read_value
from assise.documents.kinds import DOCUMENT
from assise.errors import ExtendedJsonError, InvalidBsonError

WORDS = (
    "oid symbol numberInt numberLong numberDouble numberDecimal binary type code scope timestamp"
    " regularExpression regex options dbPointer date minKey maxKey undefined uuid bson element"
).split()
PLAIN = [
    "",
    "$",
    "$$",
    "oid",
    "$ref",
    "$id",
    "$db",
    "$oids",
    "$Oid",
    "a$oid",
    "$oid.x",
    "$set",
    "$numberint",
    " $oid",
    "$oid\n",
]
NULL: Element = (0x0A, b"")


NEGATIVE_NAN = bytes(15) + b"\xfc"
NUL_POINTER = write_text(b"\0") + bytes(12)


def double(bits: str) -> Element:
    """A double from the hexadecimal digits of its bits, the sign first."""
    return 0x01, bytes.fromhex(bits)[::-1]


def number(value: float) -> Element:
    return 0x01, struct.pack("<d", value)


def doc(*fields: tuple[bytes, Element]) -> bytes:
    return write_document(fields)


def text_of(value: Element, dialect: Dialect) -> str:
    return write_json(doc((b"a", value)), dialect).removeprefix('{"a":').removesuffix("}")


def escaped(value: Element) -> str:
    return '{"$bson":"' + b64encode(doc((b"", value))).decode() + '"}'


def read_jsonb(text: str) -> bytes:
    kind, raw = read_value(json.loads(text))
    assert kind == DOCUMENT
    return raw


def tree_of(text: str) -> object:
    """JSON with ints and doubles told apart; objects as sorted pairs, as jsonb has them."""
    return json.loads(
        text,
        parse_float=lambda found: ("double", found),
        object_pairs_hook=lambda pairs: ("object", sorted(pairs, key=lambda p: p[0])),
    )


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("dollars", [1, 2, 3])
def test_a_key_of_dollars_and_a_word_gets_one_more_dollar(word: str, dollars: int) -> None:
    key = "$" * dollars + word
    assert ESCAPES.escape(key) == "$" + key
    assert ESCAPES.unescape("$" + key) == key
    raw = doc((key.encode(), NULL))
    assert write_json(raw, JSONB) == f'{{"${key}":null}}'
    assert read_jsonb(write_json(raw, JSONB)) == raw
    assert read_json(write_json(raw, CANONICAL)) == raw


@pytest.mark.parametrize("key", PLAIN)
def test_every_other_key_stands_as_it_is(key: str) -> None:
    assert ESCAPES.escape(key) == ESCAPES.unescape(key) == key
    raw = doc((key.encode(), NULL))
    assert json.loads(write_json(raw, JSONB)) == {key: None}
    assert read_jsonb(write_json(raw, JSONB)) == raw


def test_an_object_with_one_dollar_and_a_word_is_never_a_document_of_the_user() -> None:
    digits: Element = (0x02, write_text(b"507f1f77bcf86cd799439011"))
    oid = doc((b"x", (0x03, doc((b"$oid", digits)))))
    assert write_json(oid, JSONB) == '{"x":{"$$oid":"507f1f77bcf86cd799439011"}}'
    assert read_jsonb(write_json(oid, JSONB)) == oid
    assert read_jsonb('{"x": {"$oid": "507f1f77bcf86cd799439011"}}') == doc(
        (b"x", (0x07, bytes.fromhex("507f1f77bcf86cd799439011")))
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (number(0.0), "0.0"),
        (number(10.0), "10.0"),
        (number(1e16), "10000000000000000.0"),
        (number(1e22), "10000000000000000000000.0"),
        (number(1e23), '{"$numberDouble":"1e+23"}'),
        (number(1.5e-7), "0.00000015"),
        (number(1e-23), "0.00000000000000000000001"),
        (number(1e-24), '{"$numberDouble":"1e-24"}'),
        (number(-1e-22), "-0.0000000000000000000001"),
        (number(-1e-23), '{"$numberDouble":"-1e-23"}'),
        (number(5e-324), '{"$numberDouble":"5e-324"}'),
        (number(1.7976931348623157e308), '{"$numberDouble":"1.7976931348623157e+308"}'),
        (double("8000000000000000"), '{"$numberDouble":"-0.0"}'),
        (double("7ff8000000000000"), '{"$numberDouble":"NaN"}'),
        (double("7ff0000000000000"), '{"$numberDouble":"Infinity"}'),
        (double("fff0000000000000"), '{"$numberDouble":"-Infinity"}'),
        (double("fff8000000000000"), escaped(double("fff8000000000000"))),
        (double("7ff8000000000001"), escaped(double("7ff8000000000001"))),
        (double("7ff0000000000001"), escaped(double("7ff0000000000001"))),
        ((0x10, struct.pack("<i", 7)), "7"),
        ((0x12, struct.pack("<q", 7)), "7"),
        ((0x12, struct.pack("<q", -(2**63))), "-9223372036854775808"),
        ((0x13, bytes.fromhex("0a" + "00" * 13 + "4030")), '{"$numberDecimal":"10"}'),
        ((0x13, bytes.fromhex("64" + "00" * 13 + "3c30")), '{"$numberDecimal":"1.00"}'),
        ((0x13, NEGATIVE_NAN), escaped((0x13, NEGATIVE_NAN))),
        (
            (0x13, bytes.fromhex("0a" + "00" * 13 + "106c")),
            escaped((0x13, bytes.fromhex("0a" + "00" * 13 + "106c"))),
        ),
        ((0x09, struct.pack("<q", 0)), '{"$date":"1970-01-01T00:00:00Z"}'),
        ((0x09, struct.pack("<q", 1706695200120)), '{"$date":"2024-01-31T10:00:00.120Z"}'),
        ((0x09, struct.pack("<q", 253402300799999)), '{"$date":"9999-12-31T23:59:59.999Z"}'),
        ((0x09, struct.pack("<q", 253402300800000)), '{"$date":{"$numberLong":"253402300800000"}}'),
        ((0x09, struct.pack("<q", -1)), '{"$date":{"$numberLong":"-1"}}'),
        ((0x02, write_text(b"a\0b")), escaped((0x02, write_text(b"a\0b")))),
        ((0x02, write_text(b"\xff")), escaped((0x02, write_text(b"\xff")))),
        ((0x02, write_text(b"\xed\xa0\x80")), escaped((0x02, write_text(b"\xed\xa0\x80")))),
        ((0x02, write_text("\u2028é😀\t".encode())), '"\u2028é😀\\t"'),
        ((0x0D, write_text(b"\0")), escaped((0x0D, write_text(b"\0")))),
        ((0x0E, write_text(b"\xff")), escaped((0x0E, write_text(b"\xff")))),
        ((0x0B, b"\xff\0i\0"), escaped((0x0B, b"\xff\0i\0"))),
        ((0x0C, NUL_POINTER), escaped((0x0C, NUL_POINTER))),
        ((0x0F, write_scoped(b"f", doc((b"$oid", NULL)))), '{"$code":"f","$scope":{"$$oid":null}}'),
        ((0x0F, write_scoped(b"\xff", doc())), escaped((0x0F, write_scoped(b"\xff", doc())))),
        (
            (0x11, struct.pack("<II", 4294967295, 4294967295)),
            '{"$timestamp":{"t":4294967295,"i":4294967295}}',
        ),
        ((0x06, b""), '{"$undefined":true}'),
    ],
)
def test_the_jsonb_form_of_each_value(value: Element, text: str) -> None:
    assert text_of(value, JSONB) == text
    raw = doc((b"a", value))
    assert differences(raw, read_jsonb(write_json(raw, JSONB))) == []


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_in_jsonb_shows_a_point_and_no_exponent_up_to_25_characters(value: float) -> None:
    text = text_of(number(value), JSONB)
    plain = format(value, ".400f").rstrip("0")
    if re.fullmatch(r"-?[0-9]+\.[0-9]+", text):
        assert len(text) <= 25
        assert float(text) == value
        assert not text.startswith("-0.0") or value != 0
    else:
        assert re.fullmatch(r'\{"\$numberDouble":"[-+0-9.e]+"\}', text)
        assert len(repr(value)) > 20 or "e" in repr(value) or str(value) == "-0.0"
        assert len(plain) > 25 or str(value) == "-0.0"


def test_repeated_keys_and_keys_that_are_not_utf8_stand_under_bson_at_their_level() -> None:
    one, two, other = (
        (0x10, struct.pack("<i", 1)),
        (0x12, struct.pack("<q", 2)),
        (0x02, write_text(b"x")),
    )
    raw = doc((b"k", one), (b"b", other), (b"k", two), (b"\xff", NULL))
    unnameable = doc((b"k", one), (b"k", two), (b"\xff", NULL))
    hidden = b64encode(unnameable).decode()
    assert json.loads(write_json(doc((b"d", (0x03, raw))), JSONB)) == {
        "d": {"b": "x", "$bson": hidden}
    }
    assert differences(raw, read_jsonb(write_json(raw, JSONB))) == []
    for dialect in (CANONICAL, RELAXED):
        whole = json.loads(write_json(raw, dialect))
        assert whole.keys() == {"$bson"}
        assert read_json(write_json(raw, dialect)) == raw


def test_two_fields_with_the_empty_key_are_not_taken_for_one_value() -> None:
    for raw in (
        doc((b"", NULL), (b"", (0x06, b""))),
        doc((b"", NULL)),
        doc((b"x", (0x03, doc((b"", NULL), (b"", NULL))))),
    ):
        for dialect in (CANONICAL, RELAXED):
            assert read_json(write_json(raw, dialect)) == raw
        assert read_jsonb(write_json(raw, JSONB)) == raw


@pytest.mark.parametrize("code", [0x03, 0x04])
def test_what_lies_100_levels_deep_is_written_as_bytes(code: int) -> None:
    def chain(levels: int) -> bytes:
        value: Element = (0x10, struct.pack("<i", 7))
        for _ in range(levels):
            value = code, doc((b"0", value))
        return doc((b"a", value))

    for levels in (98, 99, 100, 101, 5_000):
        is_escaped = levels >= 100
        raw = chain(levels)
        for dialect in (CANONICAL, RELAXED, JSONB):
            text = write_json(raw, dialect)
            assert ("$bson" in text) == is_escaped, levels
            back = read_jsonb(text) if dialect is JSONB else read_json(text)
            assert differences(raw, back) == []
        text = write_json(raw, JSONB)
        assert max(text.count("{"), text.count("[")) <= 101


def test_dbrefs_are_plain_documents_and_come_back_in_the_order_of_drivers() -> None:
    ref = doc(
        (b"x", NULL),
        (b"$db", (0x02, write_text(b"d"))),
        (b"$id", NULL),
        (b"$ref", (0x02, write_text(b"c"))),
    )
    assert write_json(ref, JSONB) == '{"x":null,"$db":"d","$id":null,"$ref":"c"}'
    assert [
        key
        for key, _ in parse(read_jsonb('{"x": null, "$db": "d", "$id": null, "$ref": "c"}')).fields
    ] == [b"$ref", b"$id", b"$db", b"x"]
    assert read_json(write_json(ref, CANONICAL)) == ref


@given(documents())
def test_every_dialect_reads_back(raw: bytes) -> None:
    assert differences(raw, read_json(write_json(raw, CANONICAL))) == []
    assert differences(raw, read_json(write_json(raw, RELAXED))) == []
    other = write_document(
        [
            (b"id" if key == b"_id" else key, (value.code, value.raw))
            for key, value in parse(raw).fields
        ]
    )
    assert (
        differences(other, read_jsonb(write_json(other, JSONB))) == []
    )  # an _id, whose order counts, is never written so
    for text in (write_json(raw, CANONICAL), write_json(raw, RELAXED), write_json(raw, JSONB)):
        assert "\n" not in text
        assert text.isprintable() or not text.isascii() or "\x7f" in text


@given(documents())
def test_canonical_text_gives_the_same_bytes_but_for_the_key_texts_of_arrays(raw: bytes) -> None:
    assert read_json(write_json(raw)) == rewrite(parse(raw))


def rewrite(value: Value, depth: int = 0) -> bytes:
    """Write arrays with the keys that drivers write, down to the depth at which bytes are kept."""
    if depth >= 100 or (value.kind == "document" and has_unnameable(value)):
        return value.raw
    fields = []
    for i, (key, inner) in enumerate(value.fields):
        fields.append(
            (
                str(i).encode() if value.kind == "array" else key,
                (inner.code, rewrite_value(inner, depth + 1)),
            )
        )
    return write_document(fields)


def rewrite_value(value: Value, depth: int) -> bytes:
    if value.kind in {"document", "array"}:
        return rewrite(value, depth)
    if (
        value.kind != "scoped"
        or depth >= 100
        or not is_utf8(value.content)
        or has_unnameable(value)
    ):
        return value.raw
    scope = Value("document", value.source, value.end - 5, value.end, fields=value.fields)
    return write_scoped(value.content, rewrite(scope, depth + 1) if value.fields else doc())


def has_unnameable(value: Value) -> bool:
    wrappers = {b"$" + word.encode() for word in WORDS} - {
        b"$type",
        b"$scope",
        b"$regex",
        b"$options",
        b"$element",
    }
    keys = [key for key, _ in value.fields]
    if len(set(keys)) < len(keys):
        return True
    return any(not is_utf8(key) or key in wrappers for key in keys)


def is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


@settings(max_examples=100)
@given(documents())
def test_the_jsonb_form_and_the_text_of_keys_are_those_of_the_tests_own_writer(raw: bytes) -> None:
    document = parse(raw)
    assert tree_of(write_json(raw, JSONB)) == tree_of(jsonb_text(document))
    for kind, value in [(v.code, v.raw) for _, v in document.fields]:
        text, end = JsonWriter(KEY).value(kind, value, 0)
        assert end == len(value)
        parsed = parse(doc((b"a", (kind, value)))).fields[0][1]
        assert json.loads(text) == json.loads(full_key_text(parsed))


@given(documents())
def test_the_text_of_a_key_reads_back(raw: bytes) -> None:
    text = write_json(raw, KEY)
    assert differences(raw, read_value_of_key(text)) == []
    assert "$numberInt" not in text.replace("$$numberInt", "")


def read_value_of_key(text: str) -> bytes:
    kind, value = read_value(json.loads(text), form=Form.KEY)
    assert kind == DOCUMENT
    return value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "not a document"),
        ("7", "not a document"),
        ('{"$oid": "507f1f77bcf86cd799439011"}', "not a document"),
        ('{"$numberInt": "7"}', "not a document"),
        ('{"a": {"$oid": "507f1f77bcf86cd79943901"}}', r"\$oid: .* is not what Extended JSON has"),
        ('{"a": {"$oid": "507f1f77bcf86cd79943901g"}}', r"\$oid"),
        (
            '{"a": {"$oid": "507f1f77bcf86cd799439011", "b": 1}}',
            r"\$oid has other keys beside it: \$oid, b",
        ),
        ('{"a": {"$numberInt": "2147483648"}}', r"\$numberInt"),
        ('{"a": {"$numberInt": "1.0"}}', r"\$numberInt"),
        ('{"a": {"$numberInt": " 1"}}', r"\$numberInt"),
        ('{"a": {"$numberLong": "9223372036854775808"}}', r"\$numberLong"),
        ('{"a": {"$numberLong": "٣"}}', r"\$numberLong"),
        ('{"a": {"$numberDouble": "nan"}}', r"\$numberDouble"),
        ('{"a": {"$numberDouble": "1_0"}}', r"\$numberDouble"),
        ('{"a": {"$numberDecimal": "1e99999"}}', r"\$numberDecimal"),
        ('{"a": {"$numberDecimal": "12345678901234567890123456789012345"}}', r"\$numberDecimal"),
        ('{"a": {"$binary": {"base64": "a", "subType": "00"}}}', r"\$binary"),
        ('{"a": {"$binary": {"base64": "", "subType": "100"}}}', r"\$binary"),
        ('{"a": {"$binary": "AA=="}}', r"\$binary"),
        ('{"a": {"$uuid": "507f1f77"}}', r"\$uuid"),
        ('{"a": {"$date": "2024-01-31"}}', r"\$date"),
        ('{"a": {"$date": "2024-01-31T10:00:00"}}', r"\$date"),
        ('{"a": {"$date": 7}}', r"\$date"),
        ('{"a": {"$date": {"$numberLong": 7}}}', r"\$date"),
        ('{"a": {"$timestamp": {"t": -1, "i": 0}}}', r"\$timestamp"),
        ('{"a": {"$timestamp": {"t": 4294967296, "i": 0}}}', r"\$timestamp"),
        ('{"a": {"$code": "", "$scope": []}}', r"\$code"),
        (
            '{"a": {"$regularExpression": {"pattern": "\\u0000", "options": ""}}}',
            r"\$regularExpression",
        ),
        ('{"a": {"$dbPointer": {"$ref": "c", "$id": "507f1f77bcf86cd799439011"}}}', r"\$dbPointer"),
        ('{"a": {"$minKey": 1.0}}', r"\$minKey"),
        ('{"a": {"$undefined": 1}}', r"\$undefined"),
        ('{"a": {"$symbol": 1}}', r"\$symbol"),
        ('{"a": {"$bson": "AAAA"}}', r"\$bson"),
        ('{"a": {"$bson": 7}}', r"\$bson"),
        ('{"a\\u0000b": 1}', "holds a NUL"),
        ('{"a": "\\ud800"}', "."),
        ('{"\\ud800": 1}', "."),
        ('{"a": {"$code": "\\ud800"}}', r"\$code"),
        ("[" * 100_000, "not JSON"),
        ('{"a": %s}' % ("1" * 400), "beyond the range of doubles"),
    ],
)
def test_what_is_no_extended_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(ExtendedJsonError, match=message):
        read_json(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", (0x10, struct.pack("<i", 7))),
        ("2147483648", (0x12, struct.pack("<q", 2**31))),
        ("9223372036854775808", number(2.0**63)),
        ("7.0", number(7.0)),
        ("1e2", number(100.0)),
        ("-0.0", number(-0.0)),
        ('{"$numberDouble": "-0.0"}', number(-0.0)),
        (
            '{"$uuid": "507f1f77-bcf8-46cd-8799-439011000000"}',
            (0x05, b"\x10\0\0\0\4" + bytes.fromhex("507f1f77bcf846cd8799439011000000")),
        ),
        ('{"$date": "2024-01-31T10:00:00.12+01:00"}', (0x09, struct.pack("<q", 1706691600120))),
        ('{"$date": "1969-12-31T23:59:59.999Z"}', (0x09, struct.pack("<q", -1))),
        (
            '{"$binary": {"base64": "AQ==", "subType": "2"}}',
            (0x05, bytes.fromhex("05000000020100000001")),
        ),
        (
            '{"$ref": "c", "$id": 1}',
            (
                0x03,
                doc((b"$ref", (0x02, write_text(b"c"))), (b"$id", (0x10, struct.pack("<i", 1)))),
            ),
        ),
        ('{"$type": "string"}', (0x03, doc((b"$type", (0x02, write_text(b"string")))))),
        ("[1, null]", (0x04, write_array([(0x10, struct.pack("<i", 1)), NULL]))),
    ],
)
def test_what_others_write_is_read(text: str, value: Element) -> None:
    assert read_json(f'{{"a": {text}}}') == doc((b"a", value))


def test_a_writer_counts_leaves_and_refuses_what_is_not_bson() -> None:
    writer = JsonWriter(JSONB)
    raw = doc(
        (b"a", (0x03, doc())),
        (b"b", (0x04, write_array([NULL, NULL]))),
        (b"c", (0x0F, write_scoped(b"", doc((b"x", NULL))))),
        (b"c", NULL),
    )
    writer.document(raw, 0)
    assert writer.leaves == 5
    for broken in (
        raw[:-1],
        raw + b"\0",
        doc((b"a", (0x55, b""))),
        doc((b"a", (0x08, b"\2"))),
        b"",
    ):
        with pytest.raises(InvalidBsonError):
            write_json(broken)


def test_only_whole_documents_stand_under_bson() -> None:
    raw = doc((b"a", NULL))
    text = b64encode(raw).decode()
    assert decode_fields(text) == raw
    assert b64decode(text) == raw
    for broken in (text[:-4], text + "AAAA", "!" + text, "", "é"):
        assert decode_fields(broken) is None


@settings(max_examples=60)
@given(documents(), st.integers(5, 80))
def test_pieces_are_the_same_text(raw: bytes, large: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extjson, "LARGE_BYTES", large)
        patch.setattr(extjson, "PIECE_CHARACTERS", 1 + large // 8)
        assert "".join(extjson.write_pieces(raw)) == write_json(raw)


def test_pieces_of_large_values_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extjson, "LARGE_BYTES", 1000)
    monkeypatch.setattr(extjson, "PIECE_CHARACTERS", 100)
    text = (bytes(range(1, 128)) + "é€😀".encode()) * 50
    array = doc(*((b"", NULL) for _ in range(1_000)))
    for value in (
        (0x02, write_text(text)),
        (0x0D, write_text(text)),
        (0x0E, write_text(text)),
        (0x02, write_text(text + b"\xff")),
        (0x04, array),
    ):
        raw = doc((b"a", value))
        pieces = [*extjson.write_pieces(raw)]
        assert "".join(pieces) == write_json(raw)
        assert max(map(len, pieces)) <= 600 or b"\xff" in value[1]


def test_pieces_of_what_is_no_document_are_refused() -> None:
    with pytest.raises(InvalidBsonError):
        [*extjson.write_pieces(doc((b"a", (0x10, b"\0"))))]


def test_a_key_holds_code_with_a_nul_and_a_scope_as_it_holds_a_string_with_one() -> None:
    code = b"\3\0\0\0\0c\0"
    scoped = b"\x10\0\0\0" + code + b"\5\0\0\0\0"
    assert JsonWriter(KEY).value(0x02, code, 0)[0] == r'"\u0000c"'
    assert JsonWriter(KEY).value(0x0F, scoped, 0)[0] == r'{"$code":"\u0000c","$scope":{}}'
