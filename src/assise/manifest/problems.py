"""What is wrong with a manifest, collected before it is raised as one error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from assise.errors import ManifestError
from assise.wording import escape

Place = tuple[str, ...]
"""The keys that lead to a value of the manifest: ("tables", "users", "primary_key")."""

MAX_SHOWN = 10


@dataclass(frozen=True)
class Problem:
    """One place of a manifest that cannot be used; `line` where the place does not give it.

    about: `value` where it does not count if the key itself is unknown; `text` where, besides, it
        does not count if the key takes numbers.
    """

    place: Place
    message: str
    value: str = ""
    remedy: str = ""
    line: int = 0
    about: Literal["place", "value", "text"] = "place"


@dataclass(frozen=True)
class Replaced:
    """A text with variables: as it stands in the file, and with their contents."""

    written: str
    content: str


class UnsoundError(ValueError):
    """The problems of a model, on their way through pydantic."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(str(manifest_error(problems)))
        self.problems = problems


def manifest_error(
    problems: Sequence[Problem], file: str = "", *, lines: Mapping[Place, int] = {}
) -> ManifestError:
    """One error for all problems, one line for each; a single one keeps its remedy apart."""
    first = problems[0]
    if len(problems) == 1:
        return _error_of(first, file, lines, first.message, first.remedy)
    others = [
        str(_error_of(problem, file, lines, _sentence(problem), ""))
        for problem in problems[1:MAX_SHOWN]
    ]
    if len(problems) > MAX_SHOWN:
        others.append(f"and {len(problems) - MAX_SHOWN} more")
    return _error_of(first, file, lines, "\n".join([_sentence(first), *others]), "")


def _error_of(
    problem: Problem, file: str, lines: Mapping[Place, int], message: str, remedy: str
) -> ManifestError:
    place, key = problem.place, ".".join(map(escape, problem.place))
    # A place that the text has not got has the line of the nearest one above it.
    above = (place[:length] for length in range(len(place), -1, -1))
    known = (lines[at] for at in above if at in lines)
    line = problem.line or next(known, 0)
    return ManifestError(message, file=file, line=line, key=key, value=problem.value, remedy=remedy)


def _sentence(problem: Problem) -> str:
    return f"{problem.message}. {problem.remedy}" if problem.remedy else problem.message
