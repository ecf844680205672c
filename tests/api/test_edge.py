"""What surrounds requests: health, metrics, limits, signals, the database that is gone."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from psycopg.conninfo import make_conninfo
from tests.api.scene import MANIFEST, Client, run_server, serve, sign, user_id
from tests.scenes.databases import Databases, Template

from assise.api.edge import make_edge
from assise.api.server import make_application
from assise.app import App

Run = Callable[..., list[tuple[Any, ...]]]
Send = Callable[..., httpx.Response]


ORIGIN = {"Origin": "https://app.example"}


def write_origins(folder: Path) -> None:
    """Let the manifest name an origin."""
    http = f'http: {{origins: ["{ORIGIN["Origin"]}"]}}\n'
    (folder / "assise.yaml").write_text(MANIFEST.replace("identity:", f"{http}identity:", 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the manifest, for tests that change it."""
    (tmp_path / "assise.yaml").write_text(MANIFEST)
    return tmp_path


@pytest.fixture
def socket_path(short_folder: Path, tmp_path: Path) -> Path:
    """A path that is short enough for a socket."""
    return short_folder / f"{tmp_path.name[-12:]}.sock"


def test_health_names_each_database(client: Client) -> None:
    health = client.get(None, "/health")
    assert health.status_code == 200
    assert health.json()["status"] == "healthy"
    assert health.json()["databases"]["postgresql"]["status"] == "healthy"
    assert health.json()["databases"]["postgresql"]["ms"] >= 0
    assert client.get(None, "/health/live").json() == {"status": "alive"}


