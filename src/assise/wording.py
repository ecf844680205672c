"""Text for people: counts, values, names and suggestions in messages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_SHORT_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def count_of(count: int, noun: str) -> str:
    """A number and its noun.

    >>> count_of(1, "document"), count_of(23530, "document")
    ('1 document', '23,530 documents')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def nearest(word: str, known: Iterable[str]) -> str:
    """A remedy: what `word` was probably meant to be, and what there is."""
    words = list(known)
    if not words:
        return "There is none."
    if len(words) > 20:
        return f"Known: {escape(words[0])}, {escape(words[1])}, …, {escape(words[-1])}."
    found = get_close_matches(word, words, 1)
    return (
        f"Did you mean {escape(found[0])}? " if found else ""
    ) + f"Known: {', '.join(map(escape, words))}."


def escape(text: str) -> str:
    """`text` on one line: backslashes, quotes and what does not print as YAML's double quotes escape them."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(
        _SHORT_ESCAPES.get(c) or (c if c.isprintable() else _escape_code(ord(c))) for c in text
    )


def show(value: object) -> str:
    """A value for a message: nothing for lists and mappings, at most 80 characters of others."""
    if isinstance(value, list | tuple | dict):
        return ""
    text = str(value).lower() if isinstance(value, bool) else escape(str(value))
    return text if len(text) <= 80 else f"{text[:79]}…"


def _escape_code(code: int) -> str:
    return (
        f"\\x{code:02x}"
        if code < 0x100
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )
