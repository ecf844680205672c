"""Two readers of Extended JSON that share no code agree on every text, well written or broken."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.documents.drawn_texts import (
    DIALECTS,
    PIECES,
    by_dialect,
    drawn_fields,
    is_writable,
    writable_document,
)
from tests.documents.texts import REFUSED, SHELL
from tests.peers.dialects import UnwritableError
from tests.peers.documents import DOCUMENTS
from tests.peers.writers import WRITERS, Writer

from assise.documents.dialects.fast import read_document
from assise.documents.dialects.rules import Rules, Version
from assise.documents.reread.reader import read_again
from assise.errors import ExtendedJsonError

PARIS, NEW_YORK = ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York")
Field = tuple[bytes, tuple[int, bytes]]


def read_first(text: bytes, *, is_old: bool) -> bytes | None:
    """What the first reader makes of a text; None when it refuses it."""
    try:
        return read_document(text, Rules(Version.V1 if is_old else Version.V2))
    except ExtendedJsonError:
        return None


def read_second(text: bytes, *, is_old: bool) -> bytes | None:
    """What the second reader makes of a text; None when it refuses it."""
    try:
        return read_again(text, is_old=is_old)
    except ExtendedJsonError:
        return None


def check_agreement(text: bytes) -> bool:
    """Check that both read a text to the same bytes, or refuse it; whether they refuse it."""
    for is_old in (False, True):
        assert read_first(text, is_old=is_old) == read_second(text, is_old=is_old), text[:400]
    return read_second(text, is_old=True) is None


@by_dialect
@given(fields=drawn_fields)
def test_they_agree_on_every_dialect(dialect: str, fields: list[Field]) -> None:
    write, _ = DIALECTS[dialect]
    try:
        text = write(writable_document(write, fields))
    except UnwritableError:
        return
    assert not check_agreement(text.encode())


@by_dialect
@given(fields=drawn_fields, data=st.data())
def test_they_agree_on_broken_texts(dialect: str, fields: list[Field], data: st.DataObject) -> None:
    write, _ = DIALECTS[dialect]
    kept = [field for field in fields if is_writable(write, field)]
    try:
        text = bytearray(write(writable_document(write, kept[:3])).encode())
    except UnwritableError:
        return
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(len(text) - 1, 0)))
        size = data.draw(st.integers(0, 2))
        text[place : place + size] = data.draw(st.sampled_from(PIECES) | st.binary(max_size=2))
    check_agreement(bytes(text))


def test_they_agree_on_every_document_with_one_change_at_each_place() -> None:
    results = Counter[bool]()
    for dialect, (write, _) in DIALECTS.items():
        for number, raw in enumerate(DOCUMENTS.values()):
            try:
                text = write(raw).encode()
            except UnwritableError:
                continue
            for place in range(10, len(text)):
                piece = PIECES[(place + number + len(dialect)) % len(PIECES)]
                results[check_agreement(text[:place] + piece + text[place + 1 :])] += 1
    assert results[True] > 10_000
    assert results[False] > 10_000


@given(st.datetimes(), st.sampled_from(["", ":07", ":07.5", ":07.123456", "+0130", "-12", "Z"]))
def test_they_agree_on_dates_without_a_zone(moment: datetime, rest: str) -> None:
    iso = f"{moment:%Y-%m-%dT%H:%M}".rjust(16, "0") + rest
    text = f'{{"a": {{"$date": "{iso}"}}, b: ISODate("{iso}"), c: Date("{iso[:10]}")}}'.encode()
    for zone in (PARIS, NEW_YORK):
        first = read_document(text, Rules(Version.V2, zone))
        assert first == read_again(text, is_old=False, zone=zone)


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
def test_they_agree_on_what_others_write(writer: Writer) -> None:
    for line in writer.lines():
        check_agreement(line.encode())


def test_they_agree_on_texts_by_hand() -> None:
    for text in REFUSED:
        check_agreement(text.encode())
    for text in SHELL:
        assert not check_agreement(b"{v: %b}" % text.encode())
