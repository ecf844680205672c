r"""Paths to fields of a document, as a manifest writes them.

Keys are separated by dots. `\.` and `\*` are a literal dot and star, every other backslash stands
for itself, and an empty key is an empty segment. A child table's path ends in `*`, the elements of
the array that it names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from assise.errors import ManifestError
from assise.manifest.problems import Place, Problem
from assise.wording import show

MAX_KEYS = 100
ELEMENTS = "*"
"""The path of a column that is the elements of its child table."""

_SEPARATOR = re.compile(r"(?<!\\)\.")
_ESCAPED = re.compile(r"\\([.*])")
_SPECIAL = re.compile(r"[.*]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def is_nameable(key: str) -> bool:
    """Whether a path can name this key: valid Unicode, no NUL, no backslash at the end."""
    return not key.endswith("\\") and "\0" not in key and not _SURROGATE.search(key)


def default_path(name: str) -> str:
    """The path of a column that gives none: the field with the column's own name."""
    return format_path((name,)) if is_nameable(name) else name


def parse_path(text: str) -> tuple[str, ...]:
    r"""The keys of a column's path.

    >>> parse_path(r"address.zip\.code")
    ('address', 'zip.code')

    Raises:
        ManifestError: a key cannot be named, there are too many, or a `*` stands for the elements
            of an array.
    """
    segments = _SEPARATOR.split(text)
    if ELEMENTS in segments:
        raise ManifestError(
            "a segment * stands for the elements of an array",
            remedy=r"Make a child table of the array; a key * is written \*.",
        )
    return _read_keys(segments)


def parse_child_path(text: str) -> tuple[str, ...]:
    """The keys of the array that a child table's path names, without the star at its end.

    >>> parse_child_path("report.files.*")
    ('report', 'files')

    Raises:
        ManifestError: the path does not end in its only `*`, or one of its keys cannot be named.
    """
    *segments, last = _SEPARATOR.split(text)
    if last != ELEMENTS or not segments or ELEMENTS in segments:
        raise ManifestError(
            "a child table's path names an array and ends in its one *",
            remedy=r"Write for example files.*; a key * is written \*.",
        )
    return _read_keys(segments)


def format_path(keys: Iterable[str]) -> str:
    r"""The path of these keys.

    >>> format_path(["address", "zip.code"])
    'address.zip\\.code'

    Raises:
        ManifestError: a key cannot be named, or there are too many.
    """
    checked = _check_keys(tuple(keys))
    return ".".join(_SPECIAL.sub(r"\\\g<0>", key) for key in checked)


def format_child_path(keys: Iterable[str]) -> str:
    """The path of a child table of the array at these keys."""
    return f"{format_path(keys)}.{ELEMENTS}"


def _read_keys(segments: list[str]) -> tuple[str, ...]:
    return _check_keys(tuple(_ESCAPED.sub(r"\1", segment) for segment in segments))


def _check_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    if not 1 <= len(keys) <= MAX_KEYS:
        raise ManifestError(
            f"a path of {len(keys)} keys",
            remedy=f"Give 1 to {MAX_KEYS} keys, or read a document above as jsonb.",
        )
    for key in keys:
        if not is_nameable(key):
            raise ManifestError(
                "a key that ends in a backslash, holds NUL or is not Unicode cannot be named",
                remedy="Leave it without a column: its values are kept in _extra.",
            )
    return keys


def check_path(
    place: Place, text: str, parse: Callable[[str], tuple[str, ...]]
) -> Iterator[Problem]:
    """Check the path at a place of the manifest."""
    try:
        parse(text)
    except ManifestError as error:
        yield Problem(place, error.message, show(text), error.remedy)


def keys_of_path(
    text: str, parse: Callable[[str], tuple[str, ...]] = parse_path
) -> tuple[str, ...] | None:
    """The keys of a path; None where it is wrong."""
    try:
        return parse(text)
    except ManifestError:
        return None
