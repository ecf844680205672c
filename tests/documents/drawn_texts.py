"""Documents drawn for texts of every dialect."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import strategies as st
from tests.oracle import values
from tests.oracle.values import write_document
from tests.peers.dialects import (
    UnwritableError,
    write_canonical,
    write_old,
    write_relaxed,
    write_shell,
)

Write = Callable[[bytes], str]


Field = tuple[bytes, values.Element]


DIALECTS: dict[str, tuple[Write, bool]] = {
    "canonical": (write_canonical, False),
    "relaxed": (write_relaxed, False),
    "v1": (write_old, True),
    "shell": (write_shell, True),
}


by_dialect = pytest.mark.parametrize("dialect", DIALECTS)


drawn_fields = st.lists(st.tuples(values.keys, values.anything), max_size=6)


def is_writable(write: Write, field: Field) -> bool:
    try:
        write(write_document([field]))
    except UnwritableError:
        return False
    return True


def writable_document(write: Write, fields: list[Field]) -> bytes:
    """A document of the fields that a dialect can hold."""
    return write_document(field for field in fields if is_writable(write, field))


PIECES = [
    b"",
    b"{",
    b"}",
    b"[",
    b"]",
    b"(",
    b")",
    b",",
    b":",
    b'"',
    b"'",
    b"\\",
    b"/",
    b"0",
    b"-",
    b"e",
    b"$",
    b" ",
]
