"""Text for people: counts, values, names and suggestions in messages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SHORT_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def count_of(count: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count_of(1, "document"), count_of(23530, "document")
    ('1 document', '23,530 documents')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a remedy: the word that was probably meant, and the known words."""
    words = list(known)
    if not words:
        return "There is none."
    shown = [*words[:2], "…", words[-1]] if len(words) > 40 else words
    listed = f"Known: {', '.join(map(escape, shown))}."
    close = get_close_matches(word, words, 1)
    return f"Did you mean {escape(close[0])}? {listed}" if close else listed


def escape(text: str) -> str:
    """Return `text` on one line, escaped as between YAML's double quotes."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(map(_escape_character, text))


def show_controls(text: str) -> str:
    """Return a text that does nothing to a terminal: its controls, but for ends of lines, escaped.

    >>> print(show_controls("a" + chr(27) + "[31m"))
    a\\x1b[31m
    """
    return _CONTROLS.sub(lambda control: _escape_character(control[0]), text)


def show(value: object) -> str:
    """Return a value for a message: nothing for lists and mappings, else at most 80 characters."""
    if isinstance(value, list | tuple | dict):
        return ""
    is_bool = isinstance(value, bool)
    text = str(value).lower() if is_bool else escape(str(value))
    return text if len(text) <= 80 else f"{text[:79]}…"


def _escape_character(c: str) -> str:
    if c in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[c]
    if c.isprintable():
        return c
    code = ord(c)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
