"""Readers that are written once for sessions with await and without: generators of statements."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import TypeVar

from assise.postgres.pool import Record

T = TypeVar("T")
AskedStatement = tuple[str, Mapping[str, object]]
"""A statement and its parameters."""

Asking = Generator[AskedStatement, Sequence[Record], T]
"""Asks statement after statement, gets the rows of each, and ends with what it has read."""


def answer(asking: Asking[T], fetch: Callable[..., Sequence[Record]]) -> T:
    """Let a reader read by `fetch(statement, parameters)`."""
    try:
        asked = next(asking)
        while True:
            asked = asking.send(fetch(*asked))
    except StopIteration as end:
        found: T = end.value
        return found


async def answer_async(asking: Asking[T], fetch: Callable[..., Awaitable[Sequence[Record]]]) -> T:
    """Let a reader read by `await fetch(statement, parameters)`."""
    try:
        asked = next(asking)
        while True:
            asked = asking.send(await fetch(*asked))
    except StopIteration as end:
        found: T = end.value
        return found
