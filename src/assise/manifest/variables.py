"""`${VAR}` and `${VAR:-default}` in the values of a manifest.

They are replaced once, after YAML is read and before anything is checked. What was written is kept
beside it: errors and `dump_manifest` show that, never the content of a variable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from assise.errors import UsageError
from assise.manifest.nodes import Value, list_items
from assise.manifest.problems import Place, Problem, Replaced
from assise.manifest.sections import find_key
from assise.settings import escape_variables, expand
from assise.wording import show


class Variables:
    """The variables of one manifest: `replaced` has the texts that held some."""

    def __init__(self) -> None:
        self.replaced: dict[Place, Replaced] = {}
        self.problems: list[Problem] = []

    def replace(self, value: Value, place: Place = ()) -> Value:
        """`value` with the variables in its texts replaced, but for those of secret keys."""
        if isinstance(value, dict | list):
            items = {name: self.replace(item, (*place, name)) for name, item in list_items(value)}
            return items if isinstance(value, dict) else list(items.values())
        if isinstance(value, int) or "${" not in value:
            return value
        key = find_key(place)
        return value if key and key.is_secret else self._replace_text(value, place)

    def _replace_text(self, text: str, place: Place) -> str:
        try:
            content = expand(text)
        except UsageError as error:
            problem = Problem(place, error.message, show(text), error.remedy, about="value")
            self.problems.append(problem)
            return text
        # The environment may hold bytes that are not UTF-8; Python has them as surrogates.
        if any("\ud800" <= c <= "\udfff" for c in content):
            remedy = "Set the variable to text in UTF-8."
            message = "has a variable that is not UTF-8"
            self.problems.append(Problem(place, message, show(text), remedy, about="value"))
            return text
        if text != escape_variables(content):
            self.replaced[place] = Replaced(text, content)
        return content


def hide_contents(
    problems: Iterable[Problem], replaced: Mapping[Place, Replaced], *, file_text: str
) -> Iterator[Problem]:
    """The problems with texts as they stand in the file, in place of the contents of variables.

    A content that the file's own text holds is no secret, and stays in messages. The value of a
    secret key is never shown.
    """
    secrets = [each for each in replaced.values() if each.content and each.content not in file_text]
    secrets.sort(key=lambda each: len(each.content), reverse=True)
    for problem in problems:
        key = find_key(problem.place)
        value = _find_written(problem, replaced) or _hide(problem.value, secrets)
        value = "" if key and key.is_secret else value
        message, remedy = _hide(problem.message, secrets), _hide(problem.remedy, secrets)
        yield replace(problem, value=value, message=message, remedy=remedy)


def _find_written(problem: Problem, replaced: Mapping[Place, Replaced]) -> str:
    """The written text of the problem's value, where that came from variables at or around it."""
    for place, each in replaced.items():
        length = min(len(place), len(problem.place))
        is_near = place[:length] == problem.place[:length] and problem.value != ""
        if (is_near or place == problem.place) and problem.value == show(each.content):
            return show(each.written)
    return ""


def _hide(text: str, secrets: list[Replaced]) -> str:
    for each in secrets:
        text = text.replace(show(each.content), show(each.written))
    return text
