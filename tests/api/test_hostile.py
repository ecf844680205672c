"""What was broken once by hostile requests: long bodies, sorts, names of columns, other tenants."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from starlette.requests import Request
from tests.api.scene import HEAD, IDENTITY, MANIFEST, TABLES, Client, serve, user_id, user_key
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from assise.api.idempotency import note_request
from assise.api.queries import list_unserved, read_query
from assise.api.running import _configure
from assise.api.running import serve as serve_here
from assise.api.server import make_web
from assise.app import App
from assise.errors import UsageError
from assise.identity.callers import Caller
from assise.manifest.read import parse_manifest
from assise.project import Project
from assise.schema.access import AccessRules

Run = Callable[..., list[tuple[Any, ...]]]
JSON = {"Content-Type": "application/json"}
BODIES = {
    "list of others": b"[" + b"0," * 400_000 + b"0]",
    "fields": b"{" + b",".join(b'"%x":0' % n for n in range(90_000)) + b"}",
    "elements": b'{"name": "a", "tags": [' + b"0," * 400_000 + b"0]}",
    "many rows": b"[" + b",".join([b'{"name":"a"}'] * 70_000) + b"]",
}


@pytest.fixture(autouse=True)
def _clean(run: Run) -> Iterator[None]:
    """Take away what a test has made, for those behind it."""
    yield
    run("DELETE FROM projects WHERE _extra IS NULL")


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_wrong_in_many_places_has_a_short_answer(client: Client, name: str) -> None:
    refused = client.send(0, "POST", "/api/projects", content=BODIES[name], headers=JSON)
    assert refused.status_code == 422
    assert len(refused.content) < 1_000


def test_the_column_of_the_rule_is_no_order(client: Client) -> None:
    rules = AccessRules(parse_manifest(MANIFEST), "public")
    projects = rules.resources["projects"]
    unserved = {
        order: [*list_unserved(projects, read_query(projects, f"order={order}"))]
        for order in ("user_id,stars", "user_id", "user_id,-created_at", "-user_id,id,stars")
    }
    assert [*unserved.values()] == [["stars"], [], [], []]
    assert client.get(0, "/api/projects?order=user_id,stars").status_code == 200


def test_a_row_that_is_included_stands_for_the_column_of_its_name(client: Client) -> None:
    made = client.send(0, "POST", "/api/projects", json={"name": "n", "user_ref": user_id(0)})
    text = client.get(0, f"{made.headers['location']}?include=user_ref").text
    assert text.count('"user_ref":') == 1
    assert json.loads(text)["user_ref"]["id"] == user_id(0)


def test_no_row_is_included_by_a_column_that_is_not_read() -> None:
    text = MANIFEST.replace("read: all\n      create", "read: [name]\n      create")
    rules = AccessRules(parse_manifest(text), "public")
    assert rules.resources["projects"].includes == {}
    assert rules.resources["files"].includes.keys() == {"project"}


def test_a_page_ends_at_a_long_value(client: Client) -> None:
    for size, is_taken in [(9_000, True), (90_000, False)]:
        client.send(0, "POST", "/api/projects", json={"name": "z" * size})
        page = client.get(0, "/api/projects?order=-name&limit=1&select=id")
        if is_taken:
            follow = f"/api/projects?order=-name&limit=1&select=id&cursor={page.json()['next']}"
            assert client.get(0, follow).status_code == 200
        else:
            assert page.status_code == 400
            assert "too long for a cursor" in page.json()["detail"]


def test_a_page_of_large_rows_ends_early_and_is_followed_by_the_rest(
    client: Client, run: Run
) -> None:
    row = "INSERT INTO projects (user_id, name, tags) SELECT %s::uuid, 'big ' || n, ARRAY[repeat('x', 1 << 20)] FROM generate_series(1, 6) AS n"
    run(row, user_id(2))
    found, sizes, cursor = list[str](), list[int](), ""
    while True:
        answer = client.get(2, f"/api/projects?order=name&limit=1000{cursor}")
        found += [each["name"] for each in answer.json()["items"]]
        sizes.append(len(answer.content))
        if answer.json()["next"] is None:
            break
        cursor = f"&cursor={answer.json()['next']}"
    assert found == [f"big {n}" for n in range(1, 7)]
    assert [size >> 20 for size in sizes] == [4, 2]


def test_tenants_of_a_user_have_keys_of_their_own() -> None:
    class Route:
        path = "/api/projects"

    headers = [(b"idempotency-key", b"k")]
    scope = {"type": "http", "method": "POST", "headers": headers, "route": Route()}
    callers = [Caller("u"), Caller("u", "a"), Caller("u", "b"), Caller("u", "a")]
    noted = [note_request(Request(scope), each, b"{}") for each in callers]
    facts = [json.dumps(each.facts) for each in noted if each]
    assert facts[1] == facts[3]
    assert len({*facts}) == 3


def test_of_two_who_make_a_row_at_once_one_is_refused(client: Client, run: Run) -> None:
    path = "/api/projects/607f1f77-bcf8-86cd-8799-439011000000"

    def put(name: str) -> int:
        headers = {"If-None-Match": "*"}
        return client.send(2, "PUT", path, json={"name": name}, headers=headers).status_code

    conninfo = client.app.urls["app"]
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'apihttp_app'"
    with psycopg.connect(conninfo) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("SELECT set_config('app.user_id', %s, true)", [user_id(2)])
        key = path.rpartition("/")[2]
        row = "INSERT INTO projects (id, user_id, name) VALUES (%s::uuid, %s::uuid, 'first')"
        holder.execute(row, [key, user_id(2)])
        late = pool.submit(put, "late")
        while run(blocked) != [(1,)]:
            assert not late.done()
        holder.commit()
        assert late.result() == 409
    assert run("SELECT name FROM projects WHERE id = %s::uuid", key) == [("first",)]
    assert put("later") == 412


def test_a_secret_that_can_be_guessed_or_is_not_set_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "assise.yaml").write_text(f"{HEAD}identity: supabase\n{TABLES}")
    monkeypatch.delenv("SUPABASE_URL", raising=False)
    # On a port that is taken: where the secret were not asked for, the start would end there.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match="SUPABASE_URL"):
            serve_here(App(tmp_path), host="127.0.0.1", port=port, is_development=False, log=print)
    monkeypatch.setenv("ASSISE_SECRET", "short")
    with pytest.raises(UsageError, match="ASSISE_SECRET has fewer than 32"):
        make_web(App(tmp_path))


HOSTILE = ("a%b", 'we"ird', "or", "select", "x.eq", "a'; --", "%(p0)s", "é")


def test_names_of_columns_are_only_names(
    databases: Databases, tmp_path: Path, short_folder: Path
) -> None:
    conninfo = databases.create()
    columns = "".join(f"      {json.dumps(name)}: text\n" for name in HOSTILE)
    listed = json.dumps([*HOSTILE])
    project = Project(tmp_path, to=conninfo)
    project.path.write_text(
        f"{HEAD}{IDENTITY}tables:\n  odd:\n    primary_key: id\n    collection: odd\n"
        f"    access: {{owner: user_id}}\n    api: {{read: all, create: {listed}, update: {listed},"
        " delete: true}\n    columns:\n      id: {type: uuid, from: _id}\n"
        f"      user_id: {{type: uuid, from: userId}}\n{columns}"
    )
    rows = [{"_id": user_key(5), "userId": user_key(1)}]
    project.migrate(write_dump(tmp_path / "dump", {"odd": rows}), confirm=confirm)
    with serve(tmp_path, conninfo, short_folder / "odd.sock") as client:
        body = {name: f"{n}%s" for n, name in enumerate(HOSTILE)}
        made = client.send(0, "POST", "/api/odd", json=body)
        assert made.status_code == 201, made.text
        path = made.headers["location"]
        assert client.get(0, path).json().items() >= body.items()
        for name, value in body.items():
            query = {f"{name}.eq": value, "order": f"-{name}", "limit": "1"}
            found = client.get(0, "/api/odd", params=query)
            assert [row[name] for row in found.json()["items"]] == [value], found.text
            assert client.send(0, "PATCH", path, json={name: "x"}).json()[name] == "x"
        assert client.send(0, "PUT", path, json=body).status_code == 200
        assert client.send(1, "DELETE", path).status_code == 404
        assert client.send(0, "DELETE", path).status_code == 204
    databases.drop(conninfo)


def test_a_header_says_no_address_that_is_counted(tmp_path: Path) -> None:
    (tmp_path / "assise.yaml").write_text(MANIFEST)
    config = _configure(make_web(App(tmp_path)), 1)
    config.load()
    assert not isinstance(config.loaded_app, ProxyHeadersMiddleware)
