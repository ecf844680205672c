"""Resources over HTTP: what each user reads and writes, and nothing of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo
from tests.api.scene import Client, user_id

Run = Callable[..., list[tuple[Any, ...]]]
FORBIDDEN = {
    "id": "507f1f77-bcf8-86cd-8799-439011000000",
    "user_id": "507f1f77-bcf8-86cd-8799-439011000000",
    "deleted_at": "2026-01-01T00:00:00Z",
    "_extra": {"a": 1},
    "created_at": "2026-01-01T00:00:00Z",
    "secret": "x",
}


@pytest.fixture(autouse=True)
def _clean(run: Run) -> Iterator[None]:
    """Take away what a test has made, for those behind it."""
    yield
    run("DELETE FROM projects WHERE _extra IS NULL")
    run("TRUNCATE api_requests")


def test_each_user_lists_its_own_rows(client: Client) -> None:
    counts = [len(client.get(user, "/api/projects?limit=100").json()["items"]) for user in range(3)]
    assert counts == [30, 5, 0]
    answer = client.get(1, "/api/projects")
    row = answer.json()["items"][0]
    assert row["name"].startswith("project 3")
    assert not {"secret", "_extra"} & row.keys()
    assert answer.headers["cache-control"].startswith("private")
    assert "Authorization" in answer.headers["vary"]
    assert client.get(None, "/api/projects").status_code == 401
    titles = client.get(None, "/api/templates").json()["items"]
    assert titles == [{"id": n, "title": f"t{n}"} for n in range(4)]


def test_a_row_is_made_read_changed_deleted_and_restored_by_its_user_alone(client: Client) -> None:
    body = {"name": "Shop", "price": "12.50", "tags": ["a", None], "data": {"deep": [1, None]}}
    made = client.send(2, "POST", "/api/projects", json=body)
    assert made.status_code == 201, made.text
    row, path = made.json(), made.headers["location"]
    assert (row["user_id"], row["status"], row["price"]) == (user_id(2), "active", 12.5)
    assert (row["tags"], row["data"]) == (["a", None], {"deep": [1, None]})
    tag = made.headers["etag"]
    assert client.get(2, path).headers["etag"] == tag
    for known in (tag, f'"other", W/{tag}', "*"):
        answer = client.get(2, path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.headers["etag"]) == (304, tag)
    for method, place in [("GET", path), ("PATCH", path), ("DELETE", path)]:
        assert client.send(0, method, place, json={"name": "Mine"}).status_code == 404
    assert client.send(0, "PUT", path, json={"name": "Mine"}).status_code == 404
    assert client.send(0, "POST", f"{path}/restore").status_code == 404

    changed = client.send(2, "PATCH", path, json={"stars": 3}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["stars"]) == (200, 3)
    late = client.send(2, "PATCH", path, json={"stars": 4}, headers={"If-Match": tag})
    assert late.status_code == 412
    assert client.send(2, "DELETE", path, headers={"If-Match": tag}).status_code == 412

    files = [
        client.send(2, "PUT", path.replace("projects", "files") + f"/{n}", json={"path": "x"})
        for n in (0, 0, 1)
    ]
    assert [each.status_code for each in files] == [201, 200, 201]
    deleted = client.send(2, "DELETE", path)
    assert deleted.json() == {"projects": 1, "files": 2}
    assert client.get(2, path).status_code == 404
    assert client.send(2, "DELETE", path).status_code == 404
    assert client.send(2, "PUT", path, json={"name": "x"}).status_code == 404
    for known in (tag, "*"):
        late = client.send(2, "POST", f"{path}/restore", headers={"If-Match": known})
        assert (late.status_code, late.json()["remedy"][-9:]) == (412, "If-Match.")
    assert client.send(2, "POST", f"{path}/restore").json() == deleted.json()
    assert client.send(2, "DELETE", path.replace("projects", "files") + "/1").status_code == 204


@pytest.mark.parametrize("column", FORBIDDEN)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_no_column_is_written_that_the_manifest_does_not_name(
    client: Client, run: Run, conninfo: str, method: str, column: str
) -> None:
    ((key,),) = run("SELECT min(id::text) FROM projects WHERE user_id = %s::uuid", user_id(0))
    path = "/api/projects" if method == "POST" else f"/api/projects/{key}"
    before = run("SELECT * FROM projects ORDER BY id")
    body = {"name": "x", column: FORBIDDEN[column]}
    refused = client.send(0, method, path, json=body)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["errors"] == {column: "Extra inputs are not permitted"}
    assert run("SELECT * FROM projects ORDER BY id") == before
    change = sql.SQL("UPDATE projects SET {} = NULL").format(sql.Identifier(column))
    with (
        psycopg.connect(make_conninfo(conninfo, user="apihttp_app")) as app,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        app.execute(change)


def test_a_plan_is_not_taken_from_a_request(client: Client, run: Run, conninfo: str) -> None:
    path = f"/api/users/{user_id(0)}"
    assert client.send(0, "PATCH", path, json={"plan": "team"}).status_code == 422
    assert client.send(0, "PATCH", path, json={"name": "Anna"}).json()["name"] == "Anna"
    assert run("SELECT plan FROM users WHERE id = %s::uuid", user_id(0)) == [("free",)]
    with psycopg.connect(make_conninfo(conninfo, user="apihttp_app")) as app:
        for statement in ("SELECT email FROM users", "SELECT _extra FROM users"):
            with pytest.raises(errors.InsufficientPrivilege), app.transaction():
                app.execute(statement.encode())
    assert client.send(0, "POST", "/api/users", json={}).status_code == 405
    assert client.get(0, "/api/notes").status_code == 404


FILTERS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "status=done": lambda p: p["status"] == "done",
    "status.ne=done": lambda p: p["status"] != "done",
    "stars.gte=5": lambda p: p["stars"] >= 5,
    "stars.gt=2&stars.lte=4": lambda p: 2 < p["stars"] <= 4,
    "stars.lt=1": lambda p: p["stars"] < 1,
    "stars.in=1,6": lambda p: p["stars"] in {1, 6},
    "due_at.is=null": lambda p: p["due_at"] is None,
    "due_at.not=null": lambda p: p["due_at"] is not None,
    "name.like=project%200*": lambda p: p["name"].startswith("project 0"),
    "name=project%2003": lambda p: p["name"] == "project 03",
    'or=(stars=1,name="project%2003")': lambda p: p["stars"] == 1 or p["name"] == "project 03",
    "status=done&or=(stars=1,stars.in=2)": lambda p: (
        (p["status"] == "done" and p["stars"] == 1) or (p["status"] == "done" and p["stars"] == 2)
    ),
    "due_at.gte=2026-01-03T00:00:00Z": lambda p: (p["due_at"] or "") >= "2026-01-03",
    "tags.is=null": lambda _: True,
}


@pytest.mark.parametrize("query", FILTERS)
def test_a_filter_finds_what_it_says(client: Client, query: str) -> None:
    rows = client.get(0, "/api/projects?limit=100").json()["items"]
    found = client.get(0, f"/api/projects?limit=100&count=exact&{query}")
    assert found.status_code == 200, found.text
    expected = sorted(row["id"] for row in rows if FILTERS[query](row))
    assert sorted(row["id"] for row in found.json()["items"]) == expected
    assert found.json()["count"] == len(expected)


@pytest.mark.parametrize(
    "query",
    [
        "nothing=1", "stars=x", "stars.like=a*", "name.like=abc", "name.like=*", "limit=0", "limit=x",
        "limit=1001", "order=nothing", "order=name,name", "order=data", "select=secret", "select=",
        "include=nobody", "count=all", "or=stars=1", "or=(stars)", 'or=(name="a)', "data=1",
        "secret=hush", "_extra.is=null", "due_at=2026-01-01", "status.is=null&status.is=x",
        "limit=1&limit=2", "name=%00", "stars.in=1,,2", "cursor=abc", "cursor=%F0%9F%98%80",
        "stars=%D9%A3", "stars=1_0", "%ED%A0%80=1", "a=1&" * 101,
        "&".join(f"or=(stars={n},stars={n})" for n in range(11)), "user_id=me", "stars=99999999999",
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_is_refused_by_name(client: Client, query: str) -> None:
    refused = client.get(0, f"/api/projects?{query}")
    assert (refused.status_code, refused.json()["status"]) == (400, 400), refused.text
    assert "SELECT" not in refused.text


@pytest.mark.parametrize(
    "order", ["", "-created_at", "created_at,-name", "due_at", "-due_at", "-due_at,stars", "-stars"]
)
def test_pages_follow_each_other_in_every_order(client: Client, order: str) -> None:
    whole = client.get(0, f"/api/projects?limit=100&order={order}").json()
    assert whole["next"] is None
    found: list[str] = []
    cursor = ""
    while True:
        page = client.get(0, f"/api/projects?limit=7&order={order}{cursor}").json()
        found += [row["id"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == [row["id"] for row in whole["items"]]
    assert len(set(found)) == 30


def test_a_cursor_of_another_query_or_user_is_refused(client: Client) -> None:
    cursor = client.get(0, "/api/projects?limit=2&order=-name").json()["next"]
    path = f"/api/projects?limit=2&cursor={cursor}"
    assert client.get(0, f"{path}&order=-name").status_code == 200
    flipped = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    tampered = cursor[:30] + ("A" if cursor[30] != "A" else "B") + cursor[31:]
    for user, query in [
        (1, f"{path}&order=-name"), (0, path), (0, f"{path}&order=name"),
        (0, f"{path}&order=-name&status=done"), (0, f"{path}&order=-name&select=id"),
        (0, f"/api/projects?order=-name&cursor={flipped}"),
        (0, f"/api/projects?order=-name&cursor={tampered}"),
        (0, f"/api/files?cursor={cursor}"),
    ]:  # fmt: skip
        assert client.get(user, query).status_code == 400, query


def test_a_row_comes_with_those_that_it_refers_to_as_far_as_they_are_seen(client: Client) -> None:
    made = client.send(0, "POST", "/api/projects", json={"name": "n", "user_ref": user_id(1)})
    path = made.headers["location"]
    row = client.get(0, f"{path}?include=user,user_ref&select=name").json()
    assert row["name"] == "n"
    assert row["user"]["id"] == user_id(0)
    assert "email" not in row["user"]
    assert row["user_ref"] is None
    client.send(0, "DELETE", path)


def test_many_rows_are_made_together_or_not_at_all(client: Client, run: Run) -> None:
    rows = [{"name": f"many {n}", **({"stars": n} if n % 2 else {})} for n in range(1_000)]
    made = client.send(2, "POST", "/api/projects", json=rows)
    assert made.status_code == 201, made.text
    assert [row["name"] for row in made.json()] == [row["name"] for row in rows]
    counted = client.get(2, "/api/projects?name.like=many*&count=estimated").json()
    assert counted["count_is"] == "estimated"
    for bad, status in [
        ([*rows[:5], {"name": "x", "stars": -1}], 422),
        ([*rows, rows[0]], 422),
        ([], 422),
        ([{"name": "a", "code": "same"}, {"name": "b", "code": "same"}], 409),
    ]:
        refused = client.send(2, "POST", "/api/projects", json=bad)
        assert refused.status_code == status, refused.text
        assert "same" not in refused.text
        assert "projects_" not in refused.text
    total = run("SELECT count(*) FROM projects WHERE user_id = %s::uuid", user_id(2))
    assert total == [(1_000,)]


def test_a_request_with_a_key_is_done_once(client: Client, run: Run) -> None:
    headers = {"Idempotency-Key": "k1"}

    def post(name: str, user: int = 1) -> Any:  # noqa: ANN401
        return client.send(user, "POST", "/api/projects", json={"name": name}, headers=headers)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, ["Once"] * 8))
    assert {each.status_code for each in answers} == {201}
    assert len({each.text for each in answers}) == 1
    for name in ("location", "etag"):
        assert len({each.headers[name] for each in answers}) == 1
    assert [each.headers.get("idempotent-replayed") for each in answers].count("true") == 7
    assert run("SELECT count(*) FROM projects WHERE name = 'Once'") == [(1,)]
    assert post("Other").status_code == 422
    assert post("Once", user=0).status_code == 201
    assert post("Once", user=0).headers["idempotent-replayed"] == "true"
    run("UPDATE api_requests SET created_at = now() - interval '25 hours'")
    assert post("Later").status_code == 201


def test_a_request_with_a_key_that_failed_is_done_again(client: Client) -> None:
    headers = {"Idempotency-Key": "k2"}
    for body, status in [({"name": "a", "stars": -1}, 422), ({"name": "again"}, 201)]:
        answer = client.send(1, "POST", "/api/projects", json=body, headers=headers)
        assert answer.status_code == status


def test_a_row_is_restored_once_by_a_request_with_a_key(client: Client) -> None:
    headers = {"Idempotency-Key": "k3"}
    made = [client.send(1, "POST", "/api/projects", json={"name": "x"}) for _ in range(2)]
    paths = [each.headers["location"] for each in made]
    for path in paths:
        client.send(1, "DELETE", path)
    answers = [client.send(1, "POST", f"{paths[0]}/restore", headers=headers) for _ in range(2)]
    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].json() == answers[1].json() == {"projects": 1, "files": 0}
    assert [each.headers.get("idempotent-replayed") for each in answers] == [None, "true"]
    assert client.send(1, "POST", f"{paths[1]}/restore", headers=headers).status_code == 422
    assert client.get(1, paths[1]).status_code == 404


BODIES = {
    b"": 400, b"{": 400, b"nothing": 400, b'{"name": NaN}': 422, b"[1]": 422, b"3": 422,
    b'{"name": 3}': 422, b'{"name": "a", "stars": "3"}': 422, b'{"name": "a\\u0000"}': 422,
    b'{"name": null}': 422, b'{"name": "a", "code": "123456"}': 422, b"{}": 422,
    b'{"name": "a", "price": 1.005}': 422, b'{"name": "a", "stars": 99999999999}': 422,
    b'{"name": "a", "due_at": "2026-01-01"}': 422, b'{"name": "a", "data": "\\u0000"}': 422,
    b'{"name": "a", "status": "gone"}': 422, b'{"name": "\xff"}': 400,
    b'{"name": "a", "data": ' + b"[" * 150 + b"]" * 150 + b"}": 400,
    b'{"name": "a", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}": 400,
    b'{"name": "' + b"x" * (1 << 20) + b'"}': 413,
    b'{"name": "a", "user_ref": "507f1f77-bcf8-86cd-8799-439011000000"}': 409,
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:30].decode("latin-1"))
def test_a_body_that_does_not_fit_is_refused(client: Client, run: Run, body: bytes) -> None:
    before = run("SELECT count(*) FROM projects")
    headers = {"Content-Type": "application/json"}
    refused = client.send(0, "POST", "/api/projects", content=body, headers=headers)
    assert refused.status_code == BODIES[body], refused.text
    assert refused.json()["title"]
    assert run("SELECT count(*) FROM projects") == before


def test_a_body_needs_its_type_and_a_path_its_key(client: Client) -> None:
    assert client.send(0, "POST", "/api/projects", content=b"{}").status_code == 415
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = client.send(0, "POST", "/api/projects", content=b'{"name": "a"}', headers=packed)
    assert (answer.status_code, answer.json()["detail"]) == (415, "the body is compressed")
    for path in ("/api/projects/nothing", "/api/files/nothing/0", "/api/templates/99999999999"):
        assert client.get(0, path).status_code == 404
    assert client.get(0, "/api/nothing").json()["status"] == 404
    assert client.send(0, "PUT", "/api/templates/1", json={}).status_code == 405
    key = client.get(0, "/api/projects").json()["items"][0]["id"]
    allowed = {
        "/api/projects": "GET, HEAD, POST",
        f"/api/projects/{key}": "GET, HEAD, PUT, PATCH, DELETE",
        f"/api/projects/{key}/restore": "POST",
        "/health": "GET, HEAD",
    }
    for path, methods in allowed.items():
        answer = client.send(0, "TRACE", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)
