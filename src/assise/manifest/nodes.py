"""YAML text as plain values, with the line of every place.

A manifest needs little of YAML: mappings with texts as keys, lists, texts, numbers. Anchors, aliases, tags and repeated keys are refused.
It is read from the events of the parser, so that nothing is resolved, expanded or constructed before it was looked at.
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
_NO_TEXT = re.compile(
    r"true|True|TRUE|false|False|FALSE|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_VERSION = re.compile(r"[0-9]{1,9}")

Value = str | int | list["Value"] | dict[str, "Value"]


class _UnreadableError(Exception):
    """Text in which nothing behind this problem can be told."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Nodes:
    """The one value of a YAML text; `lines` has the line of each of its places, `problems` what is no part of a manifest."""

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
                    raise _UnreadableError(
                        Problem(
                            (),
                            "a second document begins here",
                            remedy="Keep one manifest in a file.",
                            line=_line(event),
                        )
                    )
                value = self._read_value(next(self._events), ())
        return value

    def _read_value(self, event: Event, place: Place) -> Value:
        self.lines.setdefault(place, _line(event))
        if not isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent):
            raise _UnreadableError(
                Problem(
                    place,
                    "is an alias",
                    remedy="Write the value out: aliases are not read.",
                    line=_line(event),
                )
            )
        if event.anchor is not None:
            raise _UnreadableError(
                Problem(
                    place,
                    "has an anchor",
                    f"&{show(event.anchor)}",
                    "Remove it: anchors are not read.",
                    _line(event),
                )
            )
        if event.tag is not None:
            raise _UnreadableError(
                Problem(
                    place,
                    "has a tag",
                    show(event.tag),
                    "Remove it: tags are not read.",
                    _line(event),
                )
            )
        if len(place) > MAX_DEPTH:
            raise _UnreadableError(
                Problem(
                    place[:4],
                    f"nests deeper than {MAX_DEPTH} levels",
                    remedy="No manifest does.",
                    line=_line(event),
                )
            )
        if isinstance(event, MappingStartEvent):
            return self._read_mapping(place)
        return (
            self._read_scalar(event, place)
            if isinstance(event, ScalarEvent)
            else self._read_list(place)
        )

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
                self.problems.append(
                    Problem(
                        inner,
                        "stands twice",
                        remedy=f"Keep one; the first is in line {self.lines[inner]}.",
                        line=_line(event),
                    )
                )
            self.lines.setdefault(inner, _line(event))
            found[key] = self._read_value(next(self._events), inner)
        return found

    def _read_key(self, event: Event, place: Place) -> str:
        if not isinstance(event, ScalarEvent):
            self._read_value(event, (*place, "?"))
            raise _UnreadableError(
                Problem(
                    place,
                    "has a key that is no text",
                    remedy="Write a name as key.",
                    line=_line(event),
                )
            )
        self._read_value(event, (*place, event.value))
        return str(event.value)

    def _read_scalar(self, event: ScalarEvent, place: Place) -> Value:
        text, line = str(event.value), _line(event)
        if any("\ud800" <= c <= "\udfff" for c in text):
            self.problems.append(
                Problem(
                    place,
                    "holds half a surrogate pair",
                    show(text),
                    "Write the whole character.",
                    line,
                )
            )
        if event.style is not None:
            return text
        if place == ("assise",) and _VERSION.fullmatch(text):
            return int(text)
        if _NULL.fullmatch(text):
            remedy = 'Give one, or remove the key; the texts null, ~ and "" stand in quotes.'
            self.problems.append(
                Problem(place, "has no value", show(text), remedy, is_of_value=True)
            )
        elif _NO_TEXT.fullmatch(text):
            self.problems.append(
                Problem(
                    place,
                    "is no text in YAML",
                    show(text),
                    "Put it in quotes.",
                    line,
                    is_of_value=True,
                )
            )
        return text


def read_nodes(text: str) -> tuple[Value, dict[Place, int], list[Problem]]:
    """The value of a YAML text, the line of each of its places, and its problems."""
    nodes = Nodes(text)
    try:
        value = nodes.read()
    except _UnreadableError as error:
        return "", nodes.lines, [*nodes.problems, error.problem]
    except ReaderError as error:
        message = f"{show(chr(error.character))} is a character that YAML does not allow"
        return (
            "",
            nodes.lines,
            [
                Problem(
                    (),
                    message,
                    remedy="Write it as an escape in quotes.",
                    line=text.count("\n", 0, error.position) + 1,
                )
            ],
        )
    except MarkedYAMLError as error:
        return "", nodes.lines, [_syntax_problem(error)]
    except (YAMLError, ValueError, OverflowError) as error:
        # Escapes such as "\U00110000": the parser names no place, it is just behind the last value.
        return (
            "",
            nodes.lines,
            [
                Problem(
                    (),
                    f"is not YAML: {show(error)}",
                    remedy="Mend this line.",
                    line=max(nodes.lines.values(), default=1),
                )
            ],
        )
    return value, nodes.lines, nodes.problems


def _syntax_problem(error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    found = ", ".join(part for part in (error.context, error.problem) if part)
    remedy = "Mend this line, or the one before; texts with special characters go in quotes."
    if "'\\t'" in found:
        remedy = "Indent with blanks, not with tabs."
    elif "'['" in found:
        remedy = 'Put types of arrays in quotes: "text[]".'
    return Problem((), f"is not YAML: {found}", remedy=remedy, line=mark.line + 1 if mark else 0)


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1
