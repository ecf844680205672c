"""Values of unique indexes that no cell holds: two of them would be two NULLs.

Only kinds with values outside PostgreSQL's types count: dates, texts, doubles, decimals. A value is
looked for by its tag, wherever that stands in a document; only where one does not fit is the
document read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from assise.documents.kinds import DOCUMENT, STRING
from assise.documents.reader import NOT_BSON, SKIP, elements
from assise.infer.ids import FITS as FITS_KEY
from assise.types.text import encode_text


def _fits_text(value: bytes) -> bool:
    return encode_text(value, 0)[0] is not None


FITS = {**FITS_KEY, STRING: _fits_text}
"""Type byte -> whether the bytes of a value fit the column of their kind, which is no key."""


def list_unfit(documents: Sequence[bytes], path: str) -> Iterator[int]:
    """The type byte of each value at a path, such as `address.since`, that fits no column.

    >>> import bson
    >>> documents = [bson.encode({"a": {"b": text}}) for text in ("x", "", "nul: \\0")]
    >>> [*list_unfit(documents, "a.b")]
    [2]
    """
    keys = [key.encode() for key in path.split(".")]
    tags = {kind: b"%c%b\0" % (kind, keys[-1]) for kind in FITS}
    for raw in documents:
        if any(_may_be_unfit(raw, kind, tag) for kind, tag in tags.items()):
            with suppress(*NOT_BSON):
                yield from _read_unfit(raw, 0, keys)


def _may_be_unfit(raw: bytes, kind: int, tag: bytes) -> bool:
    """Whether a value behind the tag does not fit, or is none."""
    skip, fits, p = SKIP[kind], FITS[kind], raw.find(tag)
    while p >= 0:
        begin = p + len(tag)
        try:
            if not fits(raw[begin : skip(raw, begin)]):
                return True
        except NOT_BSON:
            return True
        p = raw.find(tag, begin)
    return False


def _read_unfit(raw: bytes, p: int, keys: Sequence[bytes]) -> Iterator[int]:
    for kind, key, begin, end in elements(raw, p):
        if key != keys[0]:
            continue
        if len(keys) > 1 and kind == DOCUMENT:
            yield from _read_unfit(raw, begin, keys[1:])
        elif len(keys) == 1 and kind in FITS and not FITS[kind](raw[begin:end]):
            yield kind
