"""Devora's API, metrics and revenue, on its own manifest and data: over HTTP as several users."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import jwt
import pytest
import uvicorn
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm
from tests.examples.generated import FOLDER, generate
from tests.examples.paying import Invoices, list_months
from tests.examples.values import as_document, read_documents
from tests.scenes.databases import Databases, Template

from assise.analytics.dashboard import REASONS
from assise.analytics.revenue.movements import MONEY
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
        shutil.copytree(FOLDER / "sql", template.folder / "sql")
        project = Project(template.folder, to=template.conninfo)
        assert project.migrate(dump / "devora", confirm=confirm).exit_code == 0
        yield template


def load_module(name: str = "app") -> ModuleType:
    """A module of the example, as uvicorn would import it."""
    spec = spec_from_file_location(f"devora_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[f"devora_{name}"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sign(user: object, **claims: object) -> str:
    """A token of Devora's issuer."""
    facts = {"iss": "https://devora.example", "aud": "devora", "sub": str(user), **claims}
    return jwt.encode({**facts, "exp": int(time.time()) + 600}, SECRET, algorithm="HS256")


@contextmanager
def serve(app: App, socket: Path) -> Iterator[None]:
    """Serve the application by uvicorn on a socket, in a thread."""
    web = load_module().create_web(app)
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
    # An invoice of now makes revenue, a deployment of now a rate.
    query("UPDATE invoices SET created_at = now(), status = 'paid', currency = 'eur', plan_amount = 29"
          " WHERE id = (SELECT id FROM invoices WHERE user_id IS NOT NULL LIMIT 1)")  # fmt: skip
    query("UPDATE deployments SET created_at = now(), finished_at = NULL, status = 'success'"
          " WHERE id = (SELECT id FROM deployments LIMIT 1)")  # fmt: skip
    first, answer = (http.get("/api/admin/dashboard", headers=headers) for _ in range(2))
    assert first.status_code == answer.status_code == 200
    ((users, projects, messages),) = query(
        "SELECT (SELECT count(*) FROM users), count(*), (SELECT count(*) FROM conversation_messages)"
        " FROM projects WHERE deleted_at IS NULL"
    )
    found = answer.json()
    assert found["user_metrics"]["total_users"] == users
    assert found["engagement_metrics"]["total_projects"] == projects
    assert found["engagement_metrics"]["messages"] == messages
    assert found["revenue_metrics"]["mrr"] == "29.00"
    assert found["performance_metrics"]["deployment_success_rate"] == 100
    assert first.json()["performance_metrics"]["error_rate"] is None
    assert first.json()["reasons"]["error_rate"] == REASONS["error_rate"]
    assert found["performance_metrics"]["average_query_time_ms"] > 0
    assert found["performance_metrics"]["error_rate"] == 0
    nulls = {
        name
        for group, fields in found.items()
        for name, value in fields.items()
        if group != "reasons" and value is None
    }
    assert nulls == set(found["reasons"])


def test_metrics_under_the_names_that_devora_knows(
    template: Template, tmp_path: Path, database: str
) -> None:
    analytics = load_module("analytics")
    folder = template.copy(tmp_path / "devora", database).path
    urls: Any = {role: make_conninfo(database, user=f"devora_{role}") for role in ("app", "admin")}
    today = dt.datetime.now(ZoneInfo("Europe/Paris")).date()

    async def use() -> None:
        async with App(folder, urls=urls) as app:
            metrics = analytics.get_metrics_service(app)
            metrics.track_event(analytics.EventType.USER_SIGNED_UP, "u1", {"plan": "pro"})
            metrics.track_event(analytics.EventType.USER_SIGNED_UP, "u2")
            metrics.track_project_created("u1", "p1", "My SaaS", "saas")
            metrics.track_code_generation("u1", "p1", "gpt-4o", 2_500, 1_800)
            metrics.track_subscription_event("upgraded", "u1", "sub_1", "pro", 29.0)
            metrics.track_event(analytics.EventType.DEPLOYED, "u1", {"project_id": "p1"})
            await app.analytics.drain()
            found = await metrics.get_dashboard_metrics()
            assert found.user_metrics.active_users_day == 2
            cohort = await metrics.get_cohort_retention(cohort_date=today, period_days=3)
            assert (cohort.size, cohort.retention) == (2, dict.fromkeys((1, 2, 3)))
            empty = await metrics.get_cohort_retention(today - dt.timedelta(40))
            assert (empty.size, empty.retention) == (0, {})
            funnel = await metrics.get_conversion_funnel()
            assert [step.count for step in funnel.steps] == [2, 1, 1]

    asyncio.run(use())


def test_each_month_of_revenue_adds_up_in_every_currency(
    template: Template, tmp_path: Path, database: str, query: Query
) -> None:
    project = template.copy(tmp_path / "devora", database)
    content = (template.folder / "dump" / "devora" / "invoices.bson").read_bytes()
    invoices = Invoices([as_document(each) for each in read_documents(content)])
    assert sum("refunded_amount" in each for each in invoices.found) > 3
    query("CREATE TABLE statuses AS SELECT id, status FROM invoices")
    text = project.path.read_text()
    for only, report in (("", "EUR"), ("eur", "EUR"), ("usd", "USD")):
        project.path.write_text(text.replace("report: EUR", f"report: {report}"))
        query("UPDATE invoices SET status = CASE WHEN currency = coalesce(%s, currency) THEN s.status"
              " ELSE 'void' END FROM statuses AS s WHERE s.id = invoices.id", (only or None,))  # fmt: skip
        found = project.analytics.revenue()
        assert found.currency == report
        assert found.left_out[0].startswith(
            f"{sum('currency' not in x for x in invoices.found)} row"
        )
        months = [*list_months(found.rows[0].month, dt.date(2025, 12, 1))]
        assert [row.month for row in found.rows][: len(months)] == months
        end = Decimal(0)
        for row in found.rows:
            gained = row.new + row.reactivation + row.expansion
            assert row.mrr_start == end
            end = row.mrr_end
            assert end == row.mrr_start + gained - row.contraction - row.churn + row.fx
            asked = {"only": only, "report": report.lower()}
            assert end == invoices.count_mrr(row.month, **asked), row.month
        sums = {name: sum(abs(getattr(row, name)) for row in found.rows) for name in MONEY}
        assert bool(sums["fx"]) == (report == "EUR" and not only)
        assert only or all(sums.values())