def test_another_server_that_is_gone_makes_it_degraded(
    folder: Path, conninfo: str, socket_path: Path
) -> None:
    servers = 'postgres: {main: {url: embedded}, auth: {url: "postgresql:///a"}, more: {url: "postgresql:///b"}}\n'
    (folder / "assise.yaml").write_text(MANIFEST.replace("identity:", f"{servers}identity:", 1))
    urls = {
        "auth.app": make_conninfo(conninfo, user="apihttp_app"),
        "more.app": make_conninfo(conninfo, user="apihttp_app", host="/nowhere"),
    }
    settings = {"app.pool_timeout_ms": 200}
    with serve(folder, conninfo, socket_path, settings=settings, more_urls=urls) as client:
        health = client.get(None, "/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        states = {name: each["status"] for name, each in health.json()["databases"].items()}
        assert states == {"postgresql": "healthy", "supabase": "healthy", "more": "unhealthy"}


def test_a_server_that_is_gone_is_503_and_no_secret_is_told(
    folder: Path, conninfo: str, socket_path: Path
) -> None:
    gone = make_conninfo(conninfo, host="/nowhere", password="hunter2")
    with serve(folder, gone, socket_path, settings={"app.pool_timeout_ms": 200}) as client:
        health = client.get(None, "/health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        assert client.get(None, "/health/live").status_code == 200
        answer = client.get(0, "/api/projects")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        for text in (health.text, answer.text):
            assert not {"hunter2", "nowhere"} & set(text.replace("/", " ").split())


def test_a_request_has_an_id_and_a_line_without_secrets(
    folder: Path, conninfo: str, socket_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"X-Request-ID": "abc-1"}
    path = "/api/projects?name=Anna"
    with serve(folder, conninfo, socket_path) as client:
        assert client.get(0, path, headers=given).headers["x-request-id"] == "abc-1"
        other = client.get(0, path, headers={"X-Request-ID": "a b"}).headers["x-request-id"]
        assert len(other) == 32
        assert client.get(0, "/api/projects?order=nothing").status_code == 400
        metrics = client.get(None, "/metrics").text
    said = capsys.readouterr().err
    lines = [json.loads(line) for line in said.splitlines()]
    assert [line["id"] for line in lines[:2]] == ["abc-1", other]
    assert lines[0]["route"] == "/api/projects"
    assert [line["status"] for line in lines] == [200, 200, 400]
    assert "Anna" not in said
    assert "Bearer" not in said
    assert 'assise_http_requests_total{method="GET",route="/api/projects",status="400"}' in metrics


def test_origins_and_rates_are_those_of_the_manifest(
    folder: Path, conninfo: str, socket_path: Path
) -> None:
    http = 'http: {origins: ["https://app.example"], rate_limit: "3/hour"}\n'
    (folder / "assise.yaml").write_text(MANIFEST.replace("identity:", f"{http}identity:", 1))
    with serve(folder, conninfo, socket_path) as client:
        asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
        allowed = client.send(None, "OPTIONS", "/api/projects", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://app.example"
        other = {**asked, "Origin": "https://other.example"}
        refused = client.send(None, "OPTIONS", "/api/projects", headers=other)
        assert "access-control-allow-origin" not in refused.headers
        found = [client.get(0, "/api/projects").status_code for _ in range(5)]
        assert found == [200, 200, 200, 429, 429]
        late = client.get(0, "/api/projects")
        assert int(late.headers["retry-after"]) >= 1
        assert client.get(1, "/api/projects").status_code == 200
        wrong = [
            client.get(None, "/api/projects", headers={"Authorization": f"Bearer {n}"}).status_code
            for n in range(5)
        ]
        assert wrong == [401, 401, 401, 429, 429]


def test_refused_tokens_are_counted_whatever_they_are_refused_for(
    folder: Path, conninfo: str, socket_path: Path
) -> None:
    http = 'http: {rate_limit: "2/hour"}\n'
    text = MANIFEST.replace("identity:", f"{http}identity:", 1)
    manifests = {403: text, 503: text.replace("secret: ", "jwks: http://127.0.0.1:9/", 1)}
    token = {"Authorization": f"Bearer {sign(user_id(0), role='service_role')}"}
    for status, manifest in manifests.items():
        (folder / "assise.yaml").write_text(manifest)
        with serve(folder, conninfo, socket_path) as client:
            found = [client.get(None, "/api/projects", headers=token).status_code for _ in range(3)]
        assert found == [status, status, 429]


def test_a_refusal_says_why_in_its_header(client: Client) -> None:
    expired = sign(user_id(0), exp=time.time() - 100)
    answer = client.get(None, "/api/projects", headers={"Authorization": f"Bearer {expired}"})
    assert answer.status_code == 401
    assert "the token has expired" in answer.headers["www-authenticate"]
    service = sign(user_id(0), role="service_role")
    answer = client.get(None, "/api/projects", headers={"Authorization": f"Bearer {service}"})
    assert answer.status_code == 403
    for header in ("Basic eDp5", "Bearer", "Bearer x", "x"):
        answer = client.get(None, "/api/projects", headers={"Authorization": header})
        assert answer.status_code == 401


@pytest.fixture
def narrow(folder: Path, conninfo: str, socket_path: Path) -> Iterator[Client]:
    """The application with a pool of five."""
    settings = {"app.pool_size": 5, "app.pool_timeout_ms": 20_000}
    with serve(folder, conninfo, socket_path, settings=settings) as client:
        yield client


def test_two_hundred_clients_share_five_connections(narrow: Client, run: Run) -> None:
    async def ask(socket_path: str) -> list[int]:
        transport = httpx.AsyncHTTPTransport(uds=socket_path, limits=httpx.Limits())
        async with httpx.AsyncClient(transport=transport, timeout=60) as http:
            tokens = [f"Bearer {sign(user_id(n % 3))}" for n in range(3)]
            answers = await asyncio.gather(
                *(
                    http.get(
                        "http://app/api/projects?limit=100",
                        headers={"Authorization": tokens[n % 3]},
                    )
                    for n in range(200)
                )
            )
        assert {each.status_code for each in answers} == {200}
        return [len(each.json()["items"]) for each in answers]

    transport = narrow.http._transport  # noqa: SLF001
    path = str(transport._pool._uds)  # type: ignore[attr-defined]  # noqa: SLF001
    counts = asyncio.run(ask(path))
    assert counts == [(30, 5, 0)[n % 3] for n in range(200)]
    ((used,),) = run(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'apihttp_app'"
        " AND datname = current_database()"
    )
    assert used <= 5 + 10


def test_a_database_that_ends_a_request_is_503_and_the_next_one_works(
    narrow: Client, run: Run, conninfo: str
) -> None:
    with psycopg.connect(conninfo) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("LOCK TABLE projects")
        waiting = pool.submit(narrow.send, 0, "POST", "/api/projects", json={"name": "lost"})
        blocked = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'apihttp_app'"
        while not (found := run(blocked)):
            assert not waiting.done()
        for (pid,) in found:
            run("SELECT pg_terminate_backend(%s)", pid)
        answer = waiting.result()
        holder.rollback()
    assert answer.status_code == 503
    assert answer.json()["detail"] == "the database cannot be asked now"
    assert run("SELECT count(*) FROM projects WHERE name = 'lost'") == [(0,)]
    assert narrow.get(0, "/api/projects").status_code == 200


def test_a_client_that_goes_away_writes_nothing_and_keeps_no_connection(
    narrow: Client, run: Run
) -> None:
    path = narrow.http._transport._pool._uds  # type: ignore[attr-defined]  # noqa: SLF001
    head = (
        "POST /api/projects HTTP/1.1\r\nHost: app\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {sign(user_id(0))}\r\nContent-Length: 100\r\n\r\n"
    )
    for _ in range(10):
        with socket.socket(socket.AF_UNIX) as leaving:
            leaving.connect(path)
            leaving.sendall(head.encode() + b'{"name": "half')
    assert narrow.get(0, "/api/projects").status_code == 200
    assert run(
        "SELECT count(*) FROM projects WHERE name LIKE 'half%%'",
    ) == [(0,)]


def test_a_request_that_runs_is_answered_when_the_server_stops(
    folder: Path, conninfo: str, socket_path: Path, run: Run
) -> None:
    urls: Any = {"app": make_conninfo(conninfo, user="apihttp_app")}
    transport = httpx.HTTPTransport(uds=str(socket_path))
    headers = {"Authorization": f"Bearer {sign(user_id(2))}"}
    with (
        run_server(make_application(App(folder, urls=urls)), socket_path) as server,
        httpx.Client(transport=transport, base_url="http://app", timeout=30) as http,
        psycopg.connect(conninfo) as holder,
        ThreadPoolExecutor(1) as pool,
    ):
        holder.execute("LOCK TABLE projects")
        body = {"name": "last"}
        waiting = pool.submit(http.post, "/api/projects", json=body, headers=headers)
        blocked = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'apihttp_app'"
        while not run(blocked):
            assert not waiting.done()
        server.should_exit = True
        holder.rollback()
        assert waiting.result().status_code == 201
    run("DELETE FROM projects WHERE name = 'last'")


def test_limits_of_time_size_and_number_are_settings(
    folder: Path, conninfo: str, socket_path: Path, run: Run
) -> None:
    write_origins(folder)
    settings = {"api.timeout_ms": 2_000, "api.body_bytes": 100, "api.concurrency": 1}
    with (
        serve(folder, conninfo, socket_path, settings=settings) as client,
        psycopg.connect(conninfo) as holder,
    ):
        big = {"name": "x" * 200}
        assert client.send(0, "POST", "/api/projects", json=big).status_code == 413
        holder.execute("LOCK TABLE projects")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client.get, 0, "/api/projects", headers=ORIGIN)
            blocked = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'apihttp_app'"
            while not run(blocked):
                assert not waiting.done()
            busy = client.get(None, "/api/templates", headers=ORIGIN)
            assert client.get(None, "/health/live").status_code == 200
            assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
            slow = waiting.result()
        assert (slow.status_code, slow.json()["detail"]) == (504, "the request took too long")
        for answer in (busy, slow):
            assert answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
            assert "retry-after" in answer.headers["access-control-expose-headers"]
        holder.rollback()
        assert client.get(0, "/api/projects").status_code == 200


def test_a_page_of_a_named_origin_may_read_what_failed(
    folder: Path, conninfo: str, socket_path: Path
) -> None:
    async def fail(_scope: object, _receive: object, _send: object) -> None:
        raise ValueError

    write_origins(folder)
    with serve(folder, conninfo, socket_path, make=lambda app: make_edge(app, fail)) as client:
        answer = client.get(None, "/api/projects", headers=ORIGIN)
        assert answer.status_code == 500
        assert answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
        answer = client.get(None, "/api/projects", headers={"Origin": "https://other.example"})
        assert answer.status_code == 500
        assert "access-control-allow-origin" not in answer.headers


def test_head_is_answered_as_get_without_a_body(client: Client, run: Run) -> None:
    ((key,),) = run("SELECT min(id) FROM templates")
    paths = ["/health", "/health/live", "/openapi.json", "/docs", "/metrics", "/api/templates"]
    for path in [*paths, f"/api/templates/{key}"]:
        answer, whole = client.send(None, "HEAD", path), client.get(None, path)
        assert (answer.status_code, answer.content) == (200, b""), path
        assert answer.headers["content-type"] == whole.headers["content-type"]
        assert answer.headers.get("etag") == whole.headers.get("etag")
    assert client.send(None, "HEAD", "/api/projects").status_code == 401
    assert "head" not in client.get(None, "/openapi.json").json()["paths"]["/api/templates"]


def test_the_routes_mount_into_an_application_of_ones_own(
    folder: Path, conninfo: str, socket_path: Path
) -> None:
    def make(app: App) -> Any:  # noqa: ANN401 - of FastAPI
        web = FastAPI(lifespan=app.lifespan)
        web.include_router(app.router)
        app.add_problems(web)
        session: Any = app.caller_session()
        admin: Any = app.caller_session(role="admin")

        @web.get("/mine")
        async def count_mine(db: Any = session) -> int:  # noqa: ANN401
            return int(await db.fetch_value("SELECT count(*) FROM projects"))

        @web.get("/all")
        async def count_all(db: Any = admin) -> int:  # noqa: ANN401
            return int(await db.fetch_value("SELECT count(*) FROM projects"))

        return web

    with serve(folder, conninfo, socket_path, make=make) as client:
        assert len(client.get(1, "/api/projects").json()["items"]) == 5
        assert client.get(1, "/mine").json() == 5
        assert client.get(None, "/mine").status_code == 401
        assert client.get(1, "/all").status_code == 403
        boss = {"Authorization": f"Bearer {sign(user_id(1), role='boss')}"}
        assert client.get(None, "/all", headers=boss).json() == 35


def test_a_cursor_is_of_one_tenant(folder: Path, conninfo: str, socket_path: Path) -> None:
    text = MANIFEST.replace("audience: app", "audience: app, tenant: org")
    (folder / "assise.yaml").write_text(text)
    with serve(folder, conninfo, socket_path) as client:

        def get(tenant: str, path: str) -> httpx.Response:
            token = sign(user_id(0), org=tenant)
            return client.get(None, path, headers={"Authorization": f"Bearer {token}"})

        cursor = get("a", "/api/projects?limit=2").json()["next"]
        path = f"/api/projects?limit=2&cursor={cursor}"
        assert [get(tenant, path).status_code for tenant in ("a", "b")] == [200, 400]


def test_a_user_is_found_by_a_column(
    scene: Template, databases: Databases, tmp_path: Path, socket_path: Path
) -> None:
    conninfo = databases.create(scene.database)
    project = scene.copy(tmp_path / "matched", conninfo)
    text = MANIFEST.replace("audience: app", "audience: app, match: users.auth_id")
    project.path.write_text(text)
    project.load()
    with serve(project.path.parent, conninfo, socket_path) as client:
        for claim, count in [("auth0|0", 30), ("auth0|1", 5)]:
            headers = {"Authorization": f"Bearer {sign(claim)}"}
            found = client.get(None, "/api/projects?limit=100", headers=headers)
            assert len(found.json()["items"]) == count
        headers = {"Authorization": f"Bearer {sign('auth0|9')}"}
        assert client.get(None, "/api/projects", headers=headers).status_code == 401
    databases.drop(conninfo)


def test_what_a_request_writes_has_its_id(
    folder: Path, conninfo: str, socket_path: Path, run: Callable[..., list[tuple[Any, ...]]]
) -> None:
    """The log of audited tables takes it from `app.request_id`."""
    run(
        "ALTER TABLE projects ALTER COLUMN data SET DEFAULT to_jsonb(current_setting('app.request_id', true))"
    )
    with serve(folder, conninfo, socket_path) as client:
        given = {"X-Request-ID": "abc-7"}
        made = client.send(0, "POST", "/api/projects", json={"name": "one"}, headers=given)
        assert made.status_code == 201, made.text
        assert made.json()["data"] == "abc-7"
        other = client.send(0, "POST", "/api/projects", json={"name": "one"})
        assert other.json()["data"] == other.headers["x-request-id"]
    run("ALTER TABLE projects ALTER COLUMN data DROP DEFAULT")
    run("DELETE FROM projects WHERE name = 'one'")
