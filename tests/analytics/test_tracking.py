"""Tracking: nothing that was tracked is lost, and nothing is kept twice."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from assise.analytics.kinds import PROPERTIES, EventType, list_misfits
from assise.analytics.spool import Spool
from assise.analytics.tracking import make_uuid, within
from assise.app import App
from assise.errors import SpoolError, UsageError
from assise.postgres.connection import Connection
from assise.postgres.pool import Session
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
EVENTS = "SELECT event, distinct_id, properties FROM assise.analytics_events ORDER BY number"


def open_app(project: Project, conninfo: str, **settings: object) -> App:
    """The application, whose role `app` signs in here."""
    return App(
        project.path,
        urls={"app": make_conninfo(conninfo, user="apptest_app")},
        settings={key.replace("__", "."): settings[key] for key in settings},
    )


def test_an_event_is_spooled_at_once_and_kept_when_the_application_ends(
    shop: Project, database: str, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISE_ANALYTICS_ENVIRONMENT", "test")
    monkeypatch.setenv("ASSISE_ANALYTICS_RELEASE", "1.2")

    async def use() -> None:
        async with open_app(shop, database) as app:
            with within(request_id="r1", session="s1"):
                app.track(EventType.PROJECT_CREATED, user_id=7, properties={"project_type": "saas"})
            assert len(app.analytics.tracking.spool.list_segments()) == 1
            assert query(EVENTS) == []
            app.analytics.track_project_created(7, "p", "Shop", "saas")
            app.analytics.track_code_generation(7, "p", "m", tokens_used=5, generation_time_ms=9.5)
            app.analytics.track_subscription_event("started", 7, "s", plan="pro", amount=9.75)

    asyncio.run(use())
    found = query(EVENTS)
    names = ["project_created", "project_created", "code_generated", "subscription_started"]
    assert [row[:2] for row in found] == [(name, "7") for name in names]
    common = {"$lib": "assise", "environment": "test", "release": "1.2"}
    assert found[0][2] == {**common, "request_id": "r1", "project_type": "saas"}
    assert found[3][2] == {**common, "subscription_id": "s", "plan": "pro", "amount": 9.75}
    assert query("SELECT session FROM assise.analytics_events ORDER BY number")[0] == ("s1",)
    assert not [*(shop.path.parent / ".assise" / "events").iterdir()]


def test_an_event_of_a_session_is_kept_with_its_transaction(
    shop: Project, database: str, query: Query
) -> None:
    async def use() -> None:
        async with open_app(shop, database) as app:
            async with app.session(user_id=1) as db:
                await db.track("template_forked", user_id=1, properties={"template_id": "t"})
            with pytest.raises(ZeroDivisionError):
                await fail(app)

    async def fail(app: App) -> None:
        async with app.session(user_id=1) as db:
            await db.track(EventType.USER_DELETED, user_id=1)
            raise ZeroDivisionError

    asyncio.run(use())
    assert [row[:2] for row in query(EVENTS)] == [("template_forked", "1")]


def test_batches_that_wait_are_kept_in_few_transactions(
    shop: Project, database: str, query: Query
) -> None:
    async def use() -> None:
        async with open_app(shop, database) as app:
            made = [app.tracking.make("n", user_id=n) for n in range(60)]
            batches = [made[n : n + 3] for n in range(0, 60, 2)]
            await asyncio.gather(*map(app.tracking.keep, batches))

    asyncio.run(use())
    counts = (
        "SELECT count(*), count(DISTINCT uuid), count(DISTINCT xid) FROM assise.analytics_events"
    )
    assert query(counts) == [(60, 60, 1)]


def test_a_session_of_no_application_keeps_no_events() -> None:
    session = Session(None, "nowhere")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="keeps no events"):
        asyncio.run(session.track("n"))


TRACKER = """
import sys
from assise.app import App
app = App(sys.argv[1])
for n in range(100_000):
    app.track("n", user_id=n)
    print(n, flush=True)
