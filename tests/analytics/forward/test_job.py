"""Forwarding from the copy that is kept here: in order, once, and later where PostHog is away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from tests.analytics.forward.posthog import CUT, KEY, PostHog, run_posthog
from tests.scenes.databases import Template

from assise.analytics.event import Event
from assise.analytics.forward import job, sender
from assise.analytics.months import make_months
from assise.analytics.store import insert_history, insert_sync
from assise.errors import ForwardError
from assise.postgres.connection import Connection
from assise.project import Project
from assise.transfer.finished import open_loaded

Query = Callable[..., list[tuple[object, ...]]]
AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def template(selling: Template) -> Template:
    """What tests get copies of."""
    return selling


@pytest.fixture
def posthog(monkeypatch: pytest.MonkeyPatch) -> Iterator[PostHog]:
    """PostHog, to which the manifest's variables point; nobody waits for it."""
    monkeypatch.setattr(job, "_wait", lambda _stop, _seconds: True)
    with run_posthog() as made:
        monkeypatch.setenv("POSTHOG_API_KEY", KEY)
        monkeypatch.setenv("POSTHOG_HOST", made.url)
        yield made


@pytest.fixture
def service(template: Template, tmp_path: Path, database: str, posthog: PostHog) -> Project:
    """A copy of the service, whose worker has begun to forward."""
    project = template.copy(tmp_path, database)
    assert posthog.port
    assert work(project) == ""
    return project


def work(service: Project) -> str:
    """One run of the worker's job: what it says, or its error."""
    with open_loaded(service.workspace) as (connection, loaded):
        (found,) = job.list_jobs(loaded)
        return found.run(connection, lambda: False)


def keep(service: Project, first: int, count: int) -> None:
    """Keep events that happened long ago."""
    events = [
        Event(UUID(int=n + 1), f"e{n}", f"u{n % 7}", AT, properties=f'{{"n": {n}}}')
        for n in range(first, first + count)
    ]
    with service.connect(service.manifest) as connection:
        insert_sync(connection, events)


def names(posthog: PostHog) -> list[int]:
    """The numbers of the events that PostHog has got, in order."""
    return [int(each["event"][1:]) for each in posthog.taken]


def test_history_that_was_imported_is_not_sent(service: Project, posthog: PostHog) -> None:
    with service.connect(service.manifest) as connection:
        make_months(connection, [AT])
        insert_history(connection, [Event(UUID(int=99_000), "e99", "u1", AT)])
    keep(service, 0, 3)
    work(service)
    assert names(posthog) == [0, 1, 2]


def test_events_are_sent_in_order_and_each_once(service: Project, posthog: PostHog) -> None:
    keep(service, 0, 1_200)
    keep(service, 1_200, 5)
    assert work(service) == "1,205 events sent"
    assert names(posthog) == list(range(1_205))
    assert [len(each["batch"]) for each in posthog.bodies] == [500, 500, 205]
    assert posthog.taken[3]["properties"] == {"n": 3}
    assert posthog.taken[3]["timestamp"] == "2026-01-02T03:04:05+00:00"
    assert work(service) == ""
    keep(service, 1_205, 1)
    keep(service, 0, 10)
    assert work(service) == "1 event sent"
    assert names(posthog) == list(range(1_206))


def test_the_worker_forwards(service: Project, posthog: PostHog) -> None:
    keep(service, 0, 2)
    assert ("forward events", "2 events sent") in service.work(is_once=True).done
    assert names(posthog) == [0, 1]


