"""The OpenAPI document: its examples are sent, and requests are drawn from it, as three users."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from tests.api.scene import Client, user_id

from assise.api.server import make_web
from assise.app import App

Run = Callable[..., list[tuple[Any, ...]]]
Document = dict[str, Any]
DRAWN = 1
SOAKED = int(os.environ.get("ASSISE_TEST_EXAMPLES", "5000")) // 50


@pytest.fixture(scope="module")
def document(client: Client) -> Document:
    """The document, as it is served."""
    found: Document = client.get(None, "/openapi.json").json()
    return found


def list_operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def list_calls(path: str, operation: Document) -> Iterator[tuple[str, dict[str, object]]]:
    """The URL with its examples, and each optional parameter on its own."""
    parameters = operation.get("parameters", [])
    for each in parameters:
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", str(each["example"]))
    yield path, {}
    for each in parameters:
        if each["in"] == "query" and "example" in each:
            yield path, {each["name"]: each["example"]}


def test_every_example_is_sent_and_answered_as_documented(
    client: Client, document: Document
) -> None:
    count = 0
    for path, method, operation in list_operations(document):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        for url, params in list_calls(path, operation):
            options = {"json": body["example"]} if body else {}
            answer = client.send(0, method, url, params=params, **options)
            where = (method, url, params, answer.text)
            assert str(answer.status_code) in operation["responses"], where
            assert answer.status_code < 500, where
            if method == "GET" and "{" not in path:
                assert answer.status_code == 200, where
            if method == "POST" and path.count("/") == 2:
                assert answer.status_code in {201, 409}, where
            count += 1
    assert count > 30


def test_the_page_of_docs_names_every_operation(client: Client, document: Document) -> None:
    page = client.get(None, "/docs").text
    assert page.count("<summary>") == len([*list_operations(document)])
    assert "http://" not in page
    assert "https://" not in page


def draw_requests(document: Document, send: Callable[[Any], None], examples: int) -> None:
    """Requests drawn from each operation."""
    found: Any
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = found.ok()

        @seed(1)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def try_operation(case: Any) -> None:  # noqa: ANN401 - of schemathesis
            send(case)

        try_operation()


def check_drawn(client: Client, run: Run, document: Document, examples: int) -> None:
    """As three users: no answer is a failure of ours, and none has a row of somebody else."""
    rows = run("SELECT user_id::text, id::text FROM projects")
    for user in range(3):
        others = [key for owner, key in rows if owner != user_id(user)]

        def send(case: Any, user: int = user, others: list[str] = others) -> None:  # noqa: ANN401
            given = case.as_transport_kwargs(base_url="http://app")
            given.pop("cookies")
            headers = {name: str(each).encode() for name, each in given.pop("headers").items()}
            try:
                answer = client.send(
                    user, given.pop("method"), given.pop("url"), headers=headers, **given
                )
            except (httpx.LocalProtocolError, httpx.InvalidURL, UnicodeEncodeError):
                return
            assert answer.status_code < 500, (case.method, str(answer.request.url), answer.text)
            case.operation.validate_response(answer, case=case)
            asked = str(answer.request.url)
            assert not [key for key in others if key in answer.text and key not in asked]

        draw_requests(document, send, examples)


def test_drawn_requests_fail_nowhere_and_show_nothing_of_others(
    client: Client, run: Run, document: Document
) -> None:
    check_drawn(client, run, document, DRAWN)


@pytest.mark.soak
def test_many_drawn_requests_fail_nowhere_and_show_nothing_of_others(
    client: Client, run: Run, document: Document
) -> None:
    check_drawn(client, run, document, SOAKED)


def test_the_document_is_made_without_a_server(client: Client) -> None:
    web = make_web(App(client.app.workspace.path))
    paths = web.openapi()["paths"]
    assert {"/api/projects", "/api/files/{key0}/{key1}", "/health"} <= paths.keys()
    assert "post" not in paths["/api/files"]
