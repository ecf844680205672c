#!/usr/bin/env bash
# pydantic 2.14.3 and the BSON types of pymongo 4.20.0: a field `int` turns Int64 into a plain int, in
# strict mode too, so that what was an int64 in MongoDB is written back as an int32 (type byte 0x12,
# then 0x10). A field `bytes` keeps Binary and its subtype, and a field `Any` keeps both. Of the
# subclasses of str, int, float, list and dict nothing is left; that of bytes alone stays.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install pydantic==2.14.3 pymongo==4.20.0
"$folder/venv/bin/python" - <<'PYTHON'
from typing import Any

import bson
import pydantic
from bson import Binary, Int64


class Counter(pydantic.BaseModel):
    count: int
    digest: bytes
    other: Any


class Text(str): pass
class Whole(int): pass
class Bytes(bytes): pass
class Double(float): pass
class Items(list): pass
class Mapping(dict): pass


class Each(pydantic.BaseModel):
    text: str
    whole: int
    data: bytes
    double: float
    items: list
    mapping: dict


given = {"count": Int64(7), "digest": Binary(b"abc", 5), "other": Int64(7)}
one_of_each = {
    "text": Text("x"), "whole": Whole(1), "data": Bytes(b"x"),
    "double": Double(1.5), "items": Items([1]), "mapping": Mapping(a=1),
}
kinds = lambda raw: [kind[0] for kind in (raw[4:5], raw[raw.index(b"digest") - 1 :][:1], raw[raw.index(b"other") - 1 :][:1])]
found = []
for strict in (False, True):
    back = Counter.model_validate(given, strict=strict).model_dump()
    before, after = kinds(bson.encode(given)), kinds(bson.encode(back))
    print(f"strict={strict}: type bytes {before} before, {after} after; subtype {back['digest'].subtype}")
    found.append((before, after, back["digest"].subtype))
    names = {name: type(value).__name__ for name, value in Each.model_validate(one_of_each, strict=strict)}
    print(f"strict={strict}: {names}")
    found.append(names)
expected = [
    ([0x12, 0x05, 0x12], [0x10, 0x05, 0x12], 5),
    {"text": "str", "whole": "int", "data": "Bytes", "double": "float", "items": "list", "mapping": "dict"},
] * 2
assert found == expected, found
print("as described")
PYTHON