def test_nothing_is_lost_while_posthog_is_away_for_a_day(
    service: Project, posthog: PostHog, query: Query
) -> None:
    for tries in range(4):
        keep(service, tries * 180, 180)
        posthog.plan[:] = [503, 500, 429, 503]
        with pytest.raises(ForwardError, match="takes no events now"):
            work(service)
        assert len(posthog.bodies) == 4 * (tries + 1)
    with service.connect(service.manifest) as connection:
        make_months(connection, [dt.datetime.now(dt.UTC) - dt.timedelta(days=1)])
    query("UPDATE assise.analytics_events SET arrived = arrived - interval '1 day'")
    assert not posthog.taken
    assert work(service) == "720 events sent"
    assert names(posthog) == list(range(720))
    ages = [dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(each["sent_at"])
            for each in posthog.bodies[-2:]]  # fmt: skip
    assert max(ages) < dt.timedelta(minutes=5), "the time of sending is that of this try"
    assert {each["timestamp"] for each in posthog.taken} == {"2026-01-02T03:04:05+00:00"}


def test_an_answer_that_is_lost_doubles_nothing(service: Project, posthog: PostHog) -> None:
    keep(service, 0, 700)
    posthog.plan[:] = [200, CUT, CUT, CUT, CUT]
    with pytest.raises(ForwardError, match="500 events sent, then: PostHog takes no events now"):
        work(service)
    assert work(service) == "200 events sent"
    assert len(posthog.taken) == 1_500
    assert [each["event"] for each in posthog.events] == [f"e{n}" for n in range(700)]
    assert len({str(each) for each in posthog.taken}) == 700, "sent again they are the same"


def test_events_of_open_transactions_are_waited_for(
    service: Project, posthog: PostHog, database: str
) -> None:
    with psycopg.connect(database) as other:
        track = "SELECT assise.analytics_track(ARRAY[%s]::uuid[], '{late}', '{u}', ARRAY[now()], ARRAY[''], ARRAY[''], '{person}', ARRAY['{}'])"
        other.execute(track, [UUID(int=10**6)])
        keep(service, 0, 3)
        work(service)
        assert posthog.taken == []
    work(service)
    assert [each["event"] for each in posthog.taken] == ["late", "e0", "e1", "e2"]


def test_one_process_sends_at_a_time(service: Project, posthog: PostHog, database: str) -> None:
    keep(service, 0, 3)
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [job.LOCK])
        if work(service):
            pytest.fail("the lock has another number")
    assert not posthog.taken
    assert work(service) == "3 events sent"


def test_refused_events_are_noted_and_the_others_go_on(
    service: Project, posthog: PostHog, query: Query
) -> None:
    posthog.bad = frozenset({"e5"})
    keep(service, 0, 9)
    assert work(service) == "8 events sent, 1 event refused, see assise.analytics_refused"
    assert query("SELECT uuid, answer FROM assise.analytics_refused") == [
        (UUID(int=6), "status 400: no")
    ]
    assert query("SELECT sent, refused FROM assise.analytics_forward") == [(8, 1)]


def test_a_wrong_key_keeps_everything(
    service: Project, posthog: PostHog, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(service, 0, 2)
    monkeypatch.setenv("POSTHOG_API_KEY", "phc_secret_of_others")
    with pytest.raises(ForwardError, match="refuses the key") as raised:
        work(service)
    assert "secret" not in str(raised.value)
    monkeypatch.setenv("POSTHOG_API_KEY", "")
    assert work(service) == ""
    monkeypatch.setenv("POSTHOG_API_KEY", KEY)
    assert work(service) == "2 events sent"
    assert names(posthog) == [0, 1]


def test_large_events_are_read_a_few_at_a_time(
    service: Project, posthog: PostHog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "BYTES", 1_000)
    monkeypatch.setattr(sender, "MAX_BYTES", 1_000_000)
    events = [
        Event(UUID(int=n + 1), f"e{n}", "u", AT, properties=f'{{"t": "{"x" * 600}"}}')
        for n in range(5)
    ]
    with service.connect(service.manifest) as connection:
        assert isinstance(connection, Connection)
        insert_sync(connection, events)
    assert work(service) == "5 events sent"
    assert [len(each["batch"]) for each in posthog.bodies] == [2, 2, 1]
