"""Files of documents, garbage and documents that were cut or changed."""

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


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Documents, garbage and documents that were cut or changed, one after the other."""
    small = st.sampled_from([EMPTY, ONE]) | documents().filter(lambda raw: len(raw) < 400)
    cut = st.tuples(small, st.integers(0, 400)).map(lambda pair: pair[0][: pair[1]])
    changed = st.tuples(small, st.integers(0, 399), st.sampled_from([0, 1, 5, 0x10, 0xFF])).map(
        lambda found: (
            found[0][: found[1] % len(found[0])]
            + bytes([found[2]])
            + found[0][found[1] % len(found[0]) + 1 :]
        )
    )
    garbage = (
        st.sampled_from(GARBAGE)
        | st.binary(max_size=12)
        | st.lists(st.sampled_from([0, 1, 4, 5, 6, 255]), max_size=12).map(bytes)
    )
    return b"".join(draw(st.lists(st.one_of(small, small, cut, changed, garbage), max_size=7)))
