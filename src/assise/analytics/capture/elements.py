"""The events of a body: a short one is read at once, of a long one a single event is held at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder

from pydantic_core import from_json

from assise.errors import RequestError

MAX_EVENT, MAX_EVENTS = 1 << 20, 50_000
"""Characters of an event, and events of a request, at most."""

_WINDOW = 1 << 16
_BLANK, _BLANKS = frozenset(" \t\r\n"), re.compile(r"[ \t\r\n]*")
_DECODER = JSONDecoder(parse_constant=lambda _: None, strict=False)
"""NaN and Infinity, which old SDKs send as they are, become null, as new ones send them."""


def read_events(text: str, take: Callable[[object], None]) -> dict[str, object]:
    """Give `take` each event: the elements of an array, or of `batch`, or the object itself.

    Returns the fields beside `batch`.

    Raises:
        RequestError: it is no JSON, or too large.
    """
    found = _read_short(text)
    events, fields = found, dict[str, object]()
    if isinstance(found, dict):
        fields = found
        events = fields.pop("batch") if isinstance(fields.get("batch"), list) else [fields]
    if not isinstance(events, list) or len(events) > MAX_EVENTS:
        return _read_long(text, take)
    for each in events:
        take(each)
    return fields


def _read_short(text: str) -> object:
    """What a short text holds, by a parser that takes less; None where it declines."""
    if len(text) > MAX_EVENT or text.count('"batch"') > 1:
        return None
    try:
        found: object = from_json(text, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        return None
    return found


def _read_long(text: str, take: Callable[[object], None]) -> dict[str, object]:
    reader = _Reader(text)
    if reader.peek() == "[":
        reader.read_array(take)
        reader.end()
        return {}
    if reader.peek() != "{":
        raise RequestError("the body holds neither an event nor an array of events")
    fields, has_batch = reader.read_object(take)
    reader.end()
    if not has_batch:
        take(fields)
    return fields


@dataclass
class _Reader:
    """Reads JSON through a window, so that no value is longer than an event may be."""

    text: str
    at: int = 0
    begin: int = 0
    window: str = ""

    def peek(self) -> str:
        character = self.text[self.at : self.at + 1]
        if character not in _BLANK:
            return character
        found = _BLANKS.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text[self.at : self.at + 1]

    def skip(self, character: str) -> None:
        if self.peek() != character:
            self.fail()
        self.at += 1

    def fail(self) -> None:
        raise RequestError(f"the body is no JSON at character {self.at:,}")

    def end(self) -> None:
        if self.peek():
            self.fail()

    def read_array(self, take: Callable[[object], None]) -> None:
        self.skip("[")
        if self.peek() == "]":
            self.at += 1
            return
        for _ in range(MAX_EVENTS):
            take(self.read_value())
            if self.peek() != ",":
                self.skip("]")
                return
            self.at += 1
        raise RequestError(f"there are more than {MAX_EVENTS:,} events", status=413)

    def read_object(self, take: Callable[[object], None]) -> tuple[dict[str, object], bool]:
        fields, has_batch = dict[str, object](), False
        self.skip("{")
        while self.peek() != "}":
            if fields or has_batch:
                self.skip(",")
            key = self.read_value()
            self.skip(":")
            if not isinstance(key, str):
                self.fail()
            if key == "batch" and self.peek() == "[":
                self.read_array(take)
                has_batch = True
            else:
                fields[str(key)] = self.read_value()
        self.at += 1
        return fields, has_batch

    def read_value(self) -> object:
        """The value here; a window that cuts it is made as long as an event may be."""
        self.peek()
        if not self.window or self.at - self.begin > len(self.window) // 2:
            self._open(_WINDOW)
        try:
            return self._decode()
        except RequestError:
            if self.begin + len(self.window) >= len(self.text):
                raise
        self._open(MAX_EVENT)
        try:
            return self._decode()
        except RequestError:
            if self.begin + len(self.window) >= len(self.text):
                raise
            said = f"an event has more than {MAX_EVENT:,} characters, or is no JSON"
            raise RequestError(said, status=413) from None

    def _open(self, size: int) -> None:
        self.begin, self.window = self.at, self.text[self.at : self.at + size]

    def _decode(self) -> object:
        try:
            found, end = _DECODER.raw_decode(self.window, self.at - self.begin)
        except (JSONDecodeError, RecursionError, ValueError) as error:
            raise RequestError(f"the body is no JSON at character {self.at:,}") from error
        is_cut = end == len(self.window) and self.begin + end < len(self.text)
        if is_cut and isinstance(found, int | float):
            raise RequestError("a number is cut")
        self.at = self.begin + end
        return found
