"""The passage of a text that a hit is shown with, its words of the query between <b> and </b>."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from html import escape, unescape

from assise.schema.search_text import MARKS, PLAIN

LENGTH = 200
BEGIN, END = _MARKS = "\x01\x02"
_WORD = re.compile(r"\w{3,}")
_COMBINING = re.compile("[\u0300-\u036f]")
_CLEAN = str.maketrans(MARKS + "’", PLAIN + "'")
_BLANK = str.maketrans(BEGIN + END, "  ")


def make_snippet(texts: Sequence[str], headlines: Sequence[str | None], query: str) -> str:
    """A passage of the first text that has words of a query.

    `headlines` are the passages that the database found. Where it found none, such as for
    identifiers, the beginnings of the words are looked for. The texts are escaped for HTML.
    """
    for text, headline in zip(texts, headlines, strict=True):
        if headline:
            return _render(*_place(text, headline))
    wanted = _find_words(query)
    for text in texts:
        if found := wanted.search(fold(text)):
            return _render(*_cut(text, found.start(), wanted))
    return _render(*_cut(texts[0], 0, wanted)) if texts else ""


def highlight(snippet: str, *, is_bold: bool) -> str:
    """A snippet as text for a terminal, its words in bold or not.

    >>> highlight("1 &lt; <b>2</b>", is_bold=False)
    '1 < 2'
    """
    begin, end = ("\x1b[1m", "\x1b[22m") if is_bold else ("", "")
    return unescape(snippet.replace("<b>", begin).replace("</b>", end))


def _place(text: str, headline: str) -> tuple[str, bool, bool]:
    """A headline with the characters of the text, and whether more stands before and behind it.

    The database reads typographic quotation marks, apostrophes and blanks as plain ones.
    """
    if _COMBINING.search(text):
        text = unicodedata.normalize("NFC", text)
    text = text.translate(_BLANK)
    plain = headline.replace(BEGIN, "").replace(END, "")
    start = text.translate(_CLEAN).find(plain)
    if start < 0:  # tags of HTML were left out
        return headline, True, True
    rest = iter(text[start : start + len(plain)])
    marked = [each if each in _MARKS else next(rest) for each in headline]
    return "".join(marked), start > 0, start + len(plain) < len(text)


def _find_words(query: str) -> re.Pattern[str]:
    """What is as typed in a query, or begins like its words; in lower case without accents."""
    folded = fold(query)
    typed = (each for each in folded.split() if len(each) > 1)
    beginnings = (word[:5] for word in _WORD.findall(folded))
    wanted = [*map(re.escape, typed), *(rf"\b{each}\w*" for each in beginnings)]
    return re.compile("|".join(wanted) or "(?!)")


def replace_words(text: str, words: Mapping[str, str]) -> str:
    """A text in which words, found in lower case and without accents, are replaced.

    >>> replace_words("Une Aplication", {"aplication": "application"})
    'Une application'
    """
    return re.sub(r"\w+", lambda word: words.get(fold(word[0]), word[0]), text)


def _cut(text: str, place: int, wanted: re.Pattern[str]) -> tuple[str, bool, bool]:
    """At most 200 characters around a place, with the words of the query marked."""
    last = len(text) - LENGTH
    start = max(0, min(place - LENGTH // 4, last))
    piece = text[start : start + LENGTH].translate(_BLANK)
    marked, done = "", 0
    for found in wanted.finditer(fold(piece)):
        begin, end = found.span()
        marked += f"{piece[done:begin]}{BEGIN}{piece[begin:end]}{END}"
        done = end
    return marked + piece[done:], start > 0, start < last


def _render(marked: str, is_behind: bool, is_before: bool) -> str:
    """A passage as HTML on one line."""
    text = escape(" ".join(marked.split()), quote=False)
    text = text.replace(BEGIN, "<b>").replace(END, "</b>")
    return f"{'… ' if is_behind else ''}{text}{' …' if is_before else ''}"


def fold(text: str) -> str:
    """Lower case without accents, each character for one."""
    parts = (unicodedata.normalize("NFD", each)[0] for each in text)
    return "".join(part.lower()[:1] for part in parts)
