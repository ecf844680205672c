"""Devora's API over HTTP, as several users at once, on its own manifest and data."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import jwt
import pytest
import uvicorn
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm
from tests.examples.generated import FOLDER, generate
from tests.scenes.databases import Databases, Template

from assise.app import App
from assise.project import Project

Query = Callable[..., list[tuple[Any, ...]]]
SECRET = "a secret of the tests that nobody else knows"
USERS = """SELECT user_id::text, count(*) FILTER (WHERE deleted_at IS NULL) FROM projects
    GROUP BY 1 HAVING count(*) FILTER (WHERE deleted_at IS NULL) BETWEEN 2 AND 19 ORDER BY 1"""


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """Devora's data on the manifest that it keeps."""
    with databases.create_template(tmp_path_factory.mktemp("devora")) as template:
        dump = generate(template.folder / "dump", "--users", "60", "--seed", "3")
        shutil.copy(FOLDER / "assise.yaml", template.folder)
        project = Project(template.folder, to=template.conninfo)
        assert project.migrate(dump / "devora", confirm=confirm).exit_code == 0
        yield template


def load_application() -> ModuleType:
    """The example, as uvicorn would import it."""
    spec = spec_from_file_location("devora_app", FOLDER / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["devora_app"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sign(user: object, **claims: object) -> str:
    """A token of Devora's issuer."""
    facts = {"iss": "https://devora.example", "aud": "devora", "sub": str(user), **claims}
    return jwt.encode({**facts, "exp": int(time.time()) + 600}, SECRET, algorithm="HS256")


@contextmanager
def serve(app: App, socket: Path) -> Iterator[None]:
    """Serve the application by uvicorn on a socket, in a thread."""
    web = load_application().create_web(app)
    server = uvicorn.Server(uvicorn.Config(web, uds=str(socket), log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def http(
    template: Template,
    tmp_path: Path,
    short_folder: Path,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[httpx.Client]:
    """A client of the application."""
    monkeypatch.setenv("IDENTITY_SECRET", SECRET)
    folder = template.copy(tmp_path / "devora", database).path
    socket = short_folder / f"{tmp_path.name[-20:]}.sock"
    urls: Any = {role: make_conninfo(database, user=f"devora_{role}") for role in ("app", "admin")}
    app = App(folder, urls=urls)
    transport = httpx.HTTPTransport(uds=str(socket))
    with serve(app, socket), httpx.Client(transport=transport, base_url="http://devora") as client:
        yield client


@pytest.fixture
def ask(http: httpx.Client) -> Callable[..., httpx.Response]:
    """Sends a request on projects as a user."""

    def send(user: str, method: str, path: str = "", **json: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {sign(user)}"}
        return http.request(method, f"/api/projects{path}", headers=headers, json=json or None)

    return send


def test_each_user_lists_its_own_projects(ask: Callable[..., httpx.Response], query: Query) -> None:
    users = query(USERS)
    assert len(users) > 5

    def list_projects(user: str) -> set[str]:
        return {each["id"] for each in ask(user, "GET").json()["items"]}

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(list_projects, [user for user, _ in users] * 3))
    own = "SELECT id::text FROM projects WHERE user_id = %s::uuid AND deleted_at IS NULL"
    expected = [{key for (key,) in query(own, (user,))} for user, _ in users]
    assert found == expected * 3
    assert [len(each) for each in expected] == [number for _, number in users]


def test_a_project_is_made_changed_deleted_and_restored_by_its_user_alone(
    ask: Callable[..., httpx.Response], query: Query
) -> None:
    (user, number), (other, _) = query(USERS)[:2]
    made = ask(user, "POST", name="Shop")
    assert made.status_code == 201
    path = f"/{made.json()['id']}"
    newest = ask(user, "GET", "?order=-created_at&limit=1&select=name").json()
    assert newest["items"] == [{"name": "Shop"}]
    for method, place in (("PUT", path), ("DELETE", path), ("POST", f"{path}/restore")):
        assert ask(other, method, place, name="Mine").status_code == 404
    changed = ask(user, "PUT", path, name="Shop 2", description="d")
    assert (changed.status_code, changed.json()["name"]) == (200, "Shop 2")
    query(f"INSERT INTO project_files (project_id, position, path) VALUES ('{path[1:]}', 0, 'x')")

    deleted = ask(user, "DELETE", path)
    assert deleted.json() == {"projects": 1, "project_files": 1, "deployments": 0}
    assert len(ask(user, "GET").json()["items"]) == number
    assert ask(user, "DELETE", path).status_code == 404
    assert ask(user, "PUT", path, name="x").status_code == 404
    assert ask(other, "POST", f"{path}/restore").status_code == 404
    restored = ask(user, "POST", f"{path}/restore")
    assert restored.json() == deleted.json()
    assert len(ask(user, "GET").json()["items"]) == number + 1
    assert len(ask(other, "GET").json()["items"]) == query(USERS)[1][1]


def test_a_request_without_a_user_or_with_a_wrong_one_is_refused(
    ask: Callable[..., httpx.Response], http: httpx.Client
) -> None:
    assert http.get("/api/projects").status_code == 401
    assert ask("x' OR true --", "GET").status_code == 401
    assert ask("00000000-0000-0000-0000-000000000000", "GET").json()["items"] == []
    nobody = "00000000-0000-0000-0000-000000000001"
    assert ask(nobody, "DELETE", f"/{nobody}").status_code == 404
    assert ask(nobody, "POST", name=7).status_code == 422


def test_what_the_database_refuses_is_told_without_naming_the_server(
    ask: Callable[..., httpx.Response], query: Query
) -> None:
    user = query(USERS)[0][0]
    nobody = "00000000-0000-0000-0000-000000000001"
    for sender, name, status in ((user, "a\0b", 422), (nobody, "Shop", 409)):
        refused = ask(sender, "POST", name=name)
        assert refused.status_code == status
        assert refused.headers["content-type"] == "application/problem+json"
        assert not {"devora", "INSERT", "projects"} & set(refused.json()["detail"].split())


def test_the_dashboard_is_for_admins_and_counts_everything(
    http: httpx.Client, query: Query
) -> None:
    user = query(USERS)[0][0]
    assert http.get("/health").json()["status"] == "healthy"
    assert http.get("/api/admin/dashboard").status_code == 401
    headers = {"Authorization": f"Bearer {sign(user)}"}
    assert http.get("/api/admin/dashboard", headers=headers).status_code == 403
    headers = {"Authorization": f"Bearer {sign(user, role='admin')}"}
    answer = http.get("/api/admin/dashboard", headers=headers)
    assert answer.status_code == 200
    ((users, projects),) = query(
        "SELECT (SELECT count(*) FROM users), count(*) FROM projects WHERE deleted_at IS NULL"
    )
    assert answer.json()["user_metrics"]["total_users"] == users
    assert answer.json()["engagement_metrics"]["total_projects"] == projects
