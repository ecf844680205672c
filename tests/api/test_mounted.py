"""Routes below a prefix, of tables with keys of text, and of rows that may be deleted and not changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from fastapi import FastAPI
from tests.api.scene import HEAD, IDENTITY, Client, serve, user_key
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases

from assise.app import App, Asgi
from assise.project import Project

Run = Callable[..., list[tuple[Any, ...]]]
TABLES = """tables:
  paths:
    collection: paths
    primary_key: id
    access: {owner: user_id}
    soft_delete: true
    api: {read: all, create: [size], update: [size], delete: true, restore: true}
    columns: {id: {type: text, from: _id}, user_id: {type: uuid, from: userId}, size: int4, updated_at: timestamptz}
  made:
    collection: made
    primary_key: id
    access: {owner: user_id}
    soft_delete: true
    api: {read: all, create: [size], delete: true}
    columns: {id: {type: uuid, from: _id}, user_id: {type: uuid, from: userId}, size: int4}
  posts:
    collection: posts
    primary_key: id
    access: [{owner: user_id}, {public: read}]
    api: {read: all, create: [size], update: [size], delete: true}
    columns: {id: {type: uuid, from: _id}, user_id: {type: uuid, from: userId}, size: int4}
"""
NAMES = ("a/b", "a", "restore", "a/restore", "a%2Fb", " é?#", ".x", "b")


@pytest.fixture(scope="module")
def conninfo(databases: Databases) -> Iterator[str]:
    """A database of its own."""
    found = databases.create()
    yield found
    databases.drop(found)


@pytest.fixture(scope="module")
def project(conninfo: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tables, loaded."""
    found = Project(tmp_path_factory.mktemp("mounted"), to=conninfo)
    found.path.write_text(f"{HEAD}{IDENTITY}{TABLES}")
    rows = [{"_id": name, "userId": user_key(0)} for name in (*NAMES, "untouched")]
    dump = write_dump(found.path.parent / "dump", {"paths": rows, "made": [], "posts": []})
    assert found.migrate(dump, confirm=confirm).exit_code == 0
    return found


@pytest.fixture(scope="module")
def client(project: Project, conninfo: str, short_folder: Path) -> Iterator[Client]:
    """Sends requests to the routes below /v1."""

    def make(app: App) -> Asgi:
        web = FastAPI(lifespan=app.lifespan)
        web.include_router(app.router, prefix="/v1")
        return web

    with serve(project.path.parent, conninfo, short_folder / "mounted.sock", make=make) as found:
        yield found


def test_a_text_key_may_have_slashes(client: Client) -> None:
    for name in NAMES:
        path = f"/v1/api/paths/{quote(name, safe='')}"
        assert client.get(0, path).json()["id"] == name
        assert client.send(0, "PATCH", path, json={"size": 1}).json()["id"] == name
        assert client.send(0, "DELETE", path).json() == {"paths": 1}
        assert client.get(0, path).status_code == 404
        assert client.send(0, "POST", f"{path}/restore").json() == {"paths": 1}
    assert client.get(0, "/v1/api/paths/a/b").status_code == 404
    assert client.get(0, "/v1/api/paths/b/").status_code == 404


def test_a_new_row_is_found_below_the_path_that_it_was_sent_to(client: Client) -> None:
    for path in ("/v1/api/made", "/v1/api/made/"):
        made = client.send(0, "POST", path, json={"size": 3}, follow_redirects=True)
        assert client.get(0, made.headers["location"]).json() == made.json()


def test_a_row_that_nobody_may_change_is_deleted_as_it_is_known_or_not_at_all(
    client: Client, run: Run, conninfo: str
) -> None:
    path = client.send(0, "POST", "/v1/api/made", json={"size": 1}).headers["location"]
    key = path.rpartition("/")[2]

    def delete() -> int:
        tag = {"If-Match": client.get(0, path).headers["etag"]}
        return client.send(0, "DELETE", path, headers=tag).status_code

    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'apihttp_app'"
    with psycopg.connect(conninfo) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("UPDATE made SET size = 2 WHERE id = %s::uuid", [key])
        late = pool.submit(delete)
        while run(blocked) != [(1,)]:
            assert not late.done()
        holder.commit()
        assert late.result() == 412
    assert client.get(0, path).json()["size"] == 2
    assert delete() == 200
    assert client.get(0, path).status_code == 404


def test_updated_at_follows_what_requests_change_and_nothing_else(
    client: Client, run: Run, project: Project
) -> None:
    path = "/v1/api/paths/.x"
    run("UPDATE paths SET size = 0 WHERE id = 'untouched'")
    assert client.get(0, "/v1/api/paths/untouched").json()["updated_at"] is None
    times = [client.send(0, "PATCH", path, json={"size": n}).json()["updated_at"] for n in (1, 2)]
    assert "" < times[0] < times[1]
    client.send(0, "DELETE", path)
    client.send(0, "POST", f"{path}/restore")
    assert client.get(0, path).json()["updated_at"] == times[1]
    written = client.send(0, "PUT", path, json={"size": 4}).json()["updated_at"]
    assert times[1] < written
    assert client.send(0, "PATCH", path, json={"updated_at": times[0]}).status_code == 422
    assert [(gap.check, gap.object) for gap in project.access.check()] == []


def test_what_everybody_reads_is_written_by_its_user_alone(client: Client) -> None:
    made = client.send(0, "POST", "/v1/api/posts", json={"size": 1})
    path, tag = made.headers["location"], {"If-Match": made.headers["etag"]}
    writes = [("POST", "/v1/api/posts"), ("PATCH", path), ("PUT", path), ("DELETE", path)]
    for method, place in writes:
        for headers in ({}, tag):
            refused = client.send(None, method, place, json={"size": 2}, headers=headers)
            assert (refused.status_code, refused.json()["detail"]) == (401, "a token is needed")
    for method, place in writes[1:]:
        for headers in ({}, tag):
            refused = client.send(1, method, place, json={"size": 2}, headers=headers)
            assert refused.status_code in {404, 412}, (method, headers, refused.text)
    for user in (None, 0, 1):
        assert client.get(user, path).json() == made.json()
        assert client.get(user, "/v1/api/posts").json()["items"] == [made.json()]
    assert client.send(0, "DELETE", path, headers=tag).status_code == 204
