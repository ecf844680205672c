"""Hypothesis strategies of files: documents, garbage, and documents that were cut or changed."""

from __future__ import annotations

from hypothesis import strategies as st
from tests.oracle.strategies import documents
from tests.oracle.values import write_document, write_text

EMPTY = b"\5\0\0\0\0"
ONE = write_document([(b"a", (0x02, write_text(b"one")))])
GARBAGE = [
    b"\0",
    b"\1",
    b"\xff" * 7,
    b"\5\0\0\0",
    b"\5\0\0\0\1",
    b"\4\0\0\0\0",
    b"\x10\0\0\0",
    b"\0\0\0\1\0\0",
    b"\5\0\0",
    b"\n\0\0\0a",
]
ODD_BYTES = b"\x00\x01\x05\x10\xff"
BLOCKS = st.lists(
    st.integers(1, 9) | st.integers(1, 1000),
    min_size=1,
    max_size=4,
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Documents, garbage and documents that were cut or changed, one after the other."""
    small = st.sampled_from([EMPTY, ONE]) | documents().filter(lambda raw: len(raw) < 400)
    cut = st.builds(lambda raw, size: raw[:size], small, st.integers(0, 400))
    changed = st.builds(change_byte, small, st.integers(0, 399), st.sampled_from(ODD_BYTES))
    lengths = st.lists(st.sampled_from(b"\0\1\4\5\6\xff"), max_size=12).map(bytes)
    garbage = st.sampled_from(GARBAGE) | st.binary(max_size=12) | lengths
    parts = st.one_of(small, small, cut, changed, garbage)
    return b"".join(draw(st.lists(parts, max_size=7)))


def change_byte(raw: bytes, place: int, byte: int) -> bytes:
    at = place % len(raw)
    return raw[:at] + bytes([byte]) + raw[at + 1 :]
