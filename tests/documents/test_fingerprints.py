"""Fingerprints of many documents are those of each one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.strategies import documents
from tests.oracle.values import Element, write_array, write_document, write_scoped, write_text

from assise.documents.equality import fingerprint
from assise.documents.fingerprints import read_fingerprints
from assise.errors import InvalidBsonError
from assise.native import find_native

FIRST, SECOND = (0x10, b"\1\0\0\0"), (0x12, b"\2" + bytes(7))
TEXT = (0x02, b"\2\0\0\0x\0")


def one_by_one(documents: list[bytes]) -> list[bytes]:
    found = []
    for raw in documents:
        try:
            found.append(fingerprint(raw))
        except InvalidBsonError:
            found.append(b"")
    return found


@given(st.lists(documents(), min_size=1, max_size=4))
def test_documents_of_any_form_have_the_fingerprints_of_each(drawn: list[bytes]) -> None:
    # A changed byte makes some of them no BSON.
    broken = [raw[:-2] + b"\xaa\0" for raw in drawn if len(raw) > 6]
    given = [*drawn, *broken]
    for is_native in (True, False):
        assert read_fingerprints(given, is_native=is_native) == one_by_one(given)


@pytest.mark.skipif(find_native() is None, reason="assise-native is not installed")
def test_the_crate_digests_texts_of_any_length() -> None:
    def write(size: int) -> bytes:
        return write_document([(b"a", (0x02, write_text(b"x" * size)))])

    given = [write(size) for size in (*range(300), 10_000)]
    module = find_native()
    assert module is not None
    assert module.fingerprint(given) == one_by_one(given)
    deep = write_document([])
    for _ in range(60):
        deep = write_document([(b"a", (0x03, deep))])
    assert module.fingerprint([deep]) == [None]
    assert read_fingerprints([deep]) == one_by_one([deep])


def write_turned(n: int, *, is_turned: bool) -> bytes:
    """A document, or an equal one with other bytes."""

    def write(fields: list[tuple[bytes, Element]]) -> bytes:
        return write_document(fields[::-1] if is_turned else fields)

    inner = [(b"b", TEXT), (b"a", FIRST)]
    number = (0x12, n.to_bytes(8, "little")) if is_turned else (0x10, n.to_bytes(4, "little"))
    return write(
        [
            (b"_id", (0x03, write_document(inner))),
            (b"n", number),
            (b"in", (0x03, write(inner))),
            (b"list", (0x04, write_array([FIRST, TEXT, (0x03, write(inner))]))),
            (b"code", (0x0F, write_scoped(b"f", write(inner)))),
            (b"text", TEXT),
        ]
    )


def test_the_order_of_fields_and_the_width_of_ints_do_not_count() -> None:
    plain = [write_turned(n, is_turned=False) for n in range(40)]
    turned = [write_turned(n, is_turned=True) for n in range(40)]
    found = read_fingerprints(plain)
    assert found == read_fingerprints(turned) == one_by_one(plain) == one_by_one(turned)
    assert len(set(found)) == 40
    assert len(found[0]) == 16


def test_inside_of_an_id_the_order_counts() -> None:
    fields = [(b"a", FIRST), (b"b", SECOND)]
    one, other = (
        write_document([(b"_id", (0x03, write_document(f)))]) for f in (fields, fields[::-1])
    )
    found = read_fingerprints([one, other] * 20)
    assert len(set(found)) == 2
    one, other = (
        write_document([(b"id", (0x03, write_document(f)))]) for f in (fields, fields[::-1])
    )
    assert len(set(read_fingerprints([one, other] * 20))) == 1


def test_documents_that_are_not_bson_have_none() -> None:
    good = write_document([(b"a", FIRST)])
    assert read_fingerprints([good, b"\5\0\0\0\1", good]) == [
        fingerprint(good),
        b"",
        fingerprint(good),
    ]


def test_documents_without_fields_have_one_too() -> None:
    inner = (0x03, write_document([]))
    some = [write_document([(b"n", FIRST), (b"in", inner)] if n % 2 else []) for n in range(60)]
    for group in (some, some[::2], some[1::2]):
        assert read_fingerprints(group) == one_by_one(group)
