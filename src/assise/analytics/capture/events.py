"""Events as they are kept, from what the SDKs send."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from json import JSONEncoder
from typing import NamedTuple
from uuid import UUID, SafeUUID, uuid4

from pydantic_core import to_json

from assise.analytics.capture.elements import read_events
from assise.analytics.capture.times import AHEAD, correct, read_time
from assise.analytics.event import MAX_ID, MAX_NAME, Event
from assise.errors import RequestError
from assise.extras import load

_ENCODER = JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":"), allow_nan=False
)
_CANONICAL = JSONEncoder(sort_keys=True, separators=(",", ":"))
_MOVED = {
    "$set": "$set",
    "$set_once": "$set_once",
    "$unset": "$unset",
    "$session_id": "$session_id",
    "$window_id": "$window_id",
    "session_id": "$session_id",
    "window_id": "$window_id",
}
"""What clients write beside the properties, and its name in them."""

_KEYS = frozenset({"api_key", "token", "$token"})
_OF_SENDING = {"sent_at", "sentAt", "offset"}


class SentBatch(NamedTuple):
    """The events of a request, its keys, and how many elements are no event."""

    events: list[Event]
    keys: frozenset[str]
    malformed: int


def read_batch(text: str, *, now: dt.datetime, sent_at: object = None) -> SentBatch:
    """Read the events of a body; `sent_at` is that of the URL, before which the body's counts.

    Raises:
        RequestError: it is no JSON, too large, or holds nothing but what is no event.
    """
    read_plain = load("assise.analytics.capture.plain", extra="analytics").read_plain
    if (plain := read_plain(text, now=now, sent_at=sent_at)) is not None:
        events, key = plain
        return SentBatch(events, frozenset((key,)), 0)
    reading = _Reading()
    fields = read_events(text, reading.take)
    sent = read_time(fields.get("sent_at") or fields.get("sentAt") or sent_at)
    if reading.malformed and not reading.elements:
        remedy = "An event has the fields event and distinct_id."
        raise RequestError("the body holds no event", remedy=remedy)
    keys = reading.keys if (own := _find_key(fields)) is None else {*reading.keys, own}
    seen: Counter[bytes] = Counter()
    events = [each.finish(sent, now, seen) for each in reading.elements]
    return SentBatch(events, frozenset(keys), reading.malformed)


def _find_key(fields: dict[str, object]) -> str | None:
    if _KEYS.isdisjoint(fields):
        return None
    found = fields.get("api_key") or fields.get("token") or fields.get("$token")
    return found if isinstance(found, str) else None


def read_history(text: str) -> SentBatch:
    """Read the events of a line of before: as SDKs send them, or as PostHog exports them.

    No clock is corrected, as nobody knows when the line came. What has no time is no event here: it
    would have happened now.

    Raises:
        RequestError: it is no JSON, or too large.
    """
    reading = _Reading()
    fields = read_events(text, lambda element: reading.take(_read_export(element)))
    sent = read_time(fields.get("sent_at") or fields.get("sentAt"))
    latest = dt.datetime.now(dt.UTC) + AHEAD
    timed = []
    for each in reading.elements:
        at = read_time(each.time)
        is_known = sent is not None and isinstance(each.offset, int | float)
        if is_known or (at is not None and at <= latest):
            timed.append(each)
    events = [each.finish(None, sent or latest - AHEAD, Counter()) for each in timed]
    malformed = reading.malformed + len(reading.elements) - len(timed)
    return SentBatch(events, frozenset(reading.keys), malformed)


def _read_export(element: object) -> object:
    """An event of an export as an SDK would have sent it."""
    if not isinstance(element, dict):
        return element
    found = dict(element)
    if isinstance(text := found.get("properties"), str):
        found["properties"] = read_fields(text)
    if found.get("uuid") is None:
        found["uuid"] = found.get("id")
    if chain := found.get("elements_chain"):
        properties = found.get("properties")
        given = properties if isinstance(properties, dict) else {}
        found["properties"] = {"$elements_chain": chain, **given}
    return found


class _Element(NamedTuple):
    """An event whose time is not corrected yet."""

    uuid: UUID | None
    event: str
    distinct_id: str
    time: object
    offset: object
    trusts_clock: bool
    properties: str
    session: str | None
    digest: bytes

    def finish(self, sent_at: dt.datetime | None, now: dt.datetime, seen: Counter[bytes]) -> Event:
        skew = None if self.trusts_clock else sent_at
        at = correct(self.time, offset=self.offset, sent_at=skew, now=now)
        uuid = self.uuid or self._make_uuid(sent_at, seen)
        sent = "" if self.time is None else str(self.time)[:100]
        return Event(uuid, self.event, self.distinct_id, at, sent, self.properties, self.session)

    def _make_uuid(self, sent_at: dt.datetime | None, seen: Counter[bytes]) -> UUID:
        """A uuid from the content and its time as sent, so that it is the same when sent again.

        Of two equal events in one request the second is another one. Without any time, a second
        request is a second event.
        """
        if self.time is None and sent_at is None:
            return uuid4()
        when = str(sent_at) if self.time is None else ""
        digest = hashlib.sha256(self.digest + when.encode()).digest()
        seen[digest] += 1
        content = hashlib.sha256(digest + str(seen[digest]).encode()).digest()
        return UUID(bytes=content[:16], version=5)


@dataclass
class _Reading:
    elements: list[_Element] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    malformed: int = 0

    def take(self, element: object) -> None:
        if not isinstance(element, dict):
            self.malformed += 1
            return
        given = element.get("properties")
        properties: dict[str, object] = given if isinstance(given, dict) else {}
        key = _find_key(element) or _find_key(properties)
        if key is not None:
            self.keys.add(key)
        name = element.get("event")
        if name is None and ("$set" in element or "$set_once" in element):
            name = "$identify"
        if not isinstance(name, str) or not name.strip():
            self.malformed += 1
            return
        try:
            self.elements.append(_read_element(element, name, properties))
        except RecursionError:
            self.malformed += 1


def _read_element(element: dict[str, object], name: str, properties: dict[str, object]) -> _Element:
    person = element.get("distinct_id")
    if person is None:
        person = element.get("$distinct_id")
    if person is None:
        person = properties.get("distinct_id")
    uuid = _read_uuid(element.get("uuid"))
    digest = b""
    if uuid is None:
        content = [name, person, {key: element[key] for key in element.keys() - _OF_SENDING}]
        digest = hashlib.sha256(_CANONICAL.encode(content).encode()).digest()
    kept = properties
    if "token" in kept or not _MOVED.keys().isdisjoint(element):
        moved = {into: element[key] for key, into in _MOVED.items() if key in element}
        kept = {**properties, **moved}
        kept.pop("token", None)
    text_id = _write_id(person)
    if len(text_id) > MAX_ID:
        kept["$long_distinct_id"] = text_id
    session = kept.get("$session_id")
    return _Element(
        uuid,
        _clean(name)[:MAX_NAME],
        shorten(_clean(text_id)),
        element.get("timestamp"),
        element.get("offset"),
        properties.get("$ignore_sent_at") is True,
        _encode(kept),
        _clean(session)[:MAX_ID] if isinstance(session, str) else None,
        digest,
    )


def _write_id(person: object) -> str:
    """The text of an id, which old clients send as a number too; empty where there is none."""
    if person is None:
        return ""
    return person if isinstance(person, str) else _ENCODER.encode(_clean_value(person))


def _read_uuid(value: object) -> UUID | None:
    if not isinstance(value, str) or len(value) >= 50:
        return None
    digits = value.replace("-", "")
    try:
        return _make_uuid(int(digits, 16)) if len(digits) == 32 else UUID(value)
    except ValueError:
        return None


def _make_uuid(number: int) -> UUID:
    """A uuid by its fields: its constructor takes as long as reading the event."""
    made = UUID.__new__(UUID)
    object.__setattr__(made, "int", number)
    object.__setattr__(made, "is_safe", SafeUUID.unknown)
    return made


def shorten(text: str) -> str:
    """An id that an index can hold; two long ones that differ stay two."""
    if len(text) <= MAX_ID:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[: MAX_ID - len(digest) - 1]}:{digest}"


def _encode(value: object) -> str:
    """JSON that jsonb can hold: without NUL, halves of characters and infinite numbers."""
    try:
        text = to_json(value, inf_nan_mode="null").decode()
    except ValueError:
        return _ENCODER.encode(_clean_value(value))
    return _ENCODER.encode(_clean_value(value)) if "\\u0000" in text else text


def _clean_value(value: object) -> object:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean(key): _clean_value(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_clean_value(each) for each in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value


def _clean(text: str) -> str:
    if text.isprintable():
        return text
    return (
        text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


def read_fields(text: str) -> dict[str, object]:
    """The fields of a body that holds no events, such as one that asks for flags.

    Raises:
        RequestError: it is no JSON object.
    """
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise RequestError("the body is no JSON") from error
    if not isinstance(found, dict):
        raise RequestError("the body is no JSON object")
    return found
