"""The receiver of an application: events stand in the database before it answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from psycopg.conninfo import make_conninfo
from tests.analytics.selling import KEY
from tests.api.scene import run_server
from tests.scenes.databases import Template

from assise.analytics import tracking
from assise.analytics.capture.bodies import MAX_BODY
from assise.analytics.event import Event
from assise.analytics.spool import Spool
from assise.api.server import make_application
from assise.app import App
from assise.errors import SpoolError, UsageError
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
PAGE = "https://app.example.org"


@pytest.fixture(scope="module")
def template(selling: Template) -> Template:
    """What tests get copies of."""
    return selling


@pytest.fixture
def http(service: Project, tmp_path: Path, database: str) -> Iterator[httpx.Client]:
    """A client of the application that `assise serve` runs."""
    app = App(service.path, urls={"app": make_conninfo(database, user="apptest_app")})
    socket = tmp_path / "s"
    transport = httpx.HTTPTransport(uds=str(socket))
    with (
        run_server(make_application(app), socket),
        httpx.Client(transport=transport, base_url="http://app", timeout=30) as client,
    ):
        yield client


def batch(first: int, count: int, **fields: object) -> dict[str, Any]:
    """What python 6.9 sends."""
    events = [
        {
            "event": "deployed",
            "distinct_id": f"u{n % 5}",
            "uuid": f"00000000-0000-4000-8000-{n:012}",
            "timestamp": "2026-11-20T09:30:57.163542+00:00",
            "properties": {"n": n, "$lib": "posthog-python"},
            **fields,
        }
        for n in range(first, first + count)
    ]
    return {"batch": events, "sentAt": "2026-11-20T09:30:58+00:00", "api_key": KEY}


def test_events_are_kept_once_and_classified(http: httpx.Client, query: Query) -> None:
    for body in (batch(0, 10), batch(5, 10), batch(0, 10)):
        answer = http.post("/ingest/batch/", json=body)
        assert (answer.status_code, answer.json()) == (200, {"status": 1})
    found = query("SELECT distinct_id, properties FROM assise.analytics_events ORDER BY number")
    assert found == [(f"u{n % 5}", {"n": n, "$lib": "posthog-python"}) for n in range(15)]
    alias = {"event": "$create_alias", "properties": {"distinct_id": "anon", "alias": "u1"}}
    shared = {"event": "deployed", "distinct_id": "null"}
    long = {"event": "deployed", "distinct_id": "x" * 10_000}
    empty = {"event": "deployed", "distinct_id": ""}
    body = {"api_key": KEY, "batch": [alias, shared, long, empty]}
    assert http.post("/ingest/batch/", json=body).status_code == 200
    kept = query("SELECT traffic, length(distinct_id) FROM assise.analytics_events"
                 " WHERE number > 15 ORDER BY number")  # fmt: skip
    assert kept == [("system", 4), ("anonymous", 4), ("person", 200), ("anonymous", 0)]


def test_the_same_body_without_uuids_twice_is_the_same_events(
    http: httpx.Client, query: Query
) -> None:
    body = batch(0, 20, uuid=None)
    for sent in ("2026-11-20T09:30:58+00:00", "2026-11-20T09:31:02+00:00"):
        assert http.post("/ingest/batch/", json={**body, "sentAt": sent}).status_code == 200
    assert query("SELECT count(*) FROM assise.analytics_events") == [(20,)]
    assert query("SELECT DISTINCT sent FROM assise.analytics_events") == [
        ("2026-11-20T09:30:57.163542+00:00",)
    ]


def test_a_batch_of_nearly_20_mb_is_kept_whole(http: httpx.Client, query: Query) -> None:
    body = batch(0, 20, properties={"text": "x" * 990_000})
    content = json.dumps(body).encode()
    assert 19_000_000 < len(content) < MAX_BODY
    assert http.post("/ingest/batch/", content=content, timeout=60).status_code == 200
    sizes = "SELECT count(*), min(length(properties ->> 'text')) FROM assise.analytics_events"
    assert query(sizes) == [(20, 990_000)]
    assert http.post("/ingest/batch/", content=content + b" " * 2_000_000).status_code == 413


def test_clocks_that_are_far_off_do_not_move_events(http: httpx.Client, query: Query) -> None:
    for n, (at, sent) in enumerate(
        [
            ("2031-01-01T00:00:00Z", "2031-01-01T00:00:30Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:30Z"),
            ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"),
        ]
    ):
        body = {**batch(n, 1, timestamp=at), "sentAt": sent}
        assert http.post("/ingest/batch/", json=body).status_code == 200
    kept = query("SELECT count(*) FROM assise.analytics_events"
                 " WHERE at BETWEEN now() - interval '1 hour' AND now()")  # fmt: skip
    assert kept == [(3,)]


def test_pages_of_the_manifests_origins_may_send(http: httpx.Client) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    answer = http.options("/ingest/e/", headers=asked)
    assert answer.headers["access-control-allow-origin"] == PAGE
    other = http.options("/ingest/e/", headers={**asked, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
    assert http.post("/ingest/e/", json={"api_key": "x", "event": "a"}).status_code == 401


def test_origins_of_the_other_routes_do_not_matter_to_the_receiver(
    service: Project, tmp_path: Path, database: str
) -> None:
    text = service.path.read_text()
    service.path.write_text(f"{text}http: {{origins: [https://admin.example]}}\n")
    app = App(service.path, urls={"app": make_conninfo(database, user="apptest_app")})
    socket = tmp_path / "o"
    transport = httpx.HTTPTransport(uds=str(socket))
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    with (
        run_server(make_application(app), socket),
        httpx.Client(transport=transport, base_url="http://app") as client,
    ):
        answer = client.options("/ingest/e/", headers=asked)
        assert answer.status_code == 200
        assert answer.headers.get_list("access-control-allow-origin") == [PAGE]
        mine = {**asked, "Origin": "https://admin.example"}
        assert (
            "access-control-allow-origin" not in client.options("/ingest/e", headers=mine).headers
        )
        assert client.options("/health", headers=mine).headers["access-control-allow-origin"]


def test_jsonb_takes_what_clients_send(http: httpx.Client, query: Query) -> None:
    text = (
        f'{{"api_key":"{KEY}"'
        ',"event":"a\\u0000b","distinct_id":"\\ud83d","timestamp":"x\\u0000",'
        '"properties":{"k\\u0000":["\\ud83d", NaN, 1e999, "\\ud83d\\ude00"]}}'
    )
    assert http.post("/ingest/e/", content=text).status_code == 200
    found = query("SELECT event, distinct_id, properties FROM assise.analytics_events")
    assert found == [("a\ufffdb", "\ufffd", {"k\ufffd": ["\ufffd", None, None, "\U0001f600"]})]


def test_a_receiver_without_a_key_says_so(
    service: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = service.path.read_text()
    service.path.write_text(text.replace("${CAPTURE_KEY:-phc_ours}", "${CAPTURE_KEY}"))
    with pytest.raises(UsageError, match="CAPTURE_KEY is not set"):
        make_application(App(service.path))
    monkeypatch.setenv("CAPTURE_KEY", "")
    with pytest.raises(UsageError, match="keys are empty"):
        make_application(App(service.path))


def test_openapi_does_not_list_the_routes_of_sdks(http: httpx.Client) -> None:
    assert not [
        path for path in json.loads(http.get("/openapi.json").text)["paths"] if "ingest" in path
    ]


def test_while_postgresql_is_away_events_are_kept_on_disk(
    service: Project, tmp_path: Path, query: Query, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "DRAIN_S", 0.05)
    away = make_conninfo(database, user="apptest_app", port=1, host="127.0.0.1")
    app = App(service.path, urls={"app": away}, settings={"app.pool_timeout_ms": 300})
    socket = tmp_path / "a"
    transport = httpx.HTTPTransport(uds=str(socket))
    with (
        run_server(make_application(app), socket),
        httpx.Client(transport=transport, base_url="http://app", timeout=30) as client,
    ):
        for first in (0, 5):
            assert client.post("/ingest/batch/", json=batch(first, 10)).status_code == 200
        assert query("SELECT count(*) FROM assise.analytics_events") == [(0,)]
        monkeypatch.setattr(Spool, "append", fail)
        answer = client.post("/ingest/batch/", json=batch(20, 1))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert str(tmp_path) not in answer.text
    done = dict(service.work(is_once=True).done)
    assert done["events of the spool"] == "15 events kept"
    assert query("SELECT count(*), count(DISTINCT uuid) FROM assise.analytics_events") == [(15, 15)]


def fail(self: Spool, *events: Event) -> None:
    """A disk that is full."""
    raise SpoolError(f"the spool of {len(events)} events {self.folder} is full")
