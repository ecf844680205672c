"""Texts of other writers, with what they say, and texts that are refused."""

from __future__ import annotations

from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)

from assise.documents.reread.reader import LARGEST_BYTES, LEVELS

ID = ObjectId("507f1f77bcf86cd799439011")


NOON = DatetimeMS(1_706_702_400_500)


MIDNIGHT = DatetimeMS(1_706_659_200_000)


SHELL: dict[str, object] = {
    "1": 1,
    "-0": -0.0,
    "2147483648": Int64(2**31),
    "100000000000000000000": 1e20,
    "1.5e3": 1500.0,
    "NaN": float("nan"),
    "-Infinity": float("-inf"),
    "nan": float("nan"),
    "-inf": float("-inf"),
    r"'it\'s \x41\v'": "it's A\v",
    r'"\ud83d\ude00"': "😀",
    "ObjectId('507f1f77bcf86cd799439011')": ID,
    'new ObjectId("507F1F77BCF86CD799439011")': ID,
    "NumberInt(7)": 7,
    'NumberInt("-7")': -7,
    "NumberLong(7)": Int64(7),
    'NumberLong("9223372036854775807")': Int64(2**63 - 1),
    "Long.fromString('7')": Int64(7),
    "Double(7)": 7.0,
    "NumberDecimal('1.10')": Decimal128("1.10"),
    "NumberDecimal(1.10)": Decimal128("1.10"),
    "ISODate('2024-01-31T12:00:00.5Z')": NOON,
    "ISODate('2024-01-31T13:00:00.500+0100')": NOON,
    "ISODate('2024-01-31T12:00:00.5')": NOON,
    "ISODate('2024-01-31')": MIDNIGHT,
    "ISODate('+010000-01-01T00:00:00Z')": DatetimeMS(253402300800000),
    "ISODate('10000-01-01T00:00:00Z')": DatetimeMS(253402300800000),
    "new Date(-1)": DatetimeMS(-1),
    "Date('2024-01-31T12:00:00.500Z')": NOON,
    "BinData(0, '//79')": b"\xff\xfe\xfd",
    "new BinData(128, 'dQ==')": Binary(b"u", 128),
    "HexData(2, '6f6C64')": Binary(b"old", 2),
    "Binary.createFromBase64('dQ==', 6)": Binary(b"u", 6),
    "UUID('73ffd264-44b3-4c69-90e8-e7d1dfc035d4')": Binary(
        bytes.fromhex("73ffd26444b34c6990e8e7d1dfc035d4"), 4
    ),
    "MD5('73ffd26444b34c6990e8e7d1dfc035d4')": Binary(
        bytes.fromhex("73ffd26444b34c6990e8e7d1dfc035d4"), 5
    ),
    "Timestamp(1, 2)": Timestamp(1, 2),
    "Timestamp({t: 1, i: 2})": Timestamp(1, 2),
    "Timestamp(-1, 0)": Timestamp(2**32 - 1, 0),
    "MinKey": MinKey(),
    "MaxKey()": MaxKey(),
    r"/a[/]\/b/ix": Regex(r"a[/]\/b", "ix"),
    "new RegExp('a/b', 'i')": Regex("a/b", "i"),
    "DBRef('users', ObjectId('507f1f77bcf86cd799439011'))": DBRef("users", ID),
    "DBRef('users', 5, 'other')": DBRef("users", 5, "other"),
    "Code('f()')": Code("f()"),
    "Code('f()', {x: 1})": Code("f()", {"x": 1}),
    "{ '$oid' : '507f1f77bcf86cd799439011' }": ID,
    "{$regex: 'a', $options: 'i'}": Regex("a", "i"),
    "{$date: 1706702400500}": NOON,
    "{a: 1, $b: 2, 3: [4, ], }": {"a": 1, "$b": 2, "3": [4]},
    "/* a */ [ // b\n 1,\r\n2 /**/ ]": [1, 2],
}
"""What the shells and people write -> its value, as pymongo holds it."""


REFUSED = {
    "": "not a document",
    "[]": "not a document",
    "7": "not a document",
    "{}}": "text after the document",
    "{} {}": "text after the document",
    '{"a": 1': "not JSON at byte 1",
    '{"a": {}': "not JSON at byte 8: the end",
    '{"a"}': "not JSON at byte 1",
    "{a: 1 b: 2}": "not JSON",
    "{a: 1]": "not JSON",
    "{a: [1}": "not JSON",
    "{a: NumberInt(1]}": "not JSON",
    "{a: [,]}": "not JSON",
    "{a: 1,,}": "not JSON",
    "{a: 01}": "not JSON",
    "{a: 1.}": "not JSON",
    "{a: TRUE}": "not JSON",
    "{a: /*}": "not JSON",
    '{"a": "\n"}': "not JSON",
    '{"a": "\\q"}': "not JSON",
    '{"a": "\\ud83d"}': "half a surrogate pair",
    '{"\\u0000": 1}': "a NUL in a key",
    "{a: 1e999}": "not a number that a double can hold",
    "{a: ObjectId()}": "not a call",
    "{a: ObjectID('507f1f77bcf86cd799439011')}": "not a call",
    "{a: ObjectId(507)}": "not a string",
    "{a: NumberInt(2147483648)}": "not an integer of 32 bits",
    "{a: NumberDecimal('12345678901234567890123456789012345')}": "without rounding",
    "{a: BinData(256, '')}": "not a binary subtype",
    "{a: BinData(0, 'a')}": "not base64",
    "{a: Date('2024-01-31')}": "--zone",
    "{a: ISODate('2023-02-29')}": "not a date of the calendar",
    "{a: ISODate('2024-01-31T24:00:00Z')}": "not a date of the calendar",
    "{a: ISODate('-000000-01-01T00:00:00Z')}": "not an ISO date",
    '{"a": {"$date": "2024-01-31T00:00:00"}}': "--zone",
    '{"a": {"$date": 5}}': "not a string",
    '{"a": {"$oid": "5"}}': "not an ObjectId",
    '{"a": {"$oid": "507f1f77bcf86cd799439011", "$oid": "507f1f77bcf86cd799439011"}}': "not the keys",
    '{"a": {"b": 1, "$oid": "507f1f77bcf86cd799439011"}}': "$oid with other keys",
    '{"$oid": "507f1f77bcf86cd799439011"}': "a single value",
    '{"a": {"$minKey": {"$numberInt": "1"}}}': "not an integer",
    '{"a": {"$numberInt": "1 "}}': "not an integer of 32 bits",
    '{"a": {"$numberDouble": "1_0"}}': "not a double",
    '{"a": {"$binary": "", "$type": "00"}}': "not the keys",
    '{"a": ' + "[" * LEVELS + "]" * LEVELS + "}": f"more than {LEVELS} levels",
    '{"a": [' + f'"{1 << 20:1048576}",' * 16 + f'"{0:16384}"]}}': f"over {LARGEST_BYTES} bytes",
}
"""Text -> a part of the error. The dialect is version 2."""
