"""Framing: documents, garbage and truncated ends, as the tests' own walker frames them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from itertools import accumulate
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mongo.files import BLOCKS, EMPTY, ODD_BYTES, ONE, files
from tests.oracle.values import write_document, write_int32, write_scoped, write_text
from tests.oracle.walk import frames

from assise.documents.reader import check_document
from assise.errors import InvalidBsonError
from assise.mongo.frames import (
    KEPT_OF_LONGER,
    KEPT_WHOLE,
    LARGEST,
    PackedDocuments,
    Run,
    Stream,
    cut_documents,
    find_borders,
    read_frames,
    read_stops,
)
from assise.native import find_native
from assise.rows.model import Document


class OddStream:
    """Gives blocks of the sizes it is told, over and over, and never more than asked for."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.rest, self.sizes, self.turn = memoryview(data), sizes, 0

    def read(self, size: int, /) -> bytes:
        give = min(size, self.sizes[self.turn % len(self.sizes)])
        self.turn += 1
        block, self.rest = self.rest[:give], self.rest[give:]
        return bytes(block)


def list_frames(stream: Stream, offset: int = 0) -> list[Document | Run]:
    """Documents and runs one by one."""
    return [
        frame
        for found in read_frames(stream, offset)
        for frame in ([found] if isinstance(found, Run) else found)
    ]


def kind_of(frame: Document | Run) -> str:
    if isinstance(frame, Run):
        return "garbage"
    try:
        check_document(frame[1])
    except InvalidBsonError:
        return "invalid"
    return "document"


def found_in(
    data: bytes, sizes: list[int] | None = None, offset: int = 0
) -> list[tuple[str, int, int]]:
    def stream() -> Stream:
        return OddStream(data, sizes) if sizes else BytesIO(data)

    found = []
    for frame in list_frames(stream(), offset):
        start, raw = (frame.offset, frame.raw) if isinstance(frame, Run) else frame
        assert raw == data[start - offset : start - offset + len(raw)]
        assert not isinstance(frame, Run) or (frame.digest, frame.size) == (
            sha256(raw).digest(),
            len(raw),
        )
        found.append((kind_of(frame), start, start + len(raw)))
    stops = [stop for _, _, stop in found]
    assert [stop for some in read_stops(stream(), offset) for stop in some] == stops
    return found


@given(files(), BLOCKS)
def test_files_are_framed_as_the_tests_own_walker_does_whatever_blocks_a_stream_gives(
    data: bytes, sizes: list[int]
) -> None:
    expected = frames(data)
    assert found_in(data, sizes) == expected
    assert found_in(data) == expected
    later = found_in(data, sizes, 7)
    assert [(kind, start - 7, end - 7) for kind, start, end in later] == expected


@pytest.mark.skipif(find_native() is None, reason="assise-native is not installed")
@given(files(), st.integers(0, 200), st.integers(0, 400))
def test_the_crate_finds_and_cuts_what_python_does(data: bytes, start: int, stop: int) -> None:
    native = find_native()
    assert native is not None
    for limit in (stop, len(data)):
        borders = find_borders(data, start, limit)
        assert native.find_borders(data, start, limit) == borders
        cut = cut_documents(data, 7, borders)
        assert native.cut_documents(data, 7, borders) == cut
        assert b"".join(raw for _, raw in cut) == data[start : borders[-1]]


@pytest.mark.skipif(find_native() is None, reason="assise-native is not installed")
@pytest.mark.parametrize("size", [4, 5, LARGEST, LARGEST + 1, -1])
def test_the_crate_takes_lengths_as_python_does(size: int) -> None:
    native = find_native()
    assert native is not None
    data = EMPTY + size.to_bytes(4, "little", signed=True) + bytes(max(0, size - 4)) + EMPTY
    expected = find_borders(data, 0, len(data))
    assert native.find_borders(data, 0, len(data)) == expected
    assert (len(expected) > 2) == (5 <= size <= LARGEST)


LONG_OPTIONS = b"\0" + b"a" * 40 + b"\0"
KEYS = st.sampled_from([b"", b"", b"", b"0", b"\x03\x03", b"a" * 30])
NUMBERS = st.sampled_from([0, 1, 4, 5, 8, 12]) | st.integers(0, 120)


