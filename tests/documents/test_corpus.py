"""The driver specification's corpus of BSON and Extended JSON.

It has 728 documents, 75 byte strings that are not BSON, 180 texts that are not Extended JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from math import copysign

import pytest
from tests.documents.corpus import CORPUS, LOSSY, Case, cases

from assise.documents.equality import are_equal
from assise.documents.extjson import CANONICAL, JSONB, RELAXED, write_json
from assise.documents.extjson_reader import read_json, read_value
from assise.documents.kinds import DOCUMENT
from assise.documents.reader import check_document
from assise.errors import ExtendedJsonError, InvalidBsonError

pytestmark = pytest.mark.skipif(
    not CORPUS.exists(), reason=f"no data of others in {CORPUS}: set ASSISE_TEST_DATA"
)


def is_lossy(case: Case) -> bool:
    return bool(case[2].get("lossy"))


def normal(text: str) -> object:
    """JSON with doubles as values, told apart from ints and from each other by sign and NaN."""

    def value_of(found: dict[str, object]) -> object:
        number = found.get("$numberDouble")
        return {"$numberDouble": _sign(float(number))} if isinstance(number, str) else found

    return json.loads(
        text, object_hook=value_of, parse_float=lambda number: {"float": _sign(float(number))}
    )


def _sign(number: float) -> tuple[str, float]:
    return repr(number), copysign(1, number)


def test_the_corpus_is_whole() -> None:
    expected = {"valid": 728, "decodeErrors": 75, "parseErrors": 180}
    assert {section: len(list(cases(section))) for section in expected} == expected
    assert (
        Counter(
            (file, description)
            for file, description, case in cases("valid")
            if is_lossy((file, description, case))
        )
        == LOSSY
    )


def test_every_valid_document_is_bson() -> None:
    for _, _, case in cases("valid"):
        for name in ("canonical_bson", "degenerate_bson", "converted_bson"):
            check_document(bytes.fromhex(case.get(name, "0500000000")))


def test_both_dialects_are_the_vectors() -> None:
    relaxed = 0
    for case in cases("valid"):
        if is_lossy(case) and case[:2] != ("double", "NaN"):
            continue
        raw, vector = bytes.fromhex(case[2]["canonical_bson"]), case[2]
        assert normal(write_json(raw, CANONICAL)) == normal(vector["canonical_extjson"]), case
        if "relaxed_extjson" in vector:
            assert normal(write_json(raw, RELAXED)) == normal(vector["relaxed_extjson"]), case
            relaxed += 1
    assert relaxed == 26


def test_every_text_of_ours_reads_back_to_the_same_bytes() -> None:
    for file, description, case in cases("valid"):
        raw = bytes.fromhex(case["canonical_bson"])
        assert read_json(write_json(raw, CANONICAL)) == raw, (file, description)
        assert are_equal(read_json(write_json(raw, RELAXED)), raw), (file, description)
        kind, value = read_value(json.loads(write_json(raw, JSONB)))
        assert (kind, are_equal(value, raw)) == (DOCUMENT, True), (file, description)


def test_where_the_specification_loses_bytes_an_escape_keeps_them() -> None:
    escaped = 0
    for file, description, case in cases("valid"):
        if not case.get("lossy") or description == "NaN":
            continue
        raw = bytes.fromhex(case["canonical_bson"])
        for dialect in (CANONICAL, RELAXED, JSONB):
            assert json.loads(write_json(raw, dialect)).popitem()[1].keys() == {"$bson"}, (
                file,
                description,
            )
        assert read_json(write_json(raw)) == raw
        escaped += 1
    assert escaped == 9


def test_the_vectors_read_back_to_their_bytes() -> None:
    for case in cases("valid"):
        file, description, vector = case
        raw = bytes.fromhex(vector["canonical_bson"])
        if is_lossy(case):
            assert read_json(vector["canonical_extjson"]) != raw or description == "NaN"
            continue
        assert read_json(vector["canonical_extjson"]) == raw, (file, description)
        if "relaxed_extjson" in vector:
            assert are_equal(read_json(vector["relaxed_extjson"]), raw), (file, description)


def test_degenerate_texts_read_to_the_canonical_bytes() -> None:
    seen = 0
    for file, description, case in cases("valid"):
        text = case.get("degenerate_extjson")
        if text is None:
            continue
        seen += 1
        wanted = "degenerate_bson" if description == "flags not alphabetized" else "canonical_bson"
        assert read_json(text) == bytes.fromhex(case[wanted]), (file, description)
    assert seen == 325


def test_the_key_texts_of_arrays_are_not_kept_and_the_options_of_a_regex_are() -> None:
    seen = Counter[str]()
    for file, _, case in cases("valid"):
        if "degenerate_bson" not in case:
            continue
        seen[file] += 1
        raw, canonical = (
            bytes.fromhex(case["degenerate_bson"]),
            bytes.fromhex(case["canonical_bson"]),
        )
        assert are_equal(raw, canonical) == (file == "array")
        assert read_json(write_json(raw)) == (canonical if file == "array" else raw)
    assert seen == {"array": 3, "regex": 1}


def test_what_the_corpus_refuses_is_refused_except_invalid_utf8_whose_bytes_are_kept() -> None:
    kept = []
    for file, description, case in cases("decodeErrors"):
        raw = bytes.fromhex(case["bson"])
        if "utf-8" in description.lower():
            check_document(raw)
            for dialect in (CANONICAL, RELAXED):
                text = write_json(raw, dialect)
                assert json.loads(text).popitem()[1].keys() == {"$bson"}
                assert read_json(text) == raw
            assert read_value(json.loads(write_json(raw, JSONB)))[1] == raw
            kept.append(file)
            continue
        with pytest.raises(InvalidBsonError):
            check_document(raw)
        with pytest.raises(InvalidBsonError):
            write_json(raw)
    assert kept == ["code", "dbpointer", "string", "symbol"]


def test_every_text_that_is_no_extended_json_is_refused() -> None:
    for file, description, case in cases("parseErrors"):
        text = (
            json.dumps({"d": {"$numberDecimal": case["string"]}})
            if file.startswith("decimal128")
            else case["string"]
        )
        try:
            found = read_json(text)
        except ExtendedJsonError:
            continue
        pytest.fail(f"{file}, {description}: {text} was read as {found.hex()}")
