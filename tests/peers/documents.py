"""Documents that writers of other languages are given: every kind of value, at its edges.

Each is `{"_id": NAME, "v": VALUE}`; the names say in the golden files what a line is of.
"""

from __future__ import annotations

from struct import pack

from tests.oracle.values import (
    Element,
    write_array,
    write_binary,
    write_document,
    write_scoped,
    write_text,
)

OBJECT_ID = bytes.fromhex("507f1f77bcf86cd799439011")
DIGITS = OBJECT_ID.hex().encode()
UUID = bytes.fromhex("73ffd26444b34c6990e8e7d1dfc035d4")

DOUBLES = {
    "zero": 0.0, "minus zero": -0.0, "one": 1.0, "tenth": 0.1, "third": 1 / 3, "price": 9.99,
    "minus": -1.5, "1e-7": 1e-7, "1e15": 1e15, "1e16": 1e16, "1e20": 1e20, "1e21": 1e21,
    "1e22": 1e22, "2^53": 2.0**53, "2^53 - 1": 2.0**53 - 1, "2^63": 2.0**63, "17 digits": 123456789012345680.0,
    "least": 5e-324, "largest": 1.7976931348623157e308, "infinity": float("inf"),
    "minus infinity": float("-inf"), "ten million": 1e7, "hundred million": 1e8,
}  # fmt: skip
NANS = {
    "NaN": 0x7FF8000000000000,
    "minus NaN": 0xFFF8000000000000,
    "NaN with a payload": 0x7FF8000000000012,
}
INTS32 = [0, 1, -1, 2**31 - 1, -(2**31)]
INTS64 = [0, 1, -1, 2**31, -(2**31) - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
DATES = {
    "epoch": 0, "millisecond": 1, "120 ms": 120, "100 ms": 100, "before": -1, "1969": -86_400_000,
    "2024": 1_706_695_200_123, "year 1": -62_135_596_800_000, "year 0": -62_135_596_800_001,
    "end of 9999": 253_402_300_799_999, "year 10000": 253_402_300_800_000,
    "last of JavaScript": 8_640_000_000_000_000, "after JavaScript": 8_640_000_000_000_001,
    "largest": 2**63 - 1, "least": -(2**63),
}  # fmt: skip
TEXTS = {
    "empty": "", "accents": "Œuvre déjà", "emoji": "😀", "quotes": "\"'`\\/", "controls": "\b\f\n\r\t\x0b\x1f\x7f",
    "NUL": "a\0b", "separators": "\u2028\u2029\ufeff\uffff", "html": "</script>&<>", "looks like JSON": '{"$oid": 1}',
    "digits of an ObjectId": DIGITS.decode(), "a date": "2024-01-31T00:00:00Z",
}  # fmt: skip
BINARIES = {
    "empty": (0, b""), "generic": (0, b"\xff\xfe\xfd"), "function": (1, b"f"), "old": (2, b"old"),
    "old UUID": (3, UUID), "UUID": (4, UUID), "short UUID": (4, UUID[:5]), "MD5": (5, UUID),
    "encrypted": (6, b"e"), "column": (7, b"c"), "sensitive": (8, b"s"), "vector": (9, b"\x27\0\0\0\x80\x3f"),
    "user": (0x80, b"u"), "last": (255, b"\0"),
}  # fmt: skip
REGEXES = {
    "plain": (b"ab+c", b""), "options": (b"a", b"imx"), "unsorted": (b"a", b"xmi"), "slash": (b"a/b", b"i"),
    "escaped slash": (rb"a\/b", b""), "class": (b"[/]", b""), "empty": (b"", b""), "quotes": (b"\"'\\", b""),
    "new line": (b"a\nb", b""), "other options": (b"a", b"lsu"),
}  # fmt: skip
DECIMALS = {
    "one": 0x30400000000000000000000000000001, "two places": 0x303C0000000000000000000000000064,
    "minus zero": 0xB0400000000000000000000000000000, "zero with exponent": 0x30440000000000000000000000000000,
    "largest": 0x5FFFED09BEAD87C0378D8E63FFFFFFFF, "least": 1, "exponent": 0x30460000000000000000000000000001,
    "infinity": 0x78 << 120, "minus infinity": 0xF8 << 120, "NaN": 0x7C << 120, "minus NaN": 0xFC << 120,
    "sNaN": 0x7E << 120, "NaN with a payload": 0x7C << 120 | 18, "over 34 digits": 0x3041ED09BEAD87C0378D8E6400000000,
}  # fmt: skip


def text(value: str | bytes) -> Element:
    """A string."""
    return 0x02, write_text(value.encode() if isinstance(value, str) else value)


def int32(number: int) -> Element:
    """An int32."""
    return 0x10, pack("<i", number)


def document(*fields: tuple[str, Element]) -> Element:
    """A document."""
    return 0x03, write_document((key.encode(), value) for key, value in fields)


ID: Element = (0x07, OBJECT_ID)
TRUE: Element = (0x08, b"\1")
LOOK_LIKE_TYPES = {
    "$oid": document(("$oid", text(DIGITS))),
    "$oid of a number": document(("$oid", int32(5))),
    "$oid and another": document(("$oid", text(DIGITS)), ("x", int32(1))),
    "$numberLong": document(("$numberLong", text("5"))),
    "$numberInt": document(("$numberInt", text("5"))),
    "$numberDouble": document(("$numberDouble", text("5.5"))),
    "$date": document(("$date", text("2024-01-31T00:00:00Z"))),
    "$binary": document(("$binary", text("//79")), ("$type", text("00"))),
    "$uuid": document(("$uuid", text("73ffd264-44b3-4c69-90e8-e7d1dfc035d4"))),
    "$regex": document(("$regex", text("a")), ("$options", text("i"))),
    "$regex of an operator": document(("$regex", text("a")), ("$options", text("")), ("x", int32(1))),
    "$regex alone": document(("$regex", text("a"))),
    "$undefined": document(("$undefined", TRUE)),
    "$minKey": document(("$minKey", int32(1))),
    "$symbol": document(("$symbol", text("s"))),
    "$code": document(("$code", text("f()"))),
    "$timestamp": document(("$timestamp", document(("t", int32(1)), ("i", int32(2))))),
    "$type": document(("$type", text("string"))),
    "operators": document(("$gt", int32(5)), ("$in", (0x04, write_array([int32(1)])))),
    "DBRef": document(("$ref", text("users")), ("$id", ID)),
    "DBRef with a database": document(("$ref", text("users")), ("$id", ID), ("$db", text("d"))),
    "DBRef and another": document(("$ref", text("users")), ("$id", ID), ("x", int32(1))),
    "$ref alone": document(("$ref", int32(5))),
    "a document of base64 and subType": document(("base64", text("")), ("subType", text("00"))),
}  # fmt: skip
OTHERS = {
    "true": TRUE,
    "false": (0x08, b"\0"),
    "null": (0x0A, b""),
    "undefined": (0x06, b""),
    "ObjectId": ID,
    "min key": (0xFF, b""),
    "max key": (0x7F, b""),
    "DBPointer": (0x0C, write_text(b"d.users") + OBJECT_ID),
    "code": (0x0D, write_text(b"function() { return \"a\"; }")),
    "symbol": (0x0E, write_text(b"sym")),
    "code with an empty scope": (0x0F, write_scoped(b"f()", write_document([]))),
    "code with a scope": (0x0F, write_scoped(b"f()", write_document([(b"x", int32(1)), (b"o", ID)]))),
    "timestamp": (0x11, pack("<II", 2, 1)),
    "timestamp of zeros": (0x11, bytes(8)),
    "largest timestamp": (0x11, b"\xff" * 8),
    "empty array": (0x04, write_array([])),
    "array": (0x04, write_array([int32(1), (0x04, write_array([])), document(), (0x0A, b"")])),
    "array with other keys": (0x04, write_document([(b"7", int32(1)), (b"x", int32(2))])),
    "empty document": document(),
    "keys": document(("", int32(1)), ("a.b", int32(2)), ("é", int32(3)), ('"', int32(4)), ("a b", int32(5)), ("0", int32(6))),
    "order of keys": document(("z", int32(1)), ("a", int32(2)), ("m", int32(3))),
    "order of digits": document(("b", int32(1)), ("10", int32(2)), ("9", int32(3))),
    "equal keys": document(("a", int32(1)), ("a", int32(2))),
    "__proto__": document(("__proto__", document(("x", int32(1))))),
    "nested": document(("a", document(("b", (0x04, write_array([document(("c", ID))])))))),
}  # fmt: skip


def _values() -> dict[str, Element]:
    values: dict[str, Element] = dict(OTHERS)
    values |= {f"double: {name}": (0x01, pack("<d", number)) for name, number in DOUBLES.items()}
    values |= {f"double: {name}": (0x01, pack("<Q", bits)) for name, bits in NANS.items()}
    values |= {f"int32: {number}": int32(number) for number in INTS32}
    values |= {f"int64: {number}": (0x12, pack("<q", number)) for number in INTS64}
    values |= {f"date: {name}": (0x09, pack("<q", number)) for name, number in DATES.items()}
    values |= {f"text: {name}": text(content) for name, content in TEXTS.items()}
    values |= {f"binary: {name}": (0x05, write_binary(*pair)) for name, pair in BINARIES.items()}
    values |= {f"regex: {name}": (0x0B, b"%b\0%b\0" % pair) for name, pair in REGEXES.items()}
    values |= {
        f"decimal: {name}": (0x13, bits.to_bytes(16, "little")) for name, bits in DECIMALS.items()
    }
    values |= {f"looks like: {name}": value for name, value in LOOK_LIKE_TYPES.items()}
    return values


DOCUMENTS = {
    name: write_document([(b"_id", text(name)), (b"v", value)]) for name, value in _values().items()
}
DOCUMENTS["order in _id"] = write_document(
    [(b"_id", document(("z", int32(1)), ("a", int32(2)))), (b"v", text("order in _id"))]
)
"""Name -> document."""
