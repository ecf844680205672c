"""Tests of the oracle itself, against the corpus of the BSON specification and files that others broke on purpose."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.oracle.equality import differences
from tests.oracle.walk import NotBson, parse

DATA = Path(os.environ.get("ASSISE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "mongo"
CORPUS = DATA / "spec_mongodb" / "bson-corpus" / "tests"
LIBBSON = DATA / "libbson_tests" / "src" / "libbson" / "tests" / "binary"
needs_data = pytest.mark.skipif(not CORPUS.exists(), reason=f"no data of others in {DATA}: set ASSISE_TEST_DATA")


def document(*fields: tuple[int, bytes, bytes]) -> bytes:
    body = b"".join(bytes([code]) + key + b"\0" + value for code, key, value in fields)
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
