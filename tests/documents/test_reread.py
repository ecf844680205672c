"""The second reader of Extended JSON: every dialect back to its document, and what it refuses."""

from __future__ import annotations

import json
import re

import pytest
from bson import encode
from bson.codec_options import DatetimeConversion
from bson.json_util import JSONOptions, loads
from hypothesis import given
from hypothesis import strategies as st
from tests.documents.corpus import CORPUS, LOSSY, cases
from tests.documents.drawn_texts import (
    DIALECTS,
    PIECES,
    Field,
    by_dialect,
    drawn_fields,
    is_writable,
    writable_document,
)
from tests.oracle.equality import differences
from tests.oracle.values import write_document
from tests.peers.dialects import (
    WORDS,
    UnwritableError,
)
from tests.peers.documents import DOCUMENTS, LOOK_LIKE_TYPES

from assise.documents.reader import check_document
from assise.documents.reread.reader import read_again
from assise.errors import ExtendedJsonError

on_corpus = pytest.mark.skipif(
    not CORPUS.exists(), reason=f"no data of others in {CORPUS}: set ASSISE_TEST_DATA"
)


@by_dialect
@given(fields=drawn_fields)
def test_a_document_comes_back_from_every_dialect(dialect: str, fields: list[Field]) -> None:
    write, is_old = DIALECTS[dialect]
    raw = writable_document(write, fields)
    try:
        text = write(raw)
    except UnwritableError:
        return
    assert differences(raw, read_again(text.encode(), is_old=is_old)) == []


@by_dialect
def test_every_kind_comes_back_from_every_dialect(dialect: str) -> None:
    write, is_old = DIALECTS[dialect]
    unwritable = set()
    for name, raw in DOCUMENTS.items():
        try:
            text = write(raw)
        except UnwritableError:
            unwritable.add(name)
            continue
        assert differences(raw, read_again(text.encode(), is_old=is_old)) == [], name
    assert unwritable == UNWRITABLE | (LEFT_TO_V2 if dialect == "v1" else set())


LEFT_TO_V2 = {"DBPointer"}
UNWRITABLE = {
    "double: NaN with a payload", "double: minus NaN", "decimal: minus NaN", "decimal: sNaN",
    "decimal: NaN with a payload", "decimal: over 34 digits",
    *(f"looks like: {name}" for name in LOOK_LIKE_TYPES if name.split()[0] in WORDS),
    "looks like: $regex",
}  # fmt: skip


@on_corpus
def test_the_specifications_documents() -> None:
    count = 0
    for file, description, case in cases("valid"):
        if (file, description) in LOSSY:
            continue
        raw = bytes.fromhex(case["canonical_bson"])
        assert read_again(case["canonical_extjson"].encode(), is_old=False) == raw, description
        if "relaxed_extjson" in case:
            found = read_again(case["relaxed_extjson"].encode(), is_old=False)
            assert differences(raw, found) == [], description
        if "degenerate_extjson" in case:
            is_regex = description == "flags not alphabetized"
            wanted = "degenerate_bson" if is_regex else "canonical_bson"
            found = read_again(case["degenerate_extjson"].encode(), is_old=False)
            assert found == bytes.fromhex(case[wanted]), description
            count += 1
    assert count == 324


@on_corpus
def test_the_specifications_errors() -> None:
    for file, description, case in cases("parseErrors"):
        text = case["string"]
        if file.startswith("decimal128"):
            text = json.dumps({"d": {"$numberDecimal": text}})
        with pytest.raises(ExtendedJsonError):
            pytest.fail(f"{description}: {read_again(text.encode(), is_old=False).hex()}")


OPTIONS: JSONOptions = JSONOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
OTHERS_IN_PYMONGO = re.compile(
    r'"\$(?:ref|regex|undefined|symbol|dbPointer|options|type|scope)"|-0(?![0-9.])'
    r'|"options": "(?!i?l?m?s?u?x?")'
)
"""What pymongo reads otherwise: kinds that it does not have, and words of version 1 in version 2."""


@pytest.mark.parametrize("dialect", ["canonical", "relaxed", "v1"])
@given(fields=drawn_fields)
def test_pymongo_reads_the_same(dialect: str, fields: list[Field]) -> None:
    write, is_old = DIALECTS[dialect]
    kept = [field for field in fields if is_writable(write, field)]
    for field in kept:
        text = write(write_document([(b"v", field[1])]))
        if not OTHERS_IN_PYMONGO.search(text) and not has_repeated_keys(text):
            found = read_again(text.encode(), is_old=is_old)
            assert differences(encode(loads(text, json_options=OPTIONS)), found) == [], text


def has_repeated_keys(text: str) -> bool:
    found = []

    def look(pairs: list[tuple[str, object]]) -> None:
        found.append(len(pairs) != len(dict(pairs)))

    json.loads(text, object_pairs_hook=look)
    return any(found)


@given(data=st.data())
def test_a_broken_text_is_read_or_refused(data: st.DataObject) -> None:
    raw = data.draw(st.sampled_from(sorted(DOCUMENTS.values())))
    write, is_old = data.draw(st.sampled_from(sorted(DIALECTS.values(), key=str)))
    try:
        text = bytearray(write(raw).encode())
    except UnwritableError:
        return
    for place in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=3)):
        text[place : place + 1] = data.draw(st.sampled_from(PIECES) | st.binary(max_size=2))
    try:
        found = read_again(bytes(text), is_old=is_old)
    except ExtendedJsonError:
        return
    check_document(found)
