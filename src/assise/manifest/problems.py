"""What is wrong with a manifest, gathered before it is raised as one error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from assise.errors import ManifestError

Place = tuple[str, ...]
"""The keys that lead to a value of the manifest: ("tables", "users", "primary_key")."""

MAX_SHOWN = 10

_SHORT_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True)
class Problem:
    """One place of a manifest that cannot be used; `line` only where the place alone does not tell it.

    `is_of_value` tells that it is of no interest where the key itself is none.
    """

    place: Place
    message: str
    value: str = ""
    remedy: str = ""
    line: int = 0
    is_of_value: bool = False


class UnsoundError(ValueError):
    """The problems of a model, on their way through pydantic."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(str(manifest_error(problems)))
        self.problems = problems


def manifest_error(problems: Sequence[Problem], file: str = "", *, lines: Mapping[Place, int] = {}) -> ManifestError:
    """One error for all problems, one line for each; a single one keeps its remedy apart."""
    first = problems[0]
    if len(problems) == 1:
        return _error_of(first, file, lines, first.message, first.remedy)
    others = [str(_error_of(problem, file, lines, _sentence(problem), "")) for problem in problems[1:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        others.append(f"and {len(problems) - MAX_SHOWN} more")
    return _error_of(first, file, lines, "\n".join([_sentence(first), *others]), "")


def nearest(word: str, known: Iterable[str]) -> str:
    """A remedy: what `word` was probably meant to be, and what there is."""
    words = list(known)
    if not words:
        return "There is none."
    if len(words) > 20:
        return f"Known: {escape(words[0])}, {escape(words[1])}, …, {escape(words[-1])}."
    found = get_close_matches(word, words, 1)
    return (f"Did you mean {escape(found[0])}? " if found else "") + f"Known: {', '.join(map(escape, words))}."


def count_of(count: int, noun: str) -> str:
    """A number and its noun.

    >>> count_of(1, "document"), count_of(23530, "document")
    ('1 document', '23,530 documents')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def escape(text: str) -> str:
    """`text` on one line: backslashes, quotes and what does not print as YAML's double quotes escape them."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(_SHORT_ESCAPES.get(c) or (c if c.isprintable() else _escape_code(ord(c))) for c in text)


def show(value: object) -> str:
    """A value for a message: nothing for lists and mappings, at most 80 characters of others."""
    if isinstance(value, list | tuple | dict):
        return ""
    text = str(value).lower() if isinstance(value, bool) else escape(str(value))
    return text if len(text) <= 80 else f"{text[:79]}…"


def _escape_code(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _error_of(problem: Problem, file: str, lines: Mapping[Place, int], message: str, remedy: str) -> ManifestError:
    place, key = problem.place, ".".join(map(escape, problem.place))
    # A place that the text has not got has the line of the nearest one above it.
    line = problem.line or next((lines[place[:n]] for n in range(len(place), -1, -1) if place[:n] in lines), 0)
    return ManifestError(message, file=file, line=line, key=key, value=problem.value, remedy=remedy)


def _sentence(problem: Problem) -> str:
    return f"{problem.message}. {problem.remedy}" if problem.remedy else problem.message
