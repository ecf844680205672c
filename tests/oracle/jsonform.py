"""The jsonb form and the texts of keys, by a writer of the tests' own."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
from collections import Counter
from dataclasses import dataclass

from bson.decimal128 import Decimal128
from tests.oracle.texts import print_iso, print_plain_double
from tests.oracle.walk import Value, find_scope

DEEPEST = 100
END_OF_9999 = 253_402_300_800_000
WORDS = (
    "oid symbol numberInt numberLong numberDouble numberDecimal binary type code scope timestamp "
    "regularExpression regex options dbPointer date minKey maxKey undefined uuid bson element"
)
ESCAPED_IN_KEYS = re.compile(r"\$+(" + "|".join(WORDS.split()) + r")\Z")
ESCAPED = re.compile(r"\$+(" + "|".join([*WORDS.split(), "missing", "one", "nulled"]) + r")\Z")


@dataclass(frozen=True)
class Form:
    """How a value is written.

    `jsonb` is relaxed and escapes what jsonb cannot hold or keep; a key is canonical and keeps the
    order of fields.
    """

    is_key: bool


JSONB, KEY = Form(is_key=False), Form(is_key=True)


def jsonb_text(value: Value, depth: int = 0) -> str:
    """The JSON text of a value `depth` levels below the root of its jsonb, to compare as jsonb."""
    return _write(value, depth, JSONB)


def id_text(value: Value, depth: int = 0) -> str:
    """The JSON text of a top-level `_id` that is not the key.

    It is escaped where the order of fields counts, which jsonb does not keep.
    """
    if value.kind in {"document", "array", "scoped"}:
        return escape(value)
    return jsonb_text(value, depth)


def key_text(value: Value) -> str:
    """The text of an `_id` in a key of kind `any`; above 1,000 bytes its digest.

    The text is canonical Extended JSON, but ints have no width.
    """
    text = full_key_text(value)
    content = text.encode()
    return text if len(content) <= 1000 else "sha256:" + hashlib.sha256(content).hexdigest()


def full_key_text(value: Value) -> str:
    """The text of an `_id` in a key of kind `any`, however long."""
    return _write(value, 0, KEY)


def escape(value: Value) -> str:
    """`{"$bson": …}` with the bytes of the value."""
    return '{"$bson":"' + encode_fields([(b"", value)]) + '"}'


def encode_fields(fields: list[tuple[bytes, Value]]) -> str:
    """Base64 of the BSON document that has these fields."""
    parts = [bytes([value.code]) + key + b"\0" + value.raw for key, value in fields]
    body = b"".join(parts)
    length = struct.pack("<i", len(body) + 5)
    return base64.b64encode(length + body + b"\0").decode()


def find_unnamed(fields: list[tuple[bytes, Value]]) -> list[tuple[bytes, Value]]:
    """The fields that JSON cannot name: repeated keys, and keys that are not UTF-8."""
    keys = [key for key, _ in fields]
    if len(set(keys)) == len(keys) and decode(b"\0".join(keys)) is not None:
        return []
    count = Counter(keys)
    named = {key for key in keys if count[key] == 1 and decode(key) is not None}
    return [(key, value) for key, value in fields if key not in named]


def decode(text: bytes) -> str | None:
    """Text that is UTF-8, otherwise None."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return None


def write_members(
    members: dict[str, str],
    unnamed: list[tuple[bytes, Value]],
    escaped: re.Pattern[str] = ESCAPED,
) -> str:
    """An object of keys, not yet escaped, and JSON texts, with the fields that JSON cannot name."""
    texts = []
    for key, text in members.items():
        name = json.dumps(escape_key(key, escaped), ensure_ascii=False)
        texts.append(f"{name}:{text}")
    if unnamed:
        texts.append(f'"$bson":"{encode_fields(unnamed)}"')
    return "{" + ",".join(texts) + "}"


def escape_key(key: str, escaped: re.Pattern[str] = ESCAPED) -> str:
    """A key with one more dollar where it would be taken for Extended JSON, or a word of ours."""
    return "$" + key if escaped.match(key) else key


