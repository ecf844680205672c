"""YAML text as plain values, with the line of every place.

A manifest needs little of YAML: mappings with texts as keys, lists, texts, numbers. Anchors,
aliases, tags and repeated keys are refused. It is read from the events of the parser, so that
nothing is resolved, expanded or constructed before it was looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from assise.manifest.problems import Place, Problem
from assise.wording import show

MAX_DEPTH = 16

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = r"true|True|TRUE|false|False|FALSE"
_NUMBER = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+"
_NOT_FINITE = r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
_NO_TEXT = re.compile(f"{_BOOLEAN}|{_NUMBER}|{_NOT_FINITE}")
_VERSION = re.compile(r"[0-9]{1,9}")

Value = str | int | list["Value"] | dict[str, "Value"]


def list_items(value: Value) -> list[tuple[str, Value]]:
    """What stands inside a mapping or a list, each with the last step of its place."""
    if isinstance(value, dict):
        return list(value.items())
    items = value if isinstance(value, list) else []
    return [(str(i), item) for i, item in enumerate(items)]


class _UnreadableError(Exception):
    """Text in which nothing behind this problem can be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Nodes:
    """The one value of a YAML text.

    `lines` has the line of each place, `problems` what cannot stand in a manifest.
    """

    def __init__(self, text: str) -> None:
        self.lines: dict[Place, int] = {}
        self.problems: list[Problem] = []
        self._events: Iterator[Event] = YAML(typ="safe", pure=True).parse(text)

    def read(self) -> Value:
        """The value of the text's only document; "" when there is none."""
        value: Value = ""
        documents = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    message, remedy = (
                        "a second document begins here",
                        "Keep one manifest in a file.",
                    )
                    raise _UnreadableError(_problem(event, (), message, remedy=remedy))
                value = self._read_value(next(self._events), ())
        return value

    def _read_value(self, event: Event, place: Place) -> Value:
        self.lines.setdefault(place, _line(event))
        problem = _find_unread(event, place)
        if problem is not None:
            raise _UnreadableError(problem)
        if isinstance(event, MappingStartEvent):
            return self._read_mapping(place)
        if isinstance(event, ScalarEvent):
            return self._read_scalar(event, place)
        return self._read_list(place)

    def _read_list(self, place: Place) -> Value:
        found: list[Value] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            found.append(self._read_value(event, (*place, str(len(found)))))
        return found

    def _read_mapping(self, place: Place) -> Value:
        found: dict[str, Value] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._read_key(event, place)
            inner = (*place, key)
            if key in found:
                remedy = f"Keep one; the first is in line {self.lines[inner]}."
                self.problems.append(_problem(event, inner, "occurs twice", remedy=remedy))
            self.lines.setdefault(inner, _line(event))
            found[key] = self._read_value(next(self._events), inner)
        return found

    def _read_key(self, event: Event, place: Place) -> str:
        if not isinstance(event, ScalarEvent):
            self._read_value(event, (*place, "?"))
            message, remedy = "has a key that is not text", "Write a name as key."
            raise _UnreadableError(_problem(event, place, message, remedy=remedy))
        self._read_value(event, (*place, event.value))
        return str(event.value)

    def _read_scalar(self, event: ScalarEvent, place: Place) -> Value:
        text, line = str(event.value), _line(event)
        if any("\ud800" <= c <= "\udfff" for c in text):
            message, remedy = "holds half a surrogate pair", "Write the whole character."
            self.problems.append(Problem(place, message, show(text), remedy, line))
        if event.style is not None:
            return text
        if place == ("assise",) and _VERSION.fullmatch(text):
            return int(text)
        if _NULL.fullmatch(text):
            remedy = 'Give one, or remove the key; the texts null, ~ and "" stand in quotes.'
            problem = Problem(place, "has no value", show(text), remedy, about="value")
            self.problems.append(problem)
        elif _NO_TEXT.fullmatch(text):
            message, remedy = "is not text in YAML", "Put it in quotes."
            self.problems.append(Problem(place, message, show(text), remedy, line, about="text"))
        return text


def _find_unread(event: Event, place: Place) -> Problem | None:
    """What a manifest does not need of YAML, and this value begins with."""
    if not isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent):
        return _problem(
            event, place, "is an alias", remedy="Write the value out: aliases are not read."
        )
    if event.anchor is not None:
        value, remedy = f"&{show(event.anchor)}", "Remove it: anchors are not read."
        return _problem(event, place, "has an anchor", value, remedy=remedy)
    if event.tag is not None:
        remedy = "Remove it: tags are not read."
        return _problem(event, place, "has a tag", show(event.tag), remedy=remedy)
    if len(place) > MAX_DEPTH:
        message = f"nests deeper than {MAX_DEPTH} levels"
        return _problem(event, place[:4], message, remedy="No manifest does.")
    return None


def read_nodes(text: str) -> tuple[Value, dict[Place, int], list[Problem]]:
    """The value of a YAML text, the line of each of its places, and its problems."""
    nodes = Nodes(text)
    try:
        return nodes.read(), nodes.lines, nodes.problems
    except _UnreadableError as error:
        problems = [*nodes.problems, error.problem]
    except ReaderError as error:
        message = f"{show(chr(error.character))} is a character that YAML does not allow"
        remedy = "Write it as an escape in quotes."
        line = text.count("\n", 0, error.position) + 1
        problems = [Problem((), message, remedy=remedy, line=line)]
    except MarkedYAMLError as error:
        problems = [_syntax_problem(error)]
    except (YAMLError, ValueError, OverflowError) as error:
        # Escapes such as "\U00110000": the parser names no place. It is behind the last value.
        line = max(nodes.lines.values(), default=1)
        message = f"is not YAML: {show(error)}"
        problems = [Problem((), message, remedy="Correct this line.", line=line)]
    return "", nodes.lines, problems


def _syntax_problem(error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    message = ", ".join(part for part in (error.context, error.problem) if part)
    remedy = "Correct this line, or the one before; texts with special characters go in quotes."
    if "'\\t'" in message:
        remedy = "Indent with spaces, not with tabs."
    elif "'['" in message:
        remedy = 'Put types of arrays in quotes: "text[]".'
    elif "'{'" in message:
        remedy = 'Put variables in quotes: "${NAME}".'
    line = mark.line + 1 if mark else 0
    return Problem((), f"is not YAML: {message}", remedy=remedy, line=line)


def _problem(event: Event, place: Place, message: str, value: str = "", *, remedy: str) -> Problem:
    return Problem(place, message, value, remedy, _line(event))


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1
