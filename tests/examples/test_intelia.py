"""Intelia's API over HTTP, on two databases: exactly the JSON that its chat and its pages expect."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import jwt
import psycopg
import pytest
import uvicorn
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm
from tests.scenes.databases import Databases

from assise.app import App
from assise.postgres.conninfo import describe
from assise.project import Project

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "intelia"
HEALTHY = {"status": "healthy"}
ADMIN = {"app_metadata": {"role": "admin"}}
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
Ask = Callable[..., httpx.Response]


def load_module(name: str) -> ModuleType:
    """A file of the example, as Python runs it."""
    spec = spec_from_file_location(f"intelia_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[f"intelia_{name}"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


demo = load_module("demo")


@pytest.fixture(scope="module")
def urls(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The logins of both databases, filled as the demo fills them."""
    folder, main, auth = tmp_path_factory.mktemp("intelia"), databases.create(), databases.create()
    demo.write_data(folder / "data")
    shutil.copy(FOLDER / "assise.yaml", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", describe(main))
        patch.setenv("SUPABASE_DB_URL", describe(auth))
        project = Project(folder)
        assert project.migrate(folder / "data", confirm=confirm).exit_code == 0
        run_sql(main, (FOLDER / "schema.sql").read_text())
        run_sql(auth, (FOLDER / "supabase.sql").read_text() + demo.write_sign_ups(0, 4))
        project.identity.repair(confirm=confirm)
        assert project.access.check() == []
        run_sql(auth, demo.write_sign_ups(4, 6))
    found = {role: make_conninfo(main, user=f"intelia_{role}") for role in ("app", "admin")}
    found |= {f"auth.{role}": make_conninfo(auth, user=f"intelia_{role}") for role in found}
    yield {**found, "main": main, "folder": str(folder)}
    for conninfo in (main, auth):
        databases.drop(conninfo)


def run_sql(conninfo: str, text: str) -> None:
    """Run SQL in a database."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(text.encode())


@contextmanager
def serve(urls: dict[str, str], socket: Path, **others: str) -> Iterator[httpx.Client]:
    """Serve the application by uvicorn on a socket, in a thread."""
    module = load_module("app")
    app = App(urls["folder"], urls={**{k: urls[k] for k in urls if k in LOGINS}, **others})
    server = uvicorn.Server(
        uvicorn.Config(module.create_web(app), uds=str(socket), log_level="critical")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        transport = httpx.HTTPTransport(uds=str(socket))
        with httpx.Client(transport=transport, base_url="http://intelia/api/v1/") as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


LOGINS = {"app", "admin", "auth.app", "auth.admin"}


@pytest.fixture
def client(
    urls: dict[str, str], short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    """A client of the application while both servers run."""
    monkeypatch.setenv("SUPABASE_JWT_SECRET", demo.SECRET)
    monkeypatch.setenv("SUPABASE_URL", demo.SUPABASE_URL)
    with serve(urls, short_folder / "intelia.sock") as client:
        yield client


def bearer(number: int, **claims: object) -> dict[str, str]:
    """The header of a request of a user."""
    return {"Authorization": f"Bearer {demo.write_token(number, **claims)}"}


def conversation(number: int, **values: object) -> dict[str, object]:
    """What the chat sends behind an answer."""
    return {
        "conversation_id": "123e4567-e89b-12d3-a456-426614174000",
        "question": "Test question",
        "response": "Test response",
        "user_id": demo.user_id(number),
        "timestamp": "2025-10-11T12:00:00Z",
        **values,
    }


def test_a_conversation_is_saved_for_the_user_of_the_token(
    client: httpx.Client, urls: dict[str, str]
) -> None:
    sent = conversation(2, metadata={"a": [1, None]}, source="test")
    saved = client.post("conversations/save", json=sent, headers=bearer(2))
    assert saved.status_code == 200
    assert saved.json() == {"status": "success", "conversation_id": sent["conversation_id"]}
    with psycopg.connect(urls["main"]) as connection:
        query = """DELETE FROM conversations WHERE source = 'test' RETURNING conversation_id::text,
            question, response, user_id::text, status, timestamp::text, metadata"""
        (row,) = connection.execute(query).fetchall()
    assert row[3:5] == (demo.user_id(2), "active")
    assert row[6] == {"a": [1, None]}


WRONG = [
    ({"user_id": demo.user_id(3)}, 403),
    ({"user_id": "dominic@intelia.com"}, 422),
    ({"question": ""}, 422),
    ({"question": "a\0b"}, 422),
    ({"metadata": {"a": "b\0"}}, 422),
    ({"timestamp": "yesterday"}, 422),
]


@pytest.mark.parametrize(("values", "status"), WRONG)
def test_what_is_no_conversation_of_this_user_is_refused(
    client: httpx.Client, values: dict[str, object], status: int
) -> None:
    sent = json.dumps(conversation(2, **values))
    headers = {**bearer(2), "Content-Type": "application/json"}
    refused = client.post("conversations/save", content=sent, headers=headers)
    assert refused.status_code == status
    assert "INSERT" not in refused.text


def test_only_a_valid_token_is_somebody(client: httpx.Client) -> None:
    none = jwt.encode({"sub": demo.user_id(2), "aud": "authenticated", "exp": 9e9}, "", "none")
    tokens = [
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": f"Bearer {none}"},
        bearer(2, exp=1),
        bearer(2, aud="anon"),
        bearer(2, sub="dominic@intelia.com"),
        bearer(2, sub=None),
        bearer(2, iss="https://other.supabase.co/auth/v1"),
        bearer(2, role="anon"),
    ]
    for headers in tokens:
        refused = client.post("conversations/save", json=conversation(2), headers=headers)
        challenge = refused.headers["WWW-Authenticate"]
        assert (refused.status_code, challenge.partition(" ")[0]) == (401, "Bearer")
        assert client.get("stats-fast/dashboard", headers=headers).status_code == 401


def test_the_dashboard_has_figures_of_one_server_and_names_of_the_other(
    client: httpx.Client, urls: dict[str, str]
) -> None:
    assert client.get("stats-fast/dashboard", headers=bearer(0)).status_code == 403
    mine = bearer(0, user_metadata=ADMIN["app_metadata"])
    assert client.get("stats-fast/dashboard", headers=mine).status_code == 403
    found = client.get("stats-fast/dashboard", headers=bearer(0, **ADMIN)).json()
    lines = Path(urls["folder"], "data", "conversations.jsonl").read_text().splitlines()
    counts: dict[str, int] = {}
    for each in map(json.loads, lines):
        user = each["user_id"]["$uuid"]
        counts[user] = counts.get(user, 0) + (each["status"] == "active")
    expected = []
    for number in range(len(demo.PEOPLE) + 1):
        user = demo.user_id(number)
        first, last = demo.PEOPLE[number] if number < len(demo.PEOPLE) else ("", "")
        email = f"{first[0]}.{last}@example.org".lower() if first else user
        names = {"email": email, "first_name": first, "last_name": last, "plan": "free"}
        expected.append({**names, "question_count": counts[user]})
    expected.sort(key=lambda each: -int(str(each["question_count"])))
    assert found == {"billing_stats": {"top_users": expected, "partial": False}}


def test_health_has_the_words_that_monitoring_knows(client: httpx.Client) -> None:
    found = client.get("stats-fast/health")
    assert found.status_code == 200
    databases = {"postgresql": HEALTHY, "supabase": HEALTHY}
    assert found.json() == {"status": "healthy", "databases": databases}


@pytest.mark.usefixtures("client")
def test_one_server_down_leaves_what_the_other_has(
    urls: dict[str, str], short_folder: Path
) -> None:
    down = {"status": "unhealthy"}
    others = {"auth.app": NOWHERE, "auth.admin": NOWHERE}
    load_module("app")
    with serve(urls, short_folder / "auth.sock", **others) as client:
        found = client.get("stats-fast/health")
        databases: dict[str, Any] = {"postgresql": HEALTHY, "supabase": down}
        assert (found.status_code, found.json()) == (
            200,
            {"status": "degraded", "databases": databases},
        )
        stats = client.get("stats-fast/dashboard", headers=bearer(0, **ADMIN)).json()
        assert stats["billing_stats"]["partial"]
        top = stats["billing_stats"]["top_users"][0]
        assert top == {"email": demo.user_id(0), **EMPTY, "question_count": top["question_count"]}
        assert top["question_count"] > 40
    with serve(urls, short_folder / "main.sock", app=NOWHERE, admin=NOWHERE) as client:
        found = client.get("stats-fast/health")
        databases = {"postgresql": down, "supabase": HEALTHY}
        assert (found.status_code, found.json()) == (
            503,
            {"status": "unhealthy", "databases": databases},
        )


EMPTY = {"first_name": "", "last_name": "", "plan": "free"}


def test_the_view_shows_active_questions_of_the_own_user(urls: dict[str, str]) -> None:
    query = "SELECT count(*), count(rating), count(DISTINCT user_id) FROM user_questions_complete"
    with psycopg.connect(urls["app"]) as connection:
        assert connection.execute(query).fetchone() == (0, 0, 0)
        user = demo.user_id(1)
        connection.execute("SELECT set_config('app.user_id', %s, true)", [user])
        row = connection.execute(query).fetchone()
        assert row is not None
        assert row[0] > row[1] > 0
        assert row[2] == 1
    with psycopg.connect(urls["admin"]) as connection:
        assert connection.execute(query).fetchone() == (220, 40, 7)


def test_the_demo_runs_on_two_embedded_servers(short_folder: Path) -> None:
    folder = short_folder / f"intelia-{os.urandom(3).hex()}"
    folder.mkdir()
    program = [sys.executable, str(FOLDER / "demo.py"), "demo"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    try:
        done = subprocess.run(
            program, cwd=folder, env=environment, stdout=-1, stderr=-2, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
        assert "Traceback" not in done.stdout
        assert "users: 4 rows created" in done.stdout
        assert done.stdout.count('"partial": false') == done.stdout.count('"partial": true') == 1
        assert '"status": "degraded"' in done.stdout
        assert '"email": "z.petit@example.org"' in done.stdout
    finally:
        workspace = Project(folder / "demo").workspace
        for server in ("main", "auth"):
            workspace.embedded_of(server).stop(immediate=True)