def _write(value: Value, depth: int, form: Form) -> str:
    if value.kind in {"document", "array"}:
        return escape(value) if depth >= DEEPEST else _write_container(value, depth, form)
    if value.kind == "scoped":
        code, scope = _write_string(value.content, form), find_scope(value)
        is_whole = (
            code is None or depth + 1 >= DEEPEST or (form.is_key and find_unnamed(scope.fields))
        )
        return (
            escape(value)
            if is_whole
            else f'{{"$code":{code},"$scope":{_write(scope, depth + 1, form)}}}'
        )
    text = (
        _write_text(value, form)
        if value.kind in {"string", "symbol", "code", "regex", "dbpointer"}
        else _write_number(value, form)
    )
    return escape(value) if text is None else text


def _write_container(value: Value, depth: int, form: Form) -> str:
    if value.kind == "array":
        items = [_write(inner, depth + 1, form) for _, inner in value.fields]
        return "[" + ",".join(items) + "]"
    unnamed = find_unnamed(value.fields)
    if unnamed and form.is_key:
        return escape(value)
    names = {key for key, _ in unnamed}
    return write_members(
        {
            key.decode(): _write(inner, depth + 1, form)
            for key, inner in value.fields
            if key not in names
        },
        unnamed,
        ESCAPED_IN_KEYS if form.is_key else ESCAPED,
    )


def _write_string(text: bytes, form: Form) -> str | None:
    decoded = decode(text)
    if decoded is None or ("\0" in decoded and not form.is_key):
        return None
    return json.dumps(decoded, ensure_ascii=False)


def _write_text(value: Value, form: Form) -> str | None:
    text, more = (
        _write_string(value.content, form),
        _write_string(value.more, form) if value.kind == "regex" else "",
    )
    if text is None or more is None:
        return None
    if value.kind == "string":
        return text
    if value.kind == "regex":
        return '{"$regularExpression":{"pattern":' + text + ',"options":' + more + "}}"
    if value.kind == "dbpointer":
        return '{"$dbPointer":{"$ref":' + text + ',"$id":{"$oid":"' + value.more.hex() + '"}}}'
    return '{"$' + value.kind + '":' + text + "}"


def _write_number(value: Value, form: Form) -> str | None:
    number = value.number
    match value.kind:
        case "int32" | "int64":
            return str(number)
        case "bool":
            return "true" if number else "false"
        case "null":
            return "null"
        case "double":
            return _write_double(value.content, form)
        case "decimal":
            text = str(Decimal128.from_bid(value.content))
            return f'{{"$numberDecimal":"{text}"}}' if _gives_back(text, value.content) else None
        case "date":
            is_iso = 0 <= number < END_OF_9999 and not form.is_key
            return (
                f'{{"$date":"{print_iso(number)}"}}'
                if is_iso
                else f'{{"$date":{{"$numberLong":"{number}"}}}}'
            )
        case "objectid":
            return f'{{"$oid":"{value.content.hex()}"}}'
        case "binary":
            text = base64.b64encode(value.content).decode()
            return f'{{"$binary":{{"base64":"{text}","subType":"{number:02x}"}}}}'
        case "timestamp":
            increment, seconds = struct.unpack("<II", value.content)
            return f'{{"$timestamp":{{"t":{seconds},"i":{increment}}}}}'
        case "undefined":
            return '{"$undefined":true}'
    return {"minkey": '{"$minKey":1}', "maxkey": '{"$maxKey":1}'}[value.kind]


def _write_double(content: bytes, form: Form) -> str | None:
    number: float = struct.unpack("<d", content)[0]
    if number != number:
        return '{"$numberDouble":"NaN"}' if content == bytes.fromhex("000000000000f87f") else None
    if number in {float("inf"), float("-inf")}:
        return f'{{"$numberDouble":"{"-" if number < 0 else ""}Infinity"}}'
    plain = print_plain_double(content)
    if form.is_key or len(plain) > 25 or plain == "-0.0":
        return f'{{"$numberDouble":"{number!r}"}}'
    return plain


def _gives_back(text: str, content: bytes) -> bool:
    try:
        return Decimal128(text).bid == content
    except ArithmeticError:
        return False
