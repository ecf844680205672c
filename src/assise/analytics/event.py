"""An event: what happened to whom, when; and which traffic it is."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple
from uuid import UUID, uuid4

Traffic = Literal["person", "anonymous", "system", "bot", "internal"]

MAX_ID, MAX_NAME = 200, 200
"""Characters of an id of a person, and of an event's name, at most, of those that come by HTTP."""

SHARED_IDS = frozenset(
    "anonymous guest distinct_id distinctid id not_authenticated email undefined true false nan null"
    " none nil 0 00000000-0000-0000-0000-000000000000".split()
) | {"[object object]", ""}
"""Ids that programs send when they know none, so that everybody has them.

As PostHog's ingestion refuses to merge by, in any case of letters and with quotes around.
"""

SYSTEM_EVENTS = frozenset(
    "$identify $set $set_once $unset $create_alias $merge_dangerously $groupidentify"
    " $feature_flag_called $exception $performance_event $web_vitals $opt_in $snapshot".split()
)
"""Events that tell something, and are no activity of a person."""

_BOT = re.compile(
    r"bot\b|bot/|crawl|spider|slurp|headless|phantomjs|puppeteer|playwright|selenium|lighthouse"
    r"|facebookexternalhit|preview|pingdom|uptime|monitor|curl/|wget/|python-requests"
    r"|python-urllib|go-http-client|java/|okhttp|axios/|scrapy|httpclient",
    re.IGNORECASE,
)
_INTERNAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]", "0.0.0.0"})  # noqa: S104
_UNFIT = re.compile("[\0\ud800-\udfff]")
_MARK = "\x1f"
"""The unit separator of ASCII, which JSON has no place for and no name is likely to hold."""


class Event(NamedTuple):
    """An event: its times by our clock and as sent, and its properties as JSON.

    `distinct_id` is a user's key, or the id of somebody who is not signed in; empty where nobody
    did it. Two events with one uuid are the same.
    """

    uuid: UUID
    event: str
    distinct_id: str
    at: dt.datetime
    sent: str = ""
    properties: str = "{}"
    session: str | None = None


def is_shared(distinct_id: str) -> bool:
    """Whether an id is one that everybody has, such as `null`.

    >>> is_shared("null"), is_shared("'Undefined'"), is_shared("u1")
    (True, True, False)
    """
    return distinct_id.strip().strip("'\"").strip().lower() in SHARED_IDS


def classify(event: str, distinct_id: str, properties: Mapping[str, object]) -> Traffic:
    """Which traffic an event is. Bots and internal traffic are kept, and not counted as users."""
    agent = properties.get("$raw_user_agent") or properties.get("$user_agent")
    if properties.get("$is_bot") is True or (isinstance(agent, str) and _BOT.search(agent)):
        return "bot"
    host = properties.get("$host")
    is_local = isinstance(host, str) and host.rpartition(":")[0] in _INTERNAL_HOSTS
    if is_local or host in _INTERNAL_HOSTS or properties.get("$internal") is True:
        return "internal"
    found = _classify_by_names(event, distinct_id)
    has_profile = properties.get("$process_person_profile") is not False
    return found if found != "person" or has_profile else "anonymous"


def _classify_by_names(event: str, distinct_id: str) -> Traffic:
    if event in SYSTEM_EVENTS:
        return "system"
    return "anonymous" if is_shared(distinct_id) else "person"


def write_properties(properties: Mapping[str, object]) -> str:
    """The properties as JSON that PostgreSQL takes: no NUL, no half of a pair, no NaN."""
    return json.dumps(_clean(properties), ensure_ascii=False, separators=(",", ":"), default=str)


def _clean(value: object) -> object:
    match value:
        case str():
            return _UNFIT.sub("�", value)
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {_UNFIT.sub("�", str(key)): _clean(each) for key, each in value.items()}
        case list() | tuple() | set():
            return [_clean(each) for each in value]
    return value


def as_parameters(events: Sequence[Event]) -> dict[str, object]:
    """What the query `track` takes: of each field one text, each value of it behind a mark."""
    columns = zip(*events, strict=True) if events else [()] * len(Event._fields)
    uuids, names, ids, ats, sents, properties, sessions = columns
    texts = {
        "events": names,
        "ids": ids,
        "sents": sents,
        "sessions": [each or "" for each in sessions],
        "traffics": [*map(_classify_text, names, ids, properties)],
        "properties": properties,
    }
    is_plain = not any(_MARK in "".join(values) for values in texts.values())
    mark = _MARK if is_plain else uuid4().hex
    joined = {name: _replace_unfit(mark.join(["", *values])) for name, values in texts.items()}
    return {"mark": mark, "uuids": [*uuids], "ats": [*ats], **joined}


def _replace_unfit(text: str) -> str:
    return text if text.isascii() and "\0" not in text else _UNFIT.sub("�", text)


_TELLING = re.compile(
    r'"\$(raw_user_agent|user_agent|is_bot|host|internal|process_person_profile)"'
)


def _classify_text(event: str, distinct_id: str, properties: str) -> Traffic:
    """The traffic; properties are read only where one of them tells something about it."""
    if _TELLING.search(properties):
        return classify(event, distinct_id, json.loads(properties))
    return _classify_by_names(event, distinct_id)
