"""Batches to a server that takes them, takes them later, or does not."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from uuid import UUID

import pytest
from tests.analytics.forward.posthog import CUT, KEY, PostHog, run_posthog

from assise.analytics.forward.sender import MAX_BYTES, Outgoing, Sender
from assise.errors import ForwardError

AT = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)
WAITS: list[float] = []


def wait(seconds: float) -> bool:
    """Go on at once, and note how long it would have been."""
    WAITS.append(seconds)
    return True


@pytest.fixture
def posthog() -> Iterator[PostHog]:
    """A server that takes everything."""
    WAITS.clear()
    with run_posthog() as made:
        yield made


@pytest.fixture
def sender(posthog: PostHog) -> Iterator[Sender]:
    """What sends to it."""
    made = Sender(posthog.url, KEY, wait)
    yield made
    made.close()


def events(count: int, properties: str = '{"plan":"pro","é":"ü"}') -> list[Outgoing]:
    """Events in order."""
    return [Outgoing(UUID(int=n), f"e{n}", f"u{n}", AT, properties) for n in range(count)]


def test_a_batch_arrives_in_order_with_its_uuids_and_times(
    posthog: PostHog, sender: Sender
) -> None:
    assert sender.send(events(3)) == []
    assert [each["event"] for each in posthog.taken] == ["e0", "e1", "e2"]
    assert posthog.taken[1] == {
        "uuid": str(UUID(int=1)),
        "event": "e1",
        "distinct_id": "u1",
        "timestamp": "2026-01-02T03:04:05.678901+00:00",
        "properties": {"plan": "pro", "é": "ü"},
    }


@pytest.mark.parametrize("status", [503, 429, 500, 408, CUT])
def test_what_is_not_taken_now_is_sent_again_with_another_time_of_sending(
    posthog: PostHog, sender: Sender, status: int
) -> None:
    posthog.plan[:] = [status] * 3
    assert sender.send(events(5)) == []
    assert len(posthog.bodies) == 4
    assert WAITS == [1, 2, 4]
    assert len(posthog.events) == 5
    assert {json.dumps(each["batch"]) for each in posthog.bodies} == {
        json.dumps(posthog.bodies[0]["batch"])
    }
    sent = [dt.datetime.fromisoformat(each["sent_at"]) for each in posthog.bodies]
    assert sent == sorted(set(sent))
    assert dt.datetime.now(dt.UTC) - sent[0] < dt.timedelta(minutes=1)


def test_it_gives_up_for_now_and_says_that_nothing_is_lost(
    posthog: PostHog, sender: Sender
) -> None:
    posthog.plan[:] = [503] * 9
    with pytest.raises(ForwardError, match="takes no events now: status 503"):
        sender.send(events(1))
    assert len(posthog.bodies) == 4
    sender.close()
    away = Sender("http://127.0.0.1:9", KEY, wait)
    with pytest.raises(ForwardError, match="ConnectError"):
        away.send(events(1))
    with pytest.raises(ForwardError, match="is no URL"):
        Sender("http://a:b", KEY, wait).send(events(1))


def test_it_waits_as_long_as_it_is_told_to(posthog: PostHog, sender: Sender) -> None:
    posthog.plan[:], posthog.retry_after = [429, 503], "7"
    sender.send(events(1))
    posthog.plan[:], posthog.retry_after = [429], "86400"
    sender.send(events(1))
    assert WAITS == [7, 7, 30]


def test_it_stops_when_it_is_told_to(posthog: PostHog) -> None:
    posthog.plan[:] = [503] * 9
    stopped = Sender(posthog.url, KEY, lambda _: False)
    with pytest.raises(ForwardError):
        stopped.send(events(1))
    stopped.close()
    assert len(posthog.bodies) == 1


def test_one_refused_event_does_not_hold_up_the_others(posthog: PostHog, sender: Sender) -> None:
    posthog.bad = frozenset({"e5"})
    (refused,) = sender.send(events(9))
    assert refused.uuid == UUID(int=5)
    assert refused.answer == "status 400: no"
    assert [each["event"] for each in posthog.taken] == [f"e{n}" for n in range(9) if n != 5]


def test_batches_are_as_small_as_they_have_to_be(posthog: PostHog, sender: Sender) -> None:
    posthog.most = 3
    assert sender.send(events(10)) == []
    assert [each["event"] for each in posthog.taken] == [f"e{n}" for n in range(10)]
    large = json.dumps({"text": "x" * (MAX_BYTES // 3)})
    posthog.most, posthog.bodies[:] = 100, []
    assert sender.send(events(7, large)) == []
    assert [len(each["batch"]) for each in posthog.bodies] == [2, 2, 2, 1]


def test_a_wrong_key_and_another_server_are_told(posthog: PostHog) -> None:
    wrong = Sender(posthog.url, "phc_wrong", wait)
    with pytest.raises(ForwardError, match="refuses the key") as raised:
        wrong.send(events(1))
    assert "phc_wrong" not in str(raised.value)
    wrong.close()
    posthog.plan[:] = [302]
    other = Sender(posthog.url, KEY, wait)
    with pytest.raises(ForwardError, match="status 302, as PostHog does not"):
        other.send(events(2))
    other.close()
    assert not posthog.taken
