"""Bodies of events as SDKs of servers send them, by a parser that knows their fields.

It reads most of what comes in a third of the time. What it declines `events.py` reads, whose rules
these are too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, MsgspecError, Struct, UnsetType, field
from msgspec.json import Decoder, Encoder

from assise.analytics.capture.elements import MAX_EVENT
from assise.analytics.capture.times import AHEAD, read_time
from assise.analytics.event import MAX_ID, MAX_NAME, Event

_TOLD = frozenset({"api_key", "token", "$token", "$ignore_sent_at"})
"""Properties that say something about the request."""


class _PlainEvent(Struct, gc=False):
    """An event of its own uuid. What is of type UnsetType must not be there."""

    event: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    distinct_id: Annotated[str, Meta(max_length=MAX_ID)]
    uuid: UUID
    timestamp: Annotated[str, Meta(max_length=100)]
    properties: dict[str, object]
    set: object = field(default=UNSET, name="$set")
    set_once: object = field(default=UNSET, name="$set_once")
    unset: UnsetType = field(default=UNSET, name="$unset")
    session_id: UnsetType = UNSET
    window_id: UnsetType = UNSET
    dollar_session_id: UnsetType = field(default=UNSET, name="$session_id")
    dollar_window_id: UnsetType = field(default=UNSET, name="$window_id")
    api_key: UnsetType = UNSET
    token: UnsetType = UNSET
    dollar_token: UnsetType = field(default=UNSET, name="$token")
    offset: UnsetType = UNSET


class _PlainBatch(Struct):
    """A body of events, all of one key."""

    api_key: Annotated[str, Meta(min_length=1)]
    batch: list[_PlainEvent]
    sent_at: str | None = None
    older_sent_at: str | None = field(default=None, name="sentAt")


_decode = Decoder(_PlainBatch).decode
_encode = Encoder().encode


def read_plain(text: str, *, now: dt.datetime, sent_at: object) -> tuple[list[Event], str] | None:
    """The events of a body and its key; None where anything is unusual.

    `sent_at` is that of the URL, before which the body's counts.
    """
    if len(text) > MAX_EVENT or text.count('"batch"') > 1 or "\\u0000" in text:
        return None
    try:
        found = _decode(text)
        sent = read_time(found.sent_at or found.older_sent_at or sent_at)
        return [*_list_events(found.batch, sent, now)], found.api_key
    except (MsgspecError, ValueError, OverflowError, RecursionError):
        return None


def _list_events(
    batch: list[_PlainEvent], sent: dt.datetime | None, now: dt.datetime
) -> Iterator[Event]:
    """The events, of which `sent` corrects the times as `correct` does.

    Raises:
        ValueError: one is unusual.
    """
    delay, limit = now - (sent or now), now + AHEAD
    for each in batch:
        properties, at = each.properties, read_time(each.timestamp)
        if at is None or each.event.isspace() or not _TOLD.isdisjoint(properties):
            raise ValueError(each.event)
        at += delay
        if each.set is not UNSET:
            properties["$set"] = each.set
        if each.set_once is not UNSET:
            properties["$set_once"] = each.set_once
        session = properties.get("$session_id")
        fields = (
            each.uuid,
            each.event,
            each.distinct_id,
            now if at > limit else at,
            each.timestamp,
            _encode(properties).decode(),
            session[:MAX_ID] if isinstance(session, str) else None,
        )
        yield Event._make(fields)
