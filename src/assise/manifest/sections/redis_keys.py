"""The keys of Redis: their patterns, what stands there, where, and how long."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Literal

from pydantic import Field, RootModel

from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.cached import split_tag
from assise.manifest.sections.redis import RedisUse
from assise.settings import parse_duration
from assise.wording import show

RedisKind = Literal["json", "counter", "queue", "limit", "geo"]
"""What stands at a key: a value, whole numbers by name, jobs, how often, places."""

_RATE = re.compile(r"([1-9]\d{0,8})/(.+)")
_ONE = re.compile(r"second|minute|hour|day|week")


class RedisKey(Keyed):
    """A pattern of keys, with fields as `{user_id}`.

    db: the number of its database. keep: how long a value stays. server: the one that evicts, or
    the one that does not. limit: how often in which time, as `100/hour` or `5/15 minutes`.
    tries: how often a job is tried. visible: how long one may take before it is given to another.
    """

    pattern: str
    type: RedisKind
    db: int = Field(default=0, ge=0, le=1_000)
    keep: str | None = None
    server: RedisUse = "data"
    limit: str | None = None
    tries: int = Field(default=5, ge=1, le=1_000)
    visible: str = "1 minute"

    @property
    def keep_s(self) -> float | None:
        """The seconds that a value stays; None for ever."""
        found = parse_duration(self.keep) if self.keep else None
        return found.total_seconds() if found else None

    @property
    def rate(self) -> tuple[int, float]:
        """How often, in how many seconds."""
        found = read_rate(self.limit or "")
        return found or (0, 1.0)

    @property
    def visible_s(self) -> float:
        """The seconds that a job may take."""
        return (parse_duration(self.visible) or timedelta(minutes=1)).total_seconds()


class RedisKeys(RootModel[Mapping[str, RedisKey]]):
    """The declared keys by name."""


def read_rate(text: str) -> tuple[int, float] | None:
    """How often, and in how many seconds.

    >>> read_rate("100/hour"), read_rate("5/15 minutes"), read_rate("5")
    ((100, 3600.0), (5, 900.0), None)
    """
    match = _RATE.fullmatch(text)
    if match is None:
        return None
    time = match[2] if not _ONE.fullmatch(match[2]) else f"1 {match[2]}"
    found = parse_duration(time)
    return (int(match[1]), found.total_seconds()) if found else None


def _check(place: Place, keys: RedisKeys, tables: Tables) -> Iterator[Problem]:
    del tables
    patterns: dict[tuple[str, int, str], str] = {}
    for name, key in keys.root.items():
        at = (*place, name)
        yield from _check_pattern((*at, "pattern"), key.pattern)
        shape = key.server, key.db, re.sub(r"\{\w*\}", "{}", key.pattern)
        if shape in patterns:
            remedy = "Give each its own pattern."
            yield Problem(
                (*at, "pattern"), f"is that of {patterns[shape]}", show(key.pattern), remedy
            )
        patterns[shape] = name
        if key.keep is not None and not key.keep_s:
            remedy = "Write a time such as 24 hours."
            yield Problem((*at, "keep"), "is no time to keep a value", show(key.keep), remedy)
        if (key.type == "limit") != (key.limit is not None):
            remedy = "Write limit: 100/hour at keys of type limit, and nowhere else."
            yield Problem((*at, "limit"), "belongs to type limit", remedy=remedy)
        elif key.limit is not None and read_rate(key.limit) is None:
            remedy = "Write a number and a time: 100/hour, 5/15 minutes."
            yield Problem((*at, "limit"), "is no rate", show(key.limit), remedy)
        if key.server == "cache" and key.type != "json":
            remedy = "Remove server: only values may be evicted."
            yield Problem((*at, "server"), f"evicts, which a {key.type} does not bear", "", remedy)
        if not parse_duration(key.visible):
            remedy = "Write a time such as 1 minute."
            yield Problem((*at, "visible"), "is no time", show(key.visible), remedy)


def _check_pattern(place: Place, pattern: str) -> Iterator[Problem]:
    try:
        parts = split_tag(pattern)
    except ValueError as error:
        yield Problem(place, str(error), show(pattern), "Write name:{field}.")
        return
    if not parts or not re.match(r"[A-Za-z]", parts[0][0]):
        remedy = "Begin with a name: user:session:{user_id}."
        yield Problem(place, "begins with no name", show(pattern), remedy)
    elif any(not before for before, field in parts[1:] if field is not None):
        remedy = "Put a colon between them."
        yield Problem(place, "has two fields side by side", show(pattern), remedy)


_TEXTS = ("pattern", "keep", "limit", "visible")
_PROPERTIES: dict[str, Schema] = {
    **{name: {"type": "string"} for name in _TEXTS},
    "type": {"enum": ["json", "counter", "queue", "limit", "geo"]},
    "server": {"enum": ["cache", "data"]},
    "db": {"type": "integer"},
    "tries": {"type": "integer"},
}
REDIS_KEYS = Key(
    "redis_keys",
    "manifest",
    help="keys of Redis by name: pattern, type (json, counter, queue, limit, geo), db, keep, server"
    " (data, or cache, which evicts); of a limit how often, of a queue tries and visible",
    affects="nothing",
    type=RedisKeys,
    check=_check,
    schema={
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "additionalProperties": False,
            "required": ["pattern", "type"],
            "properties": _PROPERTIES,
        },
    },
    written=lambda _place, keys, _tables: keys.model_dump(mode="json", exclude_unset=True),
    default="no keys are declared",
)
KEYS = (REDIS_KEYS,)