@st.composite
def lists(draw: st.DrawFn, depth: int = 0) -> bytes:
    """Elements in a row, with right and wrong lengths: most positions can be a beginning."""
    kinds = st.sampled_from(b"\x10\x10\x0a\x01\x08\x02\x05\x0b\x0f\x03\x04\x03")
    found = []
    for kind in draw(st.lists(kinds, max_size=8)):
        number = write_int32(draw(NUMBERS))
        match kind:
            case 0x10:
                value = number
            case 0x01:
                value = number + write_int32(draw(NUMBERS))
            case 0x08:
                value = draw(st.sampled_from([b"\0", b"\1", b"\1", b"\2"]))
            case 0x02 | 0x05:
                value = draw(
                    st.sampled_from(
                        [
                            write_text(b"one"),
                            write_text(b""),
                            b"\5\0\0\0\2\1\0\0\0a",
                            b"\4\0\0\0\0aaaa",
                            number + b"\2",
                            number,
                        ]
                    )
                )
            case 0x0B:
                value = draw(st.sampled_from([b"\0\0", LONG_OPTIONS, b"a"]))
            case 0x0F:
                value = draw(
                    st.sampled_from(
                        [
                            write_scoped(b"a", EMPTY),
                            write_scoped(b"", ONE),
                            number + write_text(b"") + EMPTY,
                        ]
                    )
                )
            case 0x03 | 0x04:
                inside = draw(lists(depth + 1)) if depth < 4 else b""
                right = write_int32(len(inside) + 5)
                value = draw(st.sampled_from([right] * 3 + [number])) + inside + b"\0"
            case _:
                value = b""
        found.append(bytes([kind]) + draw(KEYS) + b"\0" + value)
    return b"".join(found)


@st.composite
def hostile_files(draw: st.DrawFn) -> bytes:
    """Files in which most bytes can begin a document.

    They are lists of elements after right and wrong lengths, cut, changed and repeated.
    """
    one = st.builds(write_enclosed, lists(), st.sampled_from([True, True, True, False]))
    parts = st.one_of(one, lists(), NUMBERS.map(write_int32), files())
    data = b"".join(draw(st.lists(parts, min_size=1, max_size=5)))
    data *= draw(st.integers(1, 3))
    changes = st.tuples(st.integers(0, 2000), st.sampled_from(ODD_BYTES))
    for place, byte in draw(st.lists(changes, max_size=3)):
        at = place % (len(data) + 1)
        data = data[:at] + bytes([byte]) + data[at + 1 :]
    return data


def write_enclosed(inside: bytes, is_right: bool) -> bytes:
    size = len(inside) + 5 if is_right else 90
    return write_int32(size) + inside + b"\0"


