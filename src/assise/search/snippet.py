"""The passage of a text that a hit is shown with."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

LENGTH = 200
_WORD = re.compile(r"\w{3,}")


def make_snippet(texts: Sequence[str], query: str) -> str:
    """At most 200 characters of the texts, around the first word of the query that is in them.

    >>> make_snippet(["Une application", "Elle est écrite en Python."], "ecrite")
    'Elle est écrite en Python.'
    """
    words = [_fold(word)[:5] for word in _WORD.findall(query)]
    for text in texts:
        folded = _fold(text)
        places = [found for word in words if (found := folded.find(word)) >= 0]
        if places:
            return _cut(text, min(places))
    return _cut(texts[0], 0) if texts else ""


def _fold(text: str) -> str:
    """Lower case without accents, each character for one."""
    return "".join(unicodedata.normalize("NFD", c)[0].lower()[:1] for c in text)


def _cut(text: str, place: int) -> str:
    start = max(0, min(place - LENGTH // 4, len(text) - LENGTH))
    piece = " ".join(text[start : start + LENGTH].split())
    before, behind = "… " if start else "", " …" if start + LENGTH < len(text) else ""
    return f"{before}{piece}{behind}"
