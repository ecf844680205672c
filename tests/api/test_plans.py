"""Filters and orders: which are allowed to whom, and that an index serves them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.api.scene import MANIFEST, Client, serve, user_id
from tests.scenes.databases import Databases, Template

from assise.api.queries import read_query
from assise.manifest.read import parse_manifest
from assise.schema.access import AccessRules
from assise.schema.serving import Placeholders, Statements

Run = Callable[..., list[tuple[Any, ...]]]
MANY = f"""INSERT INTO projects (user_id, name, stars, created_at)
    SELECT '{user_id(2)}', 'many ' || n, n % 7, '2026-01-01'::timestamptz + n * interval '1 s'
    FROM generate_series(1, 100000) AS n"""
SERVED = ["name=many%2077", "created_at.gte=2026-01-02T00:00:00Z", "order=-created_at", "name.in=a,b",
          "id=507f1f77-bcf8-86cd-8799-439011000000"]  # fmt: skip
UNSERVED = {"stars=3": "stars", "order=stars": "stars", "name.ne=a": "name", "price.gte=3": "price",
            "name.like=many*": "name", "or=(name=a,stars=1)": "stars"}  # fmt: skip


@pytest.fixture(scope="module")
def conninfo(scene: Template, databases: Databases) -> Iterator[str]:
    """A copy of the database in which the third user has 100,000 projects."""
    found = databases.create(scene.database)
    with psycopg.connect(found, autocommit=True) as connection:
        connection.execute("ALTER TABLE projects DISABLE TRIGGER USER")
        connection.execute(MANY.encode())
        connection.execute("ANALYZE projects")
    yield found
    databases.drop(found)


@pytest.fixture(scope="module")
def client(scene: Template, conninfo: str, short_folder: Path) -> Iterator[Client]:
    """Sends requests to the application."""
    with serve(scene.folder, conninfo, short_folder / "plans.sock") as client:
        yield client


@pytest.mark.parametrize("query", SERVED)
def test_what_an_index_serves_is_for_everybody(client: Client, query: str) -> None:
    for user in (0, 2):
        assert client.get(user, f"/api/projects?{query}").status_code == 200


@pytest.mark.parametrize("query", UNSERVED)
def test_what_no_index_serves_is_for_those_who_see_few_rows(client: Client, query: str) -> None:
    assert client.get(0, f"/api/projects?{query}").status_code == 200
    refused = client.get(2, f"/api/projects?{query}")
    assert refused.status_code == 400
    assert f"indexes: [[user_id, {UNSERVED[query]}]]" in refused.json()["remedy"]
    assert f"filter: [{UNSERVED[query]}]" in refused.json()["remedy"]


def test_counts_are_exact_up_to_ten_thousand(client: Client) -> None:
    found = client.get(0, "/api/projects?count=exact").json()
    assert (found["count"], found["count_is"]) == (30, "exact")
    found = client.get(2, "/api/projects?count=exact").json()
    assert found["count_is"] == "estimated"
    assert found["count"] > 10_000


def test_an_estimated_count_says_nothing_of_the_rows_of_others(client: Client) -> None:
    queries = ["stars=3", "stars=9", "name.like=many*", "name=many%2077"]
    counts = [
        client.get(0, f"/api/projects?count=estimated&limit=1&{query}").json()["count"]
        for query in queries
    ]
    assert counts == [4, 0, 0, 0]
    seen = client.get(2, "/api/projects?count=estimated").json()
    assert (seen["count"], seen["count_is"]) == (10_001, "estimated")


@pytest.mark.parametrize("query", SERVED)
@pytest.mark.parametrize("user", [0, 2])
def test_no_plan_reads_the_whole_table(conninfo: str, user: int, query: str) -> None:
    rules = AccessRules(parse_manifest(MANIFEST), "public")
    resource = rules.resources["projects"]
    statements, parameters = Statements("public", resource, rules.resources), Placeholders()
    asked = read_query(resource, query)
    conditions = [statements.filtered(each, parameters) for (each,) in asked.filters]
    row = statements.row(asked.select)
    statement = statements.list_rows(row, conditions, asked.order, "20", "1000")
    with psycopg.connect(make_conninfo(conninfo, user="apihttp_app")) as app:
        app.execute("SELECT set_config('app.user_id', %s, true)", [user_id(user)])
        plan = app.execute(f"EXPLAIN {statement}".encode(), parameters.values).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "Seq Scan" not in text
    assert "Index" in text


LATER = {
    "order=-created_at": ["created_at <="],
    "order=created_at": ["created_at >="],
    "order=name": ["name >="],
    "order=code": ["(code)::text >= 'c'", "code IS NULL"],
    "order=-code": ["id <", "code IS NOT NULL"],
    "": ["id >"],
}


@pytest.mark.parametrize("query", LATER)
def test_a_later_page_begins_at_its_place_in_the_index(conninfo: str, query: str) -> None:
    rules = AccessRules(parse_manifest(MANIFEST), "public")
    resource = rules.resources["projects"]
    statements, parameters = Statements("public", resource, rules.resources), Placeholders()
    asked = read_query(resource, query)
    code = None if "-code" in query else "c"
    values = {
        "created_at": "2026-01-01 10:00:00Z",
        "name": "many 5",
        "id": user_id(5),
        "code": code,
    }
    last = [values[each.column] for each in asked.order]
    row, behind = statements.row(asked.select), statements.behind(asked.order, last, parameters)
    statement = statements.list_rows(row, [], asked.order, "20", "100000", ranges=behind)
    with psycopg.connect(make_conninfo(conninfo, user="apihttp_app")) as app:
        app.execute("SELECT set_config('app.user_id', %s, true)", [user_id(2)])
        plan = app.execute(f"EXPLAIN {statement}".encode(), parameters.values).fetchall()
    begun = [line for (line,) in plan if "Index Cond" in line]
    assert len(begun) == len(LATER[query])
    for wanted, line in zip(LATER[query], begun, strict=True):
        assert wanted in line
