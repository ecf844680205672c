"""Texts of rows into passages: by headings, fences of code, paragraphs and sentences."""

from __future__ import annotations

import math
import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

_TOKEN = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af]|[^\W\u2e80-\u9fff\uac00-\ud7af]+|[^\w\s]")
_LINE = re.compile(r"[^\n]*\n?")
_FENCE = re.compile(r"\s*(```|~~~)")
_HEADING = re.compile(r"#{1,6}\s+([^\s#].*)")
_SENTENCE = re.compile(
    r".+?(?:(?<![.!?…])[.!?…]++[\"'»”)\]]*+(?=\s)|[\u3002\uff01\uff1f]|\n|\Z)\s*", re.DOTALL
)
_WORD = re.compile(r"\S+\s*|\s+")
LONGEST_WORD = 200
"""Characters after which a word without blanks is cut: data in Base64, say."""


@dataclass(frozen=True)
class Passage:
    """A part of a text, from `first` to before `last`, under a heading that it may have."""

    first: int
    last: int
    heading: str | None
    text: str

    @property
    def embedded(self) -> str:
        """What is embedded: the text below its heading."""
        if self.heading and self.heading not in self.text:
            return f"{self.heading}\n{self.text}"
        return self.text

    @property
    def hash(self) -> bytes:
        """The SHA-256 of what is embedded."""
        return sha256(self.embedded.encode()).digest()


def compose(values: Iterable[object]) -> str:
    """The text of a row, of the values of its columns: in NFC, without NUL; blank ones are left out.

    >>> compose(["Cafe\u0301", None, " ", ["a", "b"]])
    'Café\\na b'
    """
    texts = []
    for value in values:
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value or "")
        texts.append(unicodedata.normalize("NFC", text.replace("\0", " ")).strip())
    return "\n".join(filter(None, texts))


def count_tokens(text: str) -> int:
    """About how many tokens a text has for a multilingual model, within a fifth for most texts."""
    return sum((each.end() - each.start() + 4) // 5 for each in _TOKEN.finditer(text))


def cut(text: str, tokens: int) -> list[Passage]:
    """The passages of a text, each of about `tokens` tokens at most.

    A heading begins a passage, and stands in front of those below it. Sentences and fenced code
    stay whole where they are short enough; passages of a long text are about equally long.

    >>> [(each.first, each.text) for each in cut("One. Two three.", 3)]
    [(0, 'One.'), (5, 'Two three.')]
    """
    if not text.strip():
        return []
    return [passage for section in _split_sections(text) for passage in _cut(text, section, tokens)]


@dataclass(frozen=True)
class _Section:
    first: int
    last: int
    heading: str | None


def _split_sections(text: str) -> Iterator[_Section]:
    """The parts of a text that begin with a heading; fenced code has none."""
    first, heading, is_code, is_empty = 0, None, False, True
    at = 0
    for found in _LINE.finditer(text):
        line = found[0]
        if _FENCE.match(line):
            is_code = not is_code
        title = None if is_code else _HEADING.match(line)
        if title and not is_empty:
            yield _Section(first, found.start(), heading)
            first, is_empty = found.start(), True
        if title:
            heading = title[1].rstrip().rstrip("#").rstrip()[:200]
        else:
            is_empty = is_empty and not line.strip()
        at = found.end()
    if text[first:at].strip():
        yield _Section(first, at, heading)


def _cut(text: str, section: _Section, tokens: int) -> Iterator[Passage]:
    begins, ends, sizes = array("q"), array("q"), array("q")
    for begin, end in _split_units(text, section, tokens):
        begins.append(begin)
        ends.append(end)
        sizes.append(count_tokens(text[begin:end]))
    total = sum(sizes)
    if not total:
        return
    goal = math.ceil(total / math.ceil(total / tokens))
    first, last, size = section.first, section.first, 0
    for begin, end, more in zip(begins, ends, sizes, strict=True):
        if size and (size + more > tokens or size >= goal):
            yield from _make(text, first, begin, section.heading)
            first, size = begin, 0
        size += more
        last = end
    yield from _make(text, first, last, section.heading)


def _make(text: str, first: int, last: int, heading: str | None) -> Iterator[Passage]:
    piece = text[first:last]
    first += len(piece) - len(piece.lstrip())
    piece = piece.strip()
    if piece:
        yield Passage(first, first + len(piece), heading, piece)


def _split_units(text: str, section: _Section, tokens: int) -> Iterator[tuple[int, int]]:
    """What is kept whole: fences of code, paragraphs, sentences, lines, words, pieces of words."""
    for first, last, is_code in _split_blocks(text, section):
        if count_tokens(text[first:last]) <= tokens:
            yield first, last
            continue
        pattern = _LINE if is_code else _SENTENCE
        for begin, end in _find_all(pattern, text, first, last):
            if count_tokens(text[begin:end]) <= tokens:
                yield begin, end
                continue
            for start, stop in _find_all(_WORD, text, begin, end):
                for at in range(start, stop, LONGEST_WORD):
                    yield at, min(at + LONGEST_WORD, stop)


def _find_all(
    pattern: re.Pattern[str], text: str, first: int, last: int
) -> Iterator[tuple[int, int]]:
    for found in pattern.finditer(text, first, last):
        if found.end() > found.start():
            yield found.span()


def _split_blocks(text: str, section: _Section) -> Iterator[tuple[int, int, bool]]:
    """Paragraphs, and fenced code; whether it is code."""
    first, is_code = section.first, False
    for found in _LINE.finditer(text, section.first, section.last):
        is_fence = _FENCE.match(found[0]) is not None
        if is_fence and not is_code:
            if found.start() > first:
                yield first, found.start(), False
            first, is_code = found.start(), True
        elif (is_fence and is_code) or (not is_code and not found[0].strip()):
            if found.end() > first:
                yield first, found.end(), is_code
            first, is_code = found.end(), False
    if section.last > first:
        yield first, section.last, is_code
