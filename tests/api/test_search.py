"""Search over HTTP: who finds what, pages, mistakes, and what the answer has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.scene import HEAD, IDENTITY, TABLES, Client, load_scene, serve
from tests.scenes.databases import Databases

from assise.project import Project

SEARCHED = (
    TABLES.replace(
        "    soft_delete: true\n",
        "    soft_delete: true\n    search: {title: name, body: [secret, status], language: en}\n",
    )
    .replace(
        "    api: {read: [title], filter",
        "    search: {title: title, body: hidden, language: simple}\n    api: {read: [title], filter",
    )
    .replace(
        "    columns: {id: {type: int4, from: _id}, user_id: {type: uuid, from: userId}}",
        "    search: {body: text}\n"
        "    columns: {id: {type: int4, from: _id}, user_id: {type: uuid, from: userId}, text: text}",
    )
)
MANIFEST = f"{HEAD}{IDENTITY}search_log: {{}}\n{SEARCHED}"
FOUND = {"type", "id", "title", "snippet", "score", "metadata", "next"}


@pytest.fixture(scope="module")
def searching(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, short_folder: Path
) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("search")
    with load_scene(databases, folder, MANIFEST) as scene:
        Project(folder, to=scene.conninfo).search.build()
        with serve(folder, scene.conninfo, short_folder / "search.sock") as client:
            yield client


def test_a_caller_finds_its_own_rows_with_the_columns_that_are_served(searching: Client) -> None:
    answer = searching.get(0, "/api/search", params={"q": "project 07", "limit": 3})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "private, no-store"
    body = answer.json()
    first = body["results"][0]
    assert set(first) == FOUND
    assert (first["type"], first["title"], first["score"]) == ("projects", "project 07", 1)
    assert first["metadata"]["stars"] == 0
    assert "secret" not in first["metadata"]
    assert (body["total"], body["estimated"]) == (30, False)
    assert body["execution_time_ms"] > 0
    assert body["next"] == body["results"][-1]["next"]
    theirs = searching.get(1, "/api/search", params={"q": "project 07"}).json()
    assert theirs["total"] == 5
    assert not {hit["id"] for hit in theirs["results"]} & {hit["id"] for hit in body["results"]}


def test_pages_follow_each_other(searching: Client) -> None:
    found, cursor = [], None
    for _ in range(4):
        params = {"q": "project", "limit": "9", "in": "projects"}
        body = searching.get(
            0, "/api/search", params={**params, **({"cursor": cursor} if cursor else {})}
        ).json()
        found += [hit["id"] for hit in body["results"]]
        cursor = body["next"]
    assert len(found) == len(set(found)) == 30


def test_nobody_finds_public_rows_alone(searching: Client) -> None:
    body = searching.get(None, "/api/search", params={"q": "t1 project"}).json()
    assert [(hit["type"], hit["title"], hit["metadata"]) for hit in body["results"]] == [
        ("templates", "t1", {})
    ]
    refused = searching.get(None, "/api/search", params={"q": "x", "in": "projects"})
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("params", "detail"),
    [
        ({}, "q is missing"),
        ({"q": "a", "limit": "0"}, "limit: this is no number of hits"),
        ({"q": "a", "limit": "101"}, "limit: this is no number of hits"),
        ({"q": "a", "limit": "²"}, "limit: this is no number of hits"),
        ({"q": "a", "in": "project"}, "in: project is not searched"),
        ({"q": "a", "in": "notes"}, "in: notes is not searched"),
        ({"q": "a", "cursor": "[1"}, "cursor: this is none of this search"),
        ({"q": "a", "where": "x"}, "where is not known here"),
    ],
)
def test_a_mistake_is_told(searching: Client, params: dict[str, str], detail: str) -> None:
    answer = searching.get(0, "/api/search", params=params)
    assert (answer.status_code, answer.json()["detail"]) == (400, detail)
    assert answer.json()["remedy"]


def test_what_is_typed_gets_suggestions_of_the_callers_rows(searching: Client) -> None:
    titles = []
    for user in range(2):
        body = searching.get(user, "/api/suggest", params={"q": "proje", "in": "projects"}).json()
        texts = {each["type"]: each["text"] for each in body["suggestions"]}
        assert "project" in {each["text"] for each in body["suggestions"]}
        titles.append(int(texts["title"].removeprefix("project ")))
    assert titles[0] < 30 <= titles[1]
    assert searching.get(2, "/api/suggest", params={"q": "proj"}).json() == {"suggestions": []}
    # What is personal, and what is not served, is suggested to nobody.
    for q in ("hus", "x"):
        assert searching.get(0, "/api/suggest", params={"q": q}).json() == {"suggestions": []}
    refused = searching.get(0, "/api/suggest", params={"q": "p", "limit": "21"})
    assert refused.status_code == 400


@pytest.mark.parametrize("q", ["", "\0", "'", '"-a:* & |', "é" * 9_000])
def test_anything_is_a_query(searching: Client, q: str) -> None:
    assert searching.get(0, "/api/search", params={"q": q}).status_code == 200


def test_the_document_has_the_search_and_its_example_is_answered(searching: Client) -> None:
    document = searching.get(None, "/openapi.json").json()
    for path in ("/api/search", "/api/suggest"):
        parameters = document["paths"][path]["get"]["parameters"]
        params = {each["name"]: each["example"] for each in parameters if "example" in each}
        answer = searching.get(0, path, params=params)
        assert answer.status_code == 200
