"""The 21 kinds of BSON values and their type bytes (bsonspec.org, version 1.1)."""

from __future__ import annotations

DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, UNDEFINED, OBJECT_ID, BOOL, DATE, NULL = range(0x01, 0x0B)
REGEX, DB_POINTER, CODE, SYMBOL, CODE_WITH_SCOPE, INT32, TIMESTAMP, INT64, DECIMAL = range(
    0x0B, 0x14
)
MIN_KEY, MAX_KEY = 0xFF, 0x7F

KINDS = {
    DOUBLE: "double",
    STRING: "string",
    DOCUMENT: "document",
    ARRAY: "array",
    BINARY: "binary",
    UNDEFINED: "undefined",
    OBJECT_ID: "objectId",
    BOOL: "bool",
    DATE: "date",
    NULL: "null",
    REGEX: "regex",
    DB_POINTER: "dbPointer",
    CODE: "javascript",
    SYMBOL: "symbol",
    CODE_WITH_SCOPE: "javascriptWithScope",
    INT32: "int32",
    TIMESTAMP: "timestamp",
    INT64: "int64",
    DECIMAL: "decimal",
    MIN_KEY: "minKey",
    MAX_KEY: "maxKey",
}
"""Type byte -> name, as MongoDB's `$type` names them (ints by their width)."""
