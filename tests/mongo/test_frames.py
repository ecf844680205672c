"""Framing: documents, garbage and truncated ends, as the tests' own walker frames them."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.strategies import documents
from tests.oracle.values import write_document, write_text
from tests.oracle.walk import frames

from assise.documents.reader import check_document
from assise.errors import InvalidBsonError
from assise.mongo.frames import KEPT_OF_LONGER, KEPT_WHOLE, LARGEST, Frame, read_frames

EMPTY = b"\5\0\0\0\0"
ONE = write_document([(b"a", (0x02, write_text(b"one")))])
GARBAGE = [b"\0", b"\1", b"\xff" * 7, b"\5\0\0\0", b"\5\0\0\0\1", b"\4\0\0\0\0", b"\x10\0\0\0", b"\0\0\0\1\0\0", b"\5\0\0", b"\n\0\0\0a"]


class OddStream:
    """Gives blocks of the sizes it is told, over and over, and never more than asked for."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.rest, self.sizes, self.turn = memoryview(data), sizes, 0

    def read(self, size: int, /) -> bytes:
        give = min(size, self.sizes[self.turn % len(self.sizes)])
        self.turn += 1
        block, self.rest = self.rest[:give], self.rest[give:]
        return bytes(block)


def kind_of(frame: Frame) -> str:
    if not frame.is_document:
        return "garbage"
    try:
        check_document(frame.raw)
    except InvalidBsonError:
        return "invalid"
    return "document"


def found_in(data: bytes, sizes: list[int] | None = None, offset: int = 0) -> list[tuple[str, int, int]]:
    stream = OddStream(data, sizes) if sizes else BytesIO(data)
    found = list(read_frames(stream, offset))
    assert b"".join(frame.raw for frame in found) == data
    for frame in found:
        assert frame.digest == (b"" if frame.is_document else sha256(frame.raw).digest())
        assert frame.size == len(frame.raw)
    return [(kind_of(frame), frame.offset, frame.offset + frame.size) for frame in found]


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Documents, garbage and documents that were cut or changed, one after the other."""
    small = st.sampled_from([EMPTY, ONE]) | documents().filter(lambda raw: len(raw) < 400)
    cut = st.tuples(small, st.integers(0, 400)).map(lambda pair: pair[0][: pair[1]])
    changed = st.tuples(small, st.integers(0, 399), st.sampled_from([0, 1, 5, 0x10, 0xFF])).map(
        lambda found: found[0][: found[1] % len(found[0])] + bytes([found[2]]) + found[0][found[1] % len(found[0]) + 1 :]
    )
    garbage = st.sampled_from(GARBAGE) | st.binary(max_size=12) | st.lists(st.sampled_from([0, 1, 4, 5, 6, 255]), max_size=12).map(bytes)
    return b"".join(draw(st.lists(st.one_of(small, small, cut, changed, garbage), max_size=7)))


@given(files(), st.lists(st.integers(1, 9) | st.integers(1, 1000), min_size=1, max_size=4))
def test_files_are_framed_as_the_tests_own_walker_does_whatever_blocks_a_stream_gives(data: bytes, sizes: list[int]) -> None:
    expected = frames(data)
    assert found_in(data, sizes) == expected
    assert found_in(data) == expected
    assert [(kind, start - 7, end - 7) for kind, start, end in found_in(data, sizes, 7)] == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (EMPTY, [("document", 0, 5)]),
        (EMPTY + ONE, [("document", 0, 5), ("document", 5, 21)]),
        (b"\1", [("garbage", 0, 1)]),
        (ONE[:-1], [("garbage", 0, 15)]),
        (EMPTY + ONE[:-1], [("document", 0, 5), ("garbage", 5, 20)]),
        (EMPTY + b"\1\2\3" + ONE, [("document", 0, 5), ("garbage", 5, 8), ("document", 8, 24)]),
        (EMPTY + b"\0", [("document", 0, 5), ("garbage", 5, 6)]),
        (b"\6\0\0\0\1\0" + ONE, [("invalid", 0, 6), ("document", 6, 22)]),
        (b"\xff" + EMPTY + b"\xff", [("garbage", 0, 7)]),
        (b"\xff" + EMPTY + ONE + b"\xff", [("garbage", 0, 1), ("document", 1, 6), ("document", 6, 22), ("garbage", 22, 23)]),
        (b"\xff" + b"\6\0\0\0\1\0" + EMPTY, [("garbage", 0, 7), ("document", 7, 12)]),
    ],
)
def test_small_files_frame_like_this(data: bytes, expected: list[tuple[str, int, int]]) -> None:
    assert found_in(data) == expected == frames(data)


def test_the_largest_document_frames_and_one_byte_more_does_not() -> None:
    def sized(size: int) -> bytes:
        return write_document([(b"a", (0x05, (size - 13).to_bytes(4, "little") + b"\0" + bytes(size - 13)))])

    largest = sized(LARGEST)
    assert len(largest) == LARGEST == (16 << 20) + (16 << 10)
    [whole] = read_frames(OddStream(largest, [1 << 20]))
    assert (whole.is_document, whole.size) == (True, LARGEST)
    [run] = read_frames(BytesIO(sized(LARGEST + 1)))
    assert (run.is_document, run.size, len(run.raw)) == (False, LARGEST + 1, KEPT_OF_LONGER)


def test_a_run_over_16_mib_keeps_place_length_digest_and_its_first_64_kib() -> None:
    for size in (KEPT_WHOLE, KEPT_WHOLE + 1):
        data = b"\xfe" * size
        first, run, last = read_frames(BytesIO(EMPTY + data + ONE))
        assert (first.raw, last.raw, last.offset) == (EMPTY, ONE, 5 + size)
        assert (run.offset, run.size, run.digest, run.is_document) == (5, size, sha256(data).digest(), False)
        assert run.raw == (data if size == KEPT_WHOLE else data[: 64 << 10])


def test_framing_holds_one_block_and_one_document_not_the_file() -> None:
    taken = 0

    class Endless:
        def read(self, size: int, /) -> bytes:
            nonlocal taken
            taken += size
            return (ONE * (size // len(ONE) + 1))[:size] if size % len(ONE) == 0 else ONE * (size // len(ONE))

    found: Iterator[Frame] = read_frames(Endless())
    for _ in range(1000):
        assert next(found).raw == ONE
    assert taken <= 2 << 20