"""


def test_what_a_killed_process_has_tracked_is_kept_by_the_worker_once(
    shop: Project, query: Query
) -> None:
    command = [sys.executable, "-c", TRACKER, str(shop.path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 200:
            break
    process.send_signal(signal.SIGKILL)
    said = 200 + len(process.stdout.read().split())
    process.stdout.close()
    process.wait()
    assert shop.work(is_once=True).exit_code == 0
    count = query("SELECT count(*), count(DISTINCT distinct_id) FROM assise.analytics_events")[0]
    assert count[0] == count[1]
    assert int(str(count[0])) >= said


def test_events_wait_while_the_server_is_away(shop: Project, query: Query, database: str) -> None:
    async def use(conninfo: str) -> None:
        async with open_app(shop, conninfo) as app:
            app.track("while_away", user_id=1)

    asyncio.run(use("host=/nowhere dbname=x connect_timeout=2"))
    spool = Spool(shop.path.parent / ".assise" / "events", 1 << 20)
    (path,) = spool.list_segments()
    content = path.read_bytes()
    assert shop.work(is_once=True).exit_code == 0
    assert [row[:2] for row in query(EVENTS)] == [("while_away", "1")]
    # As if the process had ended between the commit and the removal of the file.
    path.write_bytes(content)
    assert shop.work(is_once=True).exit_code == 0
    assert len(query(EVENTS)) == 1
    with Connection(database) as connection:
        assert connection.scalar("SELECT count(*) FROM assise.analytics_seen") == 1


def test_a_spool_has_a_bound_and_says_so(tmp_path: Path, shop: Project) -> None:
    app = open_app(shop, "", analytics__spool_bytes=2_000)
    for _ in range(5):
        app.track("n", properties={"text": "x" * 200})
    with pytest.raises(SpoolError, match="is full: 2,000 bytes"):
        app.track("n", properties={"text": "x" * 200})
    assert app.analytics.tracking.spool.size() <= 2_000
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "file", 1_000)
    with pytest.raises(SpoolError, match="cannot be written"):
        spool.append(app.analytics.tracking.make("n"))


FILLER = """
import resource, sys
from pathlib import Path
from uuid import uuid4
import datetime as dt
from assise.analytics.event import Event
from assise.analytics.spool import Spool
from assise.errors import SpoolError
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
spool = Spool(Path(sys.argv[1]), 1 << 20)
at = dt.datetime.now(dt.UTC)
for size in (300, 299, 7):
    try:
        while True:
            events = [Event(uuid4(), "n", "x" * size, at) for _ in range(3)]
            spool.append(*events)
            for each in events:
                print(each.uuid)
    except SpoolError as error:
        print(error.message, file=sys.stderr)
"""


def test_a_full_disk_keeps_what_was_promised_and_nothing_of_the_rest(tmp_path: Path) -> None:
    # The system takes a part of what is written over the size that a file may have, as a full disk does.
    command = [sys.executable, "-c", FILLER, str(tmp_path / "s")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.count("cannot be written to") == 3
    spool, found = Spool(tmp_path / "s", 1 << 20), list[str]()
    for path in spool.list_segments():
        with spool.take(path) as segment:
            assert segment is not None
            assert segment.broken == 0
            found += [str(each.uuid) for each in segment.events]
    assert sorted(found) == sorted(done.stdout.split())
    assert len(found) > 20


def test_a_cut_line_is_left_out_and_a_broken_one_is_kept_aside(shop: Project, query: Query) -> None:
    app = open_app(shop, "")
    app.track("whole", user_id=1)
    spool = app.analytics.tracking.spool
    spool.rotate()
    (path,) = spool.list_segments()
    whole = path.read_bytes()
    path.write_bytes(b"[1]\n" + whole + whole[:50])
    report = shop.work(is_once=True)
    assert dict(report.done)["events of the spool"].startswith("1 event kept, 1 line that cannot")
    assert len(query(EVENTS)) == 1
    assert path.with_suffix(".broken").exists()


def test_a_segment_is_left_alone_while_its_process_writes(tmp_path: Path, shop: Project) -> None:
    one, other = Spool(tmp_path / "s", 1 << 20), Spool(tmp_path / "s", 1 << 20)
    made = open_app(shop, "").analytics.tracking.make("n")
    one.append(made)
    (path,) = other.list_segments()
    with other.take(path) as segment:
        assert segment is None
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, b"x")
        signal.alarm(60)
        signal.pause()
    try:
        os.read(reading, 1)
        one.rotate()
        with other.take(path) as segment:
            assert segment is not None
            assert segment.events == [made]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_every_event_has_properties_and_misfits_are_told() -> None:
    assert len(EventType) >= 44
    assert PROPERTIES.keys() == {each.value for each in EventType}
    own = {"template_forked": {"template_id": "uuid"}}
    assert list(list_misfits("template_forked", {"template_id": "x"}, own)) == [
        "template_id is no uuid"
    ]
    assert list(list_misfits("template_forked", {"environment": "x"}, own)) == []
    assert list(list_misfits("nobody_knows", {}, own)) == ["the event is not declared"]
    wrong = {"model": 1, "tokens_used": 1.5, "language": None, "$lib": 1, "generation_time_ms": 2}
    found = list(list_misfits("code_generated", wrong, own))
    assert found == ["model is no text", "tokens_used is no int"]


def test_uuids_sort_by_time() -> None:
    found = [make_uuid(second) for second in (0.0, 1.5, 1_800_000_000.25)]
    assert found == sorted(found)
    assert {(each.version, each.variant) for each in found} == {(7, "specified in RFC 4122")}
    at = dt.datetime.fromtimestamp((found[2].int >> 80) / 1000, dt.UTC)
    assert at.timestamp() == 1_800_000_000.25
