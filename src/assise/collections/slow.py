"""Slow operations, from MongoDB's profiler or its log, grouped by the shape of their queries.

https://www.mongodb.com/docs/manual/reference/database-profiler/ and, for the log since 4.4,
https://www.mongodb.com/docs/manual/reference/log-messages/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bson import json_util
from bson.errors import BSONError

from assise.collections.explain import RATIO, SLOW_MS, WASTED
from assise.collections.indexes import IndexKey, read_number
from assise.collections.shapes import AskedQuery, IndexAdvice, advise, covers, read_command
from assise.errors import UsageError
from assise.mongo.source import JsonObject
from assise.wording import count_of

MAX_SHAPES = 5_000
MAX_LINE = 1 << 20
"""Bytes of a line of a log; MongoDB cuts its lines long before."""

GZIP = b"\x1f\x8b"
_OLD_LINE = b"I COMMAND"
_OLD_FORM = re.compile(rb"\d{4}-\d\d-\d\dT\S+\s+[FEWID]\d?\s+\S")


class Operation(NamedTuple):
    """A slow operation: its query, its time, and what was counted."""

    asked: AskedQuery
    ms: int
    documents: int
    keys: int
    returned: int
    plan: str
    has_sort: bool


@dataclass
class SlowShape:
    """The slow operations of one shape, and the indexes that would serve them."""

    asked: AskedQuery
    count: int = 0
    total_ms: int = 0
    max_ms: int = 0
    documents: int = 0
    keys: int = 0
    returned: int = 0
    sorted_in_memory: int = 0
    plans: set[str] = field(default_factory=set)

    def add(self, operation: Operation) -> None:
        """Count an operation of this shape."""
        self.count += 1
        self.total_ms += operation.ms
        self.max_ms = max(self.max_ms, operation.ms)
        self.documents += operation.documents
        self.keys += operation.keys
        self.returned += operation.returned
        self.sorted_in_memory += operation.has_sort
        if operation.plan and len(self.plans) < 5:
            self.plans.add(operation.plan)

    @property
    def is_wasteful(self) -> bool:
        """Whether an index could help: documents are read for nothing, or sorted in memory."""
        wasted = self.documents - self.returned
        is_rare = self.documents > RATIO * max(1, self.returned)
        is_much = wasted > WASTED * self.count or is_rare
        return self.sorted_in_memory > 0 or (wasted > 0 and is_much)


@dataclass(frozen=True)
class SlowReport:
    """Slow operations by shape, those first that took most time in all.

    unread: lines or documents that are no operations of a known form, by what they are.
    """

    shapes: list[SlowShape]
    unread: Mapping[str, int]


def group_operations(documents: Iterable[JsonObject | str], over_ms: int = SLOW_MS) -> SlowReport:
    """Group what a profiler or a log has; a text stands for what could not be read, and why."""
    shapes: dict[object, SlowShape] = {}
    unread: dict[str, int] = {}
    for document in documents:
        operation = document if isinstance(document, str) else read_operation(document)
        if isinstance(operation, str):
            if operation:
                unread[operation] = unread.get(operation, 0) + 1
        elif operation.ms >= over_ms:
            shape = operation.asked.shape
            if shape not in shapes and len(shapes) >= MAX_SHAPES:
                unread["of further shapes"] = unread.get("of further shapes", 0) + 1
            else:
                shapes.setdefault(shape, SlowShape(operation.asked)).add(operation)
    ordered = sorted(shapes.values(), key=lambda each: (-each.total_ms, each.asked.shape.words))
    return SlowReport(ordered, unread)


def read_operation(document: Mapping[str, object]) -> Operation | str:
    """An operation of the profiler, or of the log's `attr`; a text where there is no query in it."""
    namespace, command = document.get("ns"), document.get("command")
    original = document.get("originatingCommand")
    command = original if isinstance(original, dict) else command
    if not isinstance(namespace, str) or not isinstance(command, dict):
        return "without a command"
    database, _, collection = namespace.partition(".")
    if collection == "system.profile" or database in {"admin", "config", "local"}:
        return ""
    asked = read_command(namespace, command)
    if asked is None:
        return "that read nothing by a filter"
    took = document.get("millis", document.get("durationMillis", 0))
    return Operation(
        asked,
        read_number(took),
        read_number(document.get("docsExamined")),
        read_number(document.get("keysExamined")),
        read_number(document.get("nreturned", document.get("nMatched"))),
        str(document.get("planSummary", "")),
        bool(document.get("hasSortStage")),
    )


def read_log(path: Path) -> Iterator[JsonObject | str]:
    """The slow operations of a log of MongoDB 4.4 or later, and what could not be read.

    Raises:
        OSError: the file cannot be read. UsageError: it is compressed, or no log.
    """
    lines, known = 0, False
    with path.open("rb") as file:
        if file.peek(2)[:2] == GZIP:
            raise UsageError(f"{path} is compressed", remedy="Unpack it with gunzip first.")
        while line := file.readline(MAX_LINE):
            lines += 1
            known = known or _is_of_log(line)
            if not line.endswith(b"\n") and len(line) == MAX_LINE:
                while rest := file.readline(MAX_LINE):
                    if rest.endswith(b"\n"):
                        break
                yield f"in a line over {MAX_LINE:,} bytes"
                continue
            found = _read_line(line)
            if found:
                yield found
    if lines and not known:
        raise UsageError(
            f"{path} is no log of MongoDB: none of {count_of(lines, 'line')} is one of a log",
            remedy="Give the file that mongod writes: systemLog.path, or the output of a container.",
        )


def _is_of_log(line: bytes) -> bool:
    """Whether a line is JSON with the fields of a log, or has the form of MongoDB 4.2."""
    if not line.lstrip().startswith(b"{"):
        return _OLD_FORM.match(line) is not None
    return b'"t"' in line and b'"msg"' in line


def _read_line(line: bytes) -> JsonObject | str:
    if not line.lstrip().startswith(b"{"):
        return "in lines of MongoDB 4.2, which have no JSON" if _OLD_LINE in line else ""
    if b'"Slow query"' not in line:
        return ""
    try:
        found = json_util.loads(line)
    except (ValueError, TypeError, KeyError, BSONError, RecursionError):
        return "in lines that are no JSON"
    attributes = found.get("attr") if isinstance(found, dict) else None
    return attributes if isinstance(attributes, dict) else "without a command"


def suggest(
    shapes: Sequence[SlowShape], has: Mapping[str, Sequence[IndexKey]]
) -> dict[str, list[IndexAdvice]]:
    """The indexes that would help, by collection: none that is there, none inside another one."""
    found: dict[str, list[IndexAdvice]] = {}
    for shape in shapes:
        if not shape.is_wasteful:
            continue
        name = shape.asked.shape.collection
        for each in advise(shape.asked):
            if not any(covers(key, each.key) for key in has.get(name, ())):
                found.setdefault(name, []).append(each)
    return {name: _leave_longest(listed) for name, listed in found.items()}


def _leave_longest(listed: Sequence[IndexAdvice]) -> list[IndexAdvice]:
    """Leave out what a longer index serves too."""
    longest_first = sorted(listed, key=lambda each: len(each.key), reverse=True)
    kept: list[IndexAdvice] = []
    for each in longest_first:
        if not any(covers(other.key, each.key) for other in kept):
            kept.append(each)
    return [each for each in dict.fromkeys(listed) if each in kept]
