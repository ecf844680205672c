"""Batches of events to PostHog: sent until it has taken them, in order, and each with its uuid."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from assise.errors import ForwardError
from assise.extras import load

if TYPE_CHECKING:
    import httpx

HOST = "https://us.i.posthog.com"
TRIES, TIMEOUT_S, LONGEST_WAIT_S = 4, 15.0, 30.0
MAX_BYTES = 4 << 20
"""Bytes of a request, before it is packed; PostHog takes 20 MiB."""

_LATER = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_REFUSED_KEY = frozenset({401, 403})
_TOO_LARGE = 413


class Outgoing(NamedTuple):
    """An event as it is kept: its corrected time, and its properties as JSON."""

    uuid: UUID
    event: str
    distinct_id: str
    at: dt.datetime
    properties: str

    def write(self) -> str:
        """The event as PostHog reads it."""
        names = {
            "uuid": str(self.uuid),
            "event": self.event,
            "distinct_id": self.distinct_id,
            "timestamp": self.at.astimezone(dt.UTC).isoformat(),
        }
        return f'{json.dumps(names)[:-1]}, "properties": {self.properties or "{}"}}}'


class Refused(NamedTuple):
    """An event that PostHog does not take, whatever is done, with its answer."""

    uuid: UUID
    answer: str


@dataclass
class Sender:
    """Sends to one project of PostHog.

    The time of sending is written anew for each try: an event that has waited a day, sent with the
    time of its first try, would be moved by that day. Times are ours, and corrected already.

    Args:
        wait: waits some seconds, and says whether to go on.
    """

    host: str
    key: str
    wait: Callable[[float], bool]
    tries: int = TRIES
    _client: httpx.Client | None = field(default=None, repr=False)

    def send(self, events: Sequence[Outgoing]) -> list[Refused]:
        """Send all events, in order; those that PostHog refuses for ever are given back.

        Raises:
            ForwardError: PostHog cannot be reached, or takes nothing now. What was sent may be sent
            again: it has the same uuid and time, by which PostHog knows it.
        """
        refused = []
        for part in _split(events):
            refused += self._send_part(part)
        return refused

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _send_part(self, events: Sequence[Outgoing]) -> list[Refused]:
        answer = self._post(events)
        if answer.is_success:
            return []
        if answer.status_code in _REFUSED_KEY:
            raise ForwardError(
                f"PostHog refuses the key: status {answer.status_code}",
                remedy="Correct analytics.events.forward.posthog: a key of the project, phc_…. The"
                " events are kept until it is taken.",
            )
        if answer.status_code != _TOO_LARGE and not 400 <= answer.status_code < 500:
            raise ForwardError(
                f"{self.host} answers with status {answer.status_code}, as PostHog does not",
                remedy="Correct analytics.events.forward.host. The events are kept.",
            )
        if len(events) == 1:
            said = f"status {answer.status_code}: {answer.text[:200]}"
            return [Refused(events[0].uuid, said)]
        half = len(events) // 2
        return self._send_part(events[:half]) + self._send_part(events[half:])

    def _post(self, events: Sequence[Outgoing]) -> httpx.Response:
        """Post until it is answered otherwise than "later"."""
        library, said = load("httpx", extra="analytics"), ""
        for attempt in range(self.tries):
            try:
                answer: httpx.Response = self._open().post(
                    f"{self.host.rstrip('/')}/batch/",
                    content=gzip.compress(self._write(events), 6),
                    headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
                )
                if answer.status_code not in _LATER:
                    return answer
                said = f"status {answer.status_code}"
                wait = _read_wait(answer.headers.get("retry-after", ""))
            except library.HTTPError as error:
                said, wait = type(error).__name__, 0.0
            except (library.InvalidURL, UnicodeError) as error:
                remedy = "Write it as https://eu.i.posthog.com."
                raise ForwardError(
                    f"the host of PostHog is no URL: {error}", remedy=remedy
                ) from error
            if attempt + 1 < self.tries and not self.wait(max(wait, 2.0**attempt)):
                break
        raise ForwardError(
            f"PostHog takes no events now: {said}",
            remedy="They are kept, and sent when it does.",
        )

    def _open(self) -> httpx.Client:
        if self._client is None:
            client: httpx.Client = load("httpx", extra="analytics").Client(timeout=TIMEOUT_S)
            self._client = client
        return self._client

    def _write(self, events: Sequence[Outgoing]) -> bytes:
        now = dt.datetime.now(dt.UTC).isoformat()
        head = json.dumps({"api_key": self.key, "historical_migration": False, "sent_at": now})
        listed = ",".join(each.write() for each in events)
        return f'{head[:-1]}, "batch": [{listed}]}}'.encode()


def _read_wait(text: str) -> float:
    """The seconds of `Retry-After`, at most half a minute."""
    return min(float(text), LONGEST_WAIT_S) if re.fullmatch(r"\d{1,6}", text.strip()) else 0.0


def _split(events: Sequence[Outgoing]) -> Iterator[Sequence[Outgoing]]:
    """Parts that a request can hold."""
    begin, size = 0, 0
    for n, each in enumerate(events):
        length = len(each.properties) + len(each.event) + len(each.distinct_id) + 200
        if n > begin and size + length > MAX_BYTES:
            yield events[begin:n]
            begin, size = n, 0
        size += length
    if begin < len(events):
        yield events[begin:]
