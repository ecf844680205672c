"""Texts that the crate reads: to the bytes of the exact parser, or declined."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import bson
import pytest
from bson import json_util
from hypothesis import given
from hypothesis import strategies as st
from tests.documents.corpus import CORPUS, cases
from tests.documents.drawn_texts import (
    DIALECTS,
    PIECES,
    Field,
    by_dialect,
    drawn_fields,
    writable_document,
)
from tests.peers.dialects import UnwritableError

from assise.documents.dialects.exact import read_exactly
from assise.documents.dialects.fast import read_plainly
from assise.documents.dialects.rules import Rules, Version
from assise.errors import ExtendedJsonError
from assise.native import find_native

NATIVE = find_native()
pytestmark = pytest.mark.skipif(NATIVE is None, reason="assise-native is not installed")


def read(texts: Sequence[bytes]) -> list[bytes | None]:
    assert NATIVE is not None
    found: list[bytes | None] = NATIVE.read_texts([*enumerate(texts)])
    return found


def check(text: bytes) -> bool:
    """Whether the crate reads a text; then as the exact parser does in both dialects."""
    (found,) = read([text])
    for dialect in Version if found is not None else ():
        rules = Rules(dialect)
        assert read_exactly(text, rules) == found
        assert not rules.guesses
    assert found is None or read_plainly(text) in {None, found}
    return found is not None


@by_dialect
@given(fields=drawn_fields)
def test_drawn_documents_of_every_dialect(dialect: str, fields: list[Field]) -> None:
    write, _ = DIALECTS[dialect]
    try:
        check(write(writable_document(write, fields)).encode())
    except UnwritableError:
        return


@given(
    fields=drawn_fields,
    at=st.floats(0, 1),
    piece=st.sampled_from(PIECES) | st.binary(max_size=2),
    cut=st.integers(0, 3),
)
def test_damaged_texts(fields: list[Field], at: float, piece: bytes, cut: int) -> None:
    write, _ = DIALECTS["relaxed"]
    text = write(writable_document(write, fields)).encode()
    start = int(at * len(text))
    damaged = text[:start] + piece + text[start + cut :]
    try:
        check(damaged)
    except ExtendedJsonError:
        pytest.fail(f"no document: {damaged!r}")


@given(st.text(), st.sampled_from(["", "$", "$$", "a"]))
def test_strings_and_keys(text: str, start: str) -> None:
    key = start + text
    for ascii_only in (True, False):
        check(json_util.dumps({"a": text}, ensure_ascii=ascii_only).encode("utf-8", "replace"))
        if "\0" not in key:
            written = json_util.dumps({key: 1}, ensure_ascii=ascii_only)
            check(written.encode("utf-8", "replace"))


@pytest.mark.skipif(not CORPUS.exists(), reason="no data of others: set ASSISE_TEST_DATA")
def test_the_corpus_of_the_specification() -> None:
    texts = [
        case[name].encode()
        for _, _, case in cases("valid")
        for name in ("canonical_extjson", "relaxed_extjson", "degenerate_extjson")
        if name in case
    ]
    assert 150 < sum(map(check, texts)) < len(texts)


NUMBERS = ["0", "-1", "2147483647", "2147483648", "-9223372036854775808", "1.0", "1e5", "-2.5E-3"]
DECLINED = [
    *("", " ", "[]", "1", "{", "{}x", '{"a"}', '{"a": 1,}', '{,"a": 1}', '{"a": [,1]}', "{a: 1}"),
    *('{"a": 1, "a": 2}', '{"a": {"b": 1, "c": 2, "b": 3}}', '{"\\u0061": 1, "a": 2}'),
    *('{"a": -0}', '{"a": 9223372036854775808}', '{"a": 1e400}', '{"a": 01}', '{"a": 1.}'),
    *('{"a": .5}', '{"a": +1}', '{"a": NaN}', '{"a": Infinity}', '{"a": 1e}', '{"a": --1}'),
    *(
        '{"a": "\t"}',
        '{"a": "\\x"}',
        '{"a": "\\ud800"}',
        '{"a": "\\udc00\\ud800"}',
        '{"a\\u0000": 1}',
    ),
    *('{"$oid": "507f1f77bcf86cd799439011"}', '{"\\u0024oid": "507f1f77bcf86cd799439011"}'),
    *('{"a": {"$oid": "507f1f77bcf86cd79943901"}}', '{"a": {"$oid": "507f1f77bcf86cd79943901g"}}'),
    *('{"a": {"$numberInt": "2147483648"}}', '{"a": {"$numberInt": "-0"}}'),
    *('{"a": {"$numberInt": "1", "b": 1}}', '{"a": {"b": 1, "$numberInt": "1"}}'),
    *('{"a": {"$numberLong": "9223372036854775808"}}', '{"a": {"$numberLong": 1}}'),
    *('{"a": {"$numberDouble": "NaN"}}', '{"a": {"$numberDouble": "1e999"}}'),
    *('{"a": {"$numberDecimal": "1E5"}}', '{"a": {"$numberDecimal": "1234567890123456"}}'),
    *('{"a": {"$date": "2024-02-30T00:00:00Z"}}', '{"a": {"$date": "2024-02-29T00:00:00"}}'),
    *('{"a": {"$date": "2024-02-29T00:00:00.1234Z"}}', '{"a": {"$date": "2024-02-29"}}'),
    *('{"a": {"$date": "2024-02-29T00:00:00+01:00"}}', '{"a": {"$date": 5}}'),
    *('{"a": {"$ref": "b", "$id": 1}}', '{"a": {"$uuid": "x"}}', '{"a": {"$undefined": true}}'),
]


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers(number: str) -> None:
    assert check(f'{{"a": {number}, "b": [{number}]}}'.encode())


@pytest.mark.parametrize("text", DECLINED)
def test_what_is_declined(text: str) -> None:
    assert read([text.encode()]) == [None]


@pytest.mark.parametrize(
    "decimal", ["0", "-0", "1.10", "007.50", "-999999999999999.999999999999999"]
)
def test_decimals(decimal: str) -> None:
    assert check(b'{"a": {"$numberDecimal": "%b"}}' % decimal.encode())


def test_what_is_declined_moves_no_other_document() -> None:
    texts = [b'{"a": 1}', b'{"b": [1, {"c": -0}]}', b"{}", b"", b'{"a": "\xff"}', b'{"d": 2}']
    assert read(texts) == [
        *(bson.encode({"a": 1}), None, bson.encode({}), None, None, bson.encode({"d": 2}))
    ]


def test_depth_and_size() -> None:
    assert check(b'{"a": ' * 90 + b"1" + b"}" * 90)
    assert not check(b'{"a": ' * 150 + b"1" + b"}" * 150)
    large = b'{"a": "' + b"x" * (16 << 20) + b'"}'
    assert check(large[: 15 << 20] + b'"}')
    assert read([large]) != [None]
    assert read([b'{"a": "' + b"x" * (17 << 20) + b'"}']) == [None]


def test_a_text_of_too_much_is_given_up_while_it_is_read() -> None:
    program = """if True:
        from assise.native import find_native
        text = b'{"a": [' + b"1," * (12 << 20) + b"1]}"
        assert find_native().read_texts([(0, text)]) == [None]
        status = open("/proc/self/status").read()
        print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
    """
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    assert int(done.stdout) < 160