@given(
    hostile_files(),
    BLOCKS,
    st.sampled_from([20, 60, 150, LARGEST]),
)
def test_what_the_walks_have_found_changes_no_frame(
    data: bytes, sizes: list[int], largest: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assise.mongo.frames.LARGEST", largest)
        patch.setattr("tests.oracle.walk.MAX_DOCUMENT", largest)
        expected = frames(data)
        assert found_in(data) == expected
        patch.setattr("assise.mongo.frames._BLOCK", 32)
        patch.setattr("assise.mongo.frames._STRIDE", 16)
        assert found_in(data, sizes) == expected
        later = found_in(data, sizes, 7)
        assert [(kind, start - 7, end - 7) for kind, start, end in later] == expected


@pytest.mark.parametrize(
    "element",
    [
        b"\2\0" + write_text(b"\0" + EMPTY + b"y" * 99),
        b"\5\0" + write_int32(105) + b"\0\0" + EMPTY + b"y" * 99,
        b"\5\0" + write_int32(109) + b"\2" + write_int32(105) + b"\0" + EMPTY + b"y" * 99,
        b"\x0a\0\x10\0\0\0\0\0\x0a\0\x0a\0" + b"\2\0" + write_text(b"\0" + EMPTY),
        b"\x0a"
        + b"a" * 99
        + b"\0"
        + b"\x0a"
        + b"b" * 50
        + b"\0"
        + b"\2\0"
        + write_text(b"\0" + EMPTY),
        b"\x0b"
        + b"a" * 60
        + b"\0"
        + b"b" * 60
        + b"\0"
        + b"c" * 60
        + b"\0"
        + b"\2\0"
        + write_text(b"\0" + EMPTY),
        b"\3\0"
        + write_document([(b"a", (0x02, write_text(b"one")))] * 3)
        + b"\2\0"
        + write_text(b"\0" + EMPTY),
    ],
)
def test_a_document_resumes_whose_elements_were_walked_for_one_that_ends_inside(
    element: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The int32 before a document has its length as value: garbage leads to its first element."""
    monkeypatch.setattr("assise.mongo.frames._BLOCK", 32)
    monkeypatch.setattr("assise.mongo.frames._STRIDE", 16)
    whole = write_int32(len(element) + 5) + element + b"\0"
    inside = whole.index(b"\0" + EMPTY, 4)
    shorter = write_int32(inside + 7) + b"\x10\0"
    for before in range(1, 70):
        data = (b"\xff" * before + shorter + whole + EMPTY) * 3
        kinds = [kind for kind, _, _ in frames(data)]
        assert kinds == ["garbage", "document", "document"] * 3
        assert found_in(data, [7]) == frames(data)


WORST: dict[str, Callable[[], bytes]] = {
    "ints": lambda: b"".join(b"\x10%d\0" % i + write_int32(i) for i in range(500_000)),
    "strings": lambda: b"\2key\0\6\0\0\0hello\0" * 350_000,
    "nested": lambda: (
        b"".join(write_int32(size) + b"\3\0" for size in range(4 << 20, 64304, -7))
        + EMPTY
        + b"\1"
        + bytes(590_000)
    ),
    "keys": lambda: (
        (write_int32(3 << 20) + b"\x0a\0\5aaaaaaaaa") * 60_000 + b"a" * (3 << 20) + bytes(1 << 20)
    ),
}


@pytest.mark.parametrize("name", WORST)
def test_garbage_full_of_possible_lengths_is_read_in_about_linear_time(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assise.mongo.frames.LARGEST", 4 << 20)
    data = b"\xff" * 4 + WORST[name]() + b"\xff"
    start = process_time()
    runs = [frame for frame in list_frames(BytesIO(data)) if isinstance(frame, Run)]
    assert [run.size for run in runs] == [len(data)]
    assert process_time() - start < 20


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (EMPTY, [("document", 0, 5)]),
        (EMPTY + ONE, [("document", 0, 5), ("document", 5, 21)]),
        (b"\1", [("garbage", 0, 1)]),
        (ONE[:-1], [("garbage", 0, 15)]),
        (EMPTY + ONE[:-1], [("document", 0, 5), ("garbage", 5, 20)]),
        (
            EMPTY + b"\1\2\3" + ONE,
            [
                ("document", 0, 5),
                ("garbage", 5, 8),
                ("document", 8, 24),
            ],
        ),
        (EMPTY + b"\0", [("document", 0, 5), ("garbage", 5, 6)]),
        (b"\6\0\0\0\1\0" + ONE, [("invalid", 0, 6), ("document", 6, 22)]),
        (b"\xff" + EMPTY + b"\xff", [("garbage", 0, 7)]),
        (
            b"\xff" + EMPTY + ONE + b"\xff",
            [
                ("garbage", 0, 1),
                ("document", 1, 6),
                ("document", 6, 22),
                ("garbage", 22, 23),
            ],
        ),
        (b"\xff" + b"\6\0\0\0\1\0" + EMPTY, [("garbage", 0, 7), ("document", 7, 12)]),
    ],
)
def test_small_files_frame_like_this(data: bytes, expected: list[tuple[str, int, int]]) -> None:
    assert found_in(data) == expected == frames(data)


def test_the_largest_document_frames_and_one_byte_more_does_not() -> None:
    def sized(size: int) -> bytes:
        binary = write_int32(size - 13) + b"\0" + bytes(size - 13)
        return write_document([(b"a", (0x05, binary))])

    largest = sized(LARGEST)
    assert len(largest) == LARGEST == (16 << 20) + (16 << 10)
    assert list_frames(OddStream(largest, [1 << 20])) == [(0, largest)]
    [run] = list_frames(BytesIO(sized(LARGEST + 1)))
    assert isinstance(run, Run)
    assert (run.size, len(run.raw)) == (LARGEST + 1, KEPT_OF_LONGER)


def test_a_run_over_16_mib_keeps_place_length_digest_and_its_first_64_kib() -> None:
    for size in (KEPT_WHOLE, KEPT_WHOLE + 1):
        data = b"\xfe" * size
        first, run, last = list_frames(BytesIO(EMPTY + data + ONE))
        assert (first, last) == ((0, EMPTY), (5 + size, ONE))
        assert isinstance(run, Run)
        assert (run.offset, run.size, run.digest) == (5, size, sha256(data).digest())
        assert run.raw == (data if size == KEPT_WHOLE else data[: 64 << 10])


def test_framing_holds_one_block_and_one_document_not_the_file() -> None:
    taken = 0

    class Endless:
        def read(self, size: int, /) -> bytes:
            nonlocal taken
            taken += size
            return (
                (ONE * (size // len(ONE) + 1))[:size]
                if size % len(ONE) == 0
                else ONE * (size // len(ONE))
            )

    found = read_frames(Endless())
    for _ in range(2):
        some = next(found)
        assert not isinstance(some, Run)
        assert {raw for _, raw in some} == {ONE}
    assert taken <= 3 << 20


def test_packed_documents_are_split_behind_each_size() -> None:
    documents = [b"%b%b\0" % (struct.pack("<i", 5 + n), bytes(n)) for n in (0, 1, 9, 0, 200, 3, 0)]
    borders = [3, *(3 + stop for stop in accumulate(map(len, documents)))]
    data = b"abc" + b"".join(documents) + b"rest"
    packed = PackedDocuments([(data, 100, borders[:4]), (data, 100, borders[3:])])
    for size in (1, 5, 6, 11, 12, 25, 1000):
        parts = list(packed.split(size))
        assert [document for part in parts for document in part] == [*packed]
        # Only the last part of a piece may be smaller, and none is larger without its last one.
        ends = [3, len(documents)]
        read = 0
        for part in parts:
            sizes = [len(raw) for _, raw in part]
            read += len(part)
            assert sum(sizes) >= size or read in ends
            assert sum(sizes[:-1]) < size
